package sipside

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// place is one server of a target (RFC 3263 §4): where, how, and in which turn.
type place struct {
	transport transport
	addr      netip.AddrPort
	priority  int    // lower ones first
	weight    int    // its share among those of the same priority (RFC 2782)
	host      string // whose it is; "": the target's
	group     int    // the SRV record: its addresses are tried one after another
}

const (
	longestTTL  = time.Hour
	shortestTTL = time.Second
)

// service is one way that a domain offers SIP: a name of SRV records with the transport that they are for.
type service struct {
	name      string
	transport transport
}

// locate finds the servers of a target by RFC 3263 §4.1 and §4.2: NAPTR and SRV where neither address, port nor a host without
// domain settle it, else addresses alone. Places of a lower priority come first. ttl is 0 where nobody said one.
func (n *names) locate(ctx context.Context, t target) (places []place, ttl time.Duration, err error) {
	if !t.fixedPort && len(n.servers.addrs) > 0 && strings.Contains(t.host, ".") {
		if places, ttl = n.bySRV(ctx, t); len(places) > 0 {
			return places, ttl, nil
		}
	}
	return n.byAddress(ctx, t.transport, t.host, t.port, place{})
}

// byAddress gives a host's usable addresses as places like one.
func (n *names) byAddress(ctx context.Context, via transport, host string, port uint16, like place) ([]place, time.Duration, error) {
	addrs, ttl, err := n.hostAddrs(ctx, host)
	var places []place
	for _, addr := range addrs {
		if addr = addr.Unmap(); n.usable(addr) {
			like.transport, like.addr = via, netip.AddrPortFrom(addr, port)
			places = append(places, like)
		}
	}
	return places, ttl, err
}

func (n *names) bySRV(ctx context.Context, t target) (places []place, ttl time.Duration) {
	ttl = longestTTL
	services, lasts := n.services(ctx, t)
	ttl = min(ttl, lasts)
	const behind = 1 << 16 // an SRV priority is below it
	for i, s := range services {
		records, lasts, err := n.servers.query(ctx, s.name, dns.TypeSRV)
		if err != nil {
			continue
		}
		ttl = min(ttl, lasts)
		for j, rr := range records {
			srv := rr.(*dns.SRV)
			if hostOf(srv.Target) == "" { // RFC 2782: decidedly not available
				continue
			}
			like := place{priority: i*behind + int(srv.Priority), weight: int(srv.Weight), group: j}
			found, lasts, _ := n.byAddress(ctx, s.transport, hostOf(srv.Target), srv.Port, like)
			if lasts > 0 {
				ttl = min(ttl, lasts)
			}
			places = append(places, found...)
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.priority, b.priority) })
	return places, ttl
}

// services are the SRV names to ask for, in order: of the transport that the URI names, of those that NAPTR offers, or of
// all that we speak.
func (n *names) services(ctx context.Context, t target) ([]service, time.Duration) {
	if t.fixedTransport {
		return []service{serviceOf(t.host, t.transport)}, longestTTL
	}
	records, ttl, err := n.servers.query(ctx, t.host, dns.TypeNAPTR)
	if offered := offers(records, t.transport == tlsT); err == nil && len(offered) > 0 {
		return offered, ttl
	}
	if t.transport == tlsT {
		return []service{serviceOf(t.host, tlsT)}, longestTTL
	}
	return []service{serviceOf(t.host, udp), serviceOf(t.host, tcp)}, longestTTL
}

func serviceOf(host string, t transport) service {
	prefix := map[transport]string{udp: "_sip._udp.", tcp: "_sip._tcp.", tlsT: "_sips._tcp."}[t]
	return service{prefix + host, t}
}

// offers are the SIP services of NAPTR records that we speak, by order and preference (RFC 3263 §4.1); a sips URI goes by TLS
// only. Pure.
func offers(records []dns.RR, secure bool) []service {
	var known []*dns.NAPTR
	for _, rr := range records {
		if naptr, ok := rr.(*dns.NAPTR); ok && strings.EqualFold(naptr.Flags, "s") && naptrTransport(naptr, secure) != "" {
			known = append(known, naptr)
		}
	}
	slices.SortStableFunc(known, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var list []service
	for _, naptr := range known {
		list = append(list, service{hostOf(naptr.Replacement), naptrTransport(naptr, secure)})
	}
	return list
}

func naptrTransport(naptr *dns.NAPTR, secure bool) transport {
	switch strings.ToUpper(naptr.Service) {
	case "SIPS+D2T":
		return tlsT
	case "SIP+D2U":
		if !secure {
			return udp
		}
	case "SIP+D2T":
		if !secure {
			return tcp
		}
	}
	return ""
}

// draw puts places of each priority into the order of one request: SRV records by weighted lot (RFC 2782), the addresses of
// one record as they stand. chance gives a number below n. Pure but for chance; places come sorted by priority.
func draw(places []place, chance func(n int) int) []place {
	rest, drawn := slices.Clone(places), make([]place, 0, len(places))
	for len(rest) > 0 {
		level := 1
		for level < len(rest) && rest[level].priority == rest[0].priority {
			level++
		}
		group := chosenGroup(rest[:level], chance)
		for i := 0; i < level; {
			if rest[i].group == group {
				drawn = append(drawn, rest[i])
				rest = slices.Delete(rest, i, i+1)
				level--
				continue
			}
			i++
		}
	}
	return drawn
}

// chosenGroup draws one SRV record of a priority by weight; those of weight 0 have a small chance.
func chosenGroup(level []place, chance func(int) int) int {
	total, seen := 0, map[int]bool{}
	for _, p := range level {
		if !seen[p.group] {
			seen[p.group] = true
			total += max(p.weight*100, 1)
		}
	}
	at := chance(total)
	clear(seen)
	for _, p := range level {
		if seen[p.group] {
			continue
		}
		seen[p.group] = true
		if at -= max(p.weight*100, 1); at < 0 {
			return p.group
		}
	}
	return level[0].group
}

func drawn(places []place) []place {
	if len(places) < 2 {
		return places
	}
	return draw(places, rand.IntN)
}
