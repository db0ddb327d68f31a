package e2e

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

const atNames = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"], resolver: "127.0.0.53:53"}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  caller: {members: ["sip:127.0.0.31:5060"], probe: {every: 0s}}
trunks:
  carrier: {uri: "sip:carrier.example", hide: false}
routes:
  - {from: caller, to: carrier}
`

// A trunk is a name: NAPTR chooses UDP, SRV names two servers, and the first is closed. A sipp is the other (RFC 3263, RFC 2782).
func TestTrunkByName(t *testing.T) {
	serveNames(t, "127.0.0.53:53",
		`carrier.example. 300 IN NAPTR 10 50 "s" "SIP+D2U" "" _sip._udp.carrier.example.`,
		`_sip._udp.carrier.example. 300 IN SRV 10 0 5060 closed.carrier.example.`,
		`_sip._udp.carrier.example. 300 IN SRV 20 0 5060 open.carrier.example.`,
		`closed.carrier.example. 300 IN A 127.0.0.50`,
		`open.carrier.example. 300 IN A 127.0.0.30`,
	)
	s := newSite(t, atNames)
	s.ladderOnFailure(t)
	open := boundedSipp(t, "brief-callee", "127.0.0.30", "", 2)
	boundedSipp(t, "brief-caller", "127.0.0.31", "127.0.0.20:5060", 2, "-d", "100").Wait(t)
	if t.Failed() {
		return // the other waits for calls that do not come
	}
	open.Wait(t)
	s.quiet(t)
}

// serveNames is a name server with these records, until the test ends.
func serveNames(t *testing.T, at string, records ...string) {
	t.Helper()
	by := map[dns.Question][]dns.RR{}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		h := rr.Header()
		q := dns.Question{Name: h.Name, Qtype: h.Rrtype, Qclass: h.Class}
		by[q] = append(by[q], rr)
	}
	sock, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: sock, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		reply := new(dns.Msg).SetReply(m)
		reply.Answer = by[m.Question[0]]
		_ = w.WriteMsg(reply)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-ended
	})
}
