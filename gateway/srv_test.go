package gateway

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// nameServer answers for the records that it has; no record is NXDOMAIN.
type nameServer struct {
	addr string

	mu      sync.Mutex
	records []string
}

func startNameServer(t *testing.T, records ...string) *nameServer {
	t.Helper()
	sock, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{addr: sock.LocalAddr().String(), records: records}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: sock, Handler: s, NotifyStartedFunc: func() { close(started) }}
	go func() { _ = server.ActivateAndServe() }() // until Shutdown
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return s
}

func (s *nameServer) set(records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = records
}

// ServeDNS implements dns.Handler.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := new(dns.Msg).SetReply(q)
	for _, text := range s.records {
		if rr, err := dns.NewRR(text); err == nil && rr.Header().Name == q.Question[0].Name && rr.Header().Rrtype == q.Question[0].Qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(reply)
}

// A pool's members are those that SRV records name, with their weights, priorities and transport; they follow the records, and stay while
// there are none.
func TestMembersBySRV(t *testing.T) {
	t.Parallel()
	const service, hosts = "_sip._udp.pbx.example. 1 IN SRV ", "a.pbx.example. 1 IN A 127.0.0.2"
	other := "b.pbx.example. 1 IN A 127.0.0.3"
	zone := startNameServer(t, service+"1 200 5080 a.pbx.example.", service+"2 50 5060 b.pbx.example.", hosts, other)
	text := reloadText(`pbx: {order: priority, source: {srv: _sip._udp.pbx.example, every: 20ms}, probe: off}`, oneRoute)
	g, _, log := reloadable(t, strings.Replace(text, "sip: {", "sip: {resolver: "+zone.addr+", ", 1))
	all := func() string {
		var list []string
		for _, b := range g.Backends() {
			list = append(list, fmt.Sprintf("%s*%d/%d", b.Name, b.Weight, b.Priority))
		}
		return strings.Join(list, " ")
	}
	const both = "pbx/a.pbx.example:5080*100/1 pbx/b.pbx.example:5060*25/2"
	if got := all(); got != both {
		t.Errorf("at the start: %s", got)
	}
	kept := g.sip.Backend("pbx/b.pbx.example:5060")

	zone.set(service+"1 10 5060 b.pbx.example.", service+"1 10 5060 c.pbx.example.", other, "c.pbx.example. 1 IN A 127.0.0.4")
	const now = "pbx/b.pbx.example:5060*10/1 pbx/c.pbx.example:5060*10/1"
	eventuallyIs(t, "other records, other members", func() bool { return all() == now })
	if g.sip.Backend("pbx/b.pbx.example:5060") != kept {
		t.Error("a member that stayed is another one")
	}

	for _, nothing := range [][]string{nil, {service + "0 0 0 ."}} { // no such name; decidedly not available (RFC 2782)
		before := strings.Count(log.String(), "those of before stay")
		zone.set(nothing...)
		eventuallyIs(t, "the lack of members is complained of", func() bool { return strings.Count(log.String(), "those of before stay") > before })
		if got := all(); got != now {
			t.Errorf("without records: %s", got)
		}
	}
	zone.set(service+"1 10 5060 a.pbx.example.", hosts)
	eventuallyIs(t, "records again", func() bool { return all() == "pbx/a.pbx.example:5060*10/1" })
}
