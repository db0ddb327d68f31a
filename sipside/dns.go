package sipside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// nameServers asks for the records that the system's resolver does not give with their TTL.
type nameServers struct {
	addrs     []string // host:port, tried in turn
	ask       func(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error)
	addresses bool // also for A and AAAA; else those are the system's matter (its hosts file, its search list)
}

const resolvConf = "/etc/resolv.conf"

// newNameServers takes the configured server, or the system's for what the system's resolver lacks.
func newNameServers(configured netip.AddrPort) nameServers {
	if configured.IsValid() {
		return nameServers{addrs: []string{configured.String()}, ask: exchange, addresses: true}
	}
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nameServers{} // a system without one: names are what its hosts file says
	}
	s := nameServers{ask: exchange}
	for _, host := range conf.Servers {
		s.addrs = append(s.addrs, net.JoinHostPort(host, conf.Port))
	}
	return s
}

var errNoRecord = errors.New("no such record")

// query gives a name's records of one type and the shortest TTL among them. An answer cut short by UDP is asked for by TCP.
func (s nameServers) query(ctx context.Context, name string, kind uint16) ([]dns.RR, time.Duration, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(dns.DefaultMsgSize, false)
	err := fmt.Errorf("%s: no name server", name)
	for _, server := range s.addrs {
		var reply *dns.Msg
		if reply, err = s.ask(ctx, question, server); err != nil {
			continue
		}
		switch reply.Rcode {
		case dns.RcodeSuccess, dns.RcodeNameError:
			return ofKind(reply.Answer, kind)
		}
		err = fmt.Errorf("%s: name server %s says %s", name, server, dns.RcodeToString[reply.Rcode])
	}
	return nil, 0, err
}

func exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	client := dns.Client{Timeout: queryTimeout}
	reply, _, err := client.ExchangeContext(ctx, question, server)
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		reply, _, err = client.ExchangeContext(ctx, question, server)
	}
	return reply, err
}

// queryTimeout is for one server; the next is asked after it.
const queryTimeout = time.Second

// ofKind takes the records of one type out of an answer, in which the CNAMEs that led to them may stand too.
func ofKind(answer []dns.RR, kind uint16) ([]dns.RR, time.Duration, error) {
	var found []dns.RR
	shortest := longestTTL
	for _, rr := range answer {
		shortest = min(shortest, time.Duration(rr.Header().Ttl)*time.Second)
		if rr.Header().Rrtype == kind {
			found = append(found, rr)
		}
	}
	if len(found) == 0 {
		return nil, 0, errNoRecord
	}
	return found, shortest, nil
}

// hostAddrs gives the addresses of a host; ttl is 0 where nobody said one.
func (n *names) hostAddrs(ctx context.Context, host string) (addrs []netip.Addr, ttl time.Duration, err error) {
	if !n.servers.addresses {
		addrs, err = n.resolver.LookupNetIP(ctx, "ip", host)
		return addrs, 0, err
	}
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, lasts, failed := n.servers.query(ctx, host, kind)
		if failed != nil {
			err = failed
			continue
		}
		if ttl == 0 || lasts < ttl {
			ttl = lasts
		}
		for _, rr := range records {
			if addr, ok := addrOf(rr); ok {
				addrs = append(addrs, addr)
			}
		}
	}
	if len(addrs) > 0 {
		err = nil
	}
	return addrs, ttl, err
}

func addrOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}

// hostOf is a record's name without its final dot, in lower case.
func hostOf(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
