package sipside

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/miekg/dns"

	"tandem/sipside/transaction"
)

// zone is a name server of a test, by question ("carrier.example. SRV").
type zone struct {
	mu    sync.Mutex
	rrs   map[string][]string
	asked map[string]int
}

func newZone(records ...string) *zone {
	z := &zone{rrs: map[string][]string{}, asked: map[string]int{}}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		key := rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype]
		z.rrs[key] = append(z.rrs[key], text)
	}
	return z
}

func (z *zone) answer(question *dns.Msg) *dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := question.Question[0]
	key := q.Name + " " + dns.TypeToString[q.Qtype]
	z.asked[key]++
	reply := new(dns.Msg).SetReply(question)
	for _, text := range z.rrs[key] {
		rr, _ := dns.NewRR(text)
		reply.Answer = append(reply.Answer, rr)
	}
	return reply
}

func (z *zone) count(key string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[key]
}

// serve answers at a UDP port until the test ends.
func (z *zone) serve(t *testing.T) netip.AddrPort {
	t.Helper()
	sock := newDatagramPeer(t, "127.0.0.53").sock
	server := &dns.Server{PacketConn: sock, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(z.answer(q)) })}
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return netip.MustParseAddrPort(sock.LocalAddr().String())
}

func (z *zone) names(ttl time.Duration) *names {
	return &names{
		servers: nameServers{addrs: []string{"zone"}, addresses: true, ask: func(_ context.Context, q *dns.Msg, _ string) (*dns.Msg, error) {
			return z.answer(q), nil
		}},
		usable:  func(addr netip.Addr) bool { return addr.Is4() },
		timeout: time.Second, ttl: ttl, ctx: context.Background(), known: map[target]*answer{},
		spawn: func(f func()) bool { go f(); return true },
	}
}

// RFC 3263 §4.1 and §4.2: what decides about transport, host and port.
func TestLocate(t *testing.T) {
	naptr := []string{
		`a.example. 300 IN NAPTR 50 50 "s" "SIP+D2T" "" _sip._tcp.a.example.`,
		`a.example. 300 IN NAPTR 10 50 "s" "SIPS+D2T" "" _sips._tcp.a.example.`,
		`a.example. 300 IN NAPTR 90 50 "s" "SIP+D2U" "" _sip._udp.a.example.`,
		`a.example. 300 IN NAPTR 5 50 "s" "SIP+D2S" "" _sip._sctp.a.example.`,
	}
	srv := []string{
		"_sips._tcp.a.example. 300 IN SRV 0 1 5071 one.a.example.",
		"_sip._tcp.a.example. 300 IN SRV 0 1 5072 one.a.example.",
		"_sip._udp.a.example. 300 IN SRV 1 1 5074 two.a.example.",
		"_sip._udp.a.example. 300 IN SRV 0 1 5073 one.a.example.",
		"_sip._sctp.a.example. 300 IN SRV 0 1 5075 one.a.example.",
	}
	hosts := []string{
		"a.example. 300 IN A 10.0.0.1", "one.a.example. 300 IN A 10.0.0.2", "one.a.example. 300 IN A 10.0.0.3",
		"one.a.example. 300 IN AAAA 2001:db8::1", "two.a.example. 300 IN A 10.0.0.4",
	}
	none := []string{"_sip._udp.a.example. 300 IN SRV 0 0 0 ."}
	for _, row := range []struct {
		name, uri, want string
		zone            [][]string
	}{
		{"NAPTR orders the transports", "sip:a.example", "TLS 10.0.0.2:5071, TLS 10.0.0.3:5071, TCP 10.0.0.2:5072, TCP 10.0.0.3:5072, " +
			"UDP 10.0.0.2:5073, UDP 10.0.0.3:5073, UDP 10.0.0.4:5074", [][]string{naptr, srv, hosts}},
		{"sips takes TLS only", "sips:a.example", "TLS 10.0.0.2:5071, TLS 10.0.0.3:5071", [][]string{naptr, srv, hosts}},
		{"transport: SRV without NAPTR", "sip:a.example;transport=tcp", "TCP 10.0.0.2:5072, TCP 10.0.0.3:5072", [][]string{naptr, srv, hosts}},
		{"port: addresses alone", "sip:a.example:5999", "UDP 10.0.0.1:5999", [][]string{naptr, srv, hosts}},
		{"no NAPTR: SRV of each", "sip:a.example", "UDP 10.0.0.2:5073, UDP 10.0.0.3:5073, UDP 10.0.0.4:5074, TCP 10.0.0.2:5072, TCP 10.0.0.3:5072",
			[][]string{srv, hosts}},
		{"no SRV: addresses", "sip:a.example", "UDP 10.0.0.1:5060", [][]string{hosts}},
		{"no SRV, sips", "sips:a.example", "TLS 10.0.0.1:5061", [][]string{hosts}},
		{"SRV that says no", "sip:a.example", "UDP 10.0.0.1:5060", [][]string{none, hosts}},
		{"nothing", "sip:a.example", "", nil},
	} {
		var records []string
		for _, part := range row.zone {
			records = append(records, part...)
		}
		at, err := targetOf(uri(t, row.uri))
		if err != nil {
			t.Fatal(err)
		}
		places, _, _ := newZone(records...).names(time.Second).locate(t.Context(), at)
		var got []string
		for _, p := range places {
			got = append(got, fmt.Sprint(p.transport, " ", p.addr))
		}
		if text := strings.Join(got, ", "); text != row.want {
			t.Errorf("%s:\n%s, want\n%s", row.name, text, row.want)
		}
	}
}

// RFC 2782: lower priorities first, and among equals each as often first as its weight says.
func TestDrawObeysPriorityAndWeight(t *testing.T) {
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 5060) }
	places := []place{
		{addr: at(1), priority: 1, weight: 30, group: 0}, {addr: at(2), priority: 1, weight: 10, group: 1},
		{addr: at(3), priority: 1, weight: 0, group: 2}, {addr: at(4), priority: 2, weight: 99, group: 0},
	}
	chance := rand.New(rand.NewPCG(1, 2)).IntN
	first := map[netip.AddrPort]int{}
	for range 8000 {
		order := draw(places, chance)
		if len(order) != 4 || order[3].addr != at(4) {
			t.Fatalf("%v", order)
		}
		first[order[0].addr]++
	}
	if n := first[at(1)]; n < 5700 || n > 6300 {
		t.Errorf("three quarters of 8000 by weight: %d", n)
	}
	if n := first[at(3)]; n > 40 {
		t.Errorf("weight 0 came first %d times", n)
	}
}

func TestServersAreKnownForTheirTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone("_sip._udp.a.example. 100 IN SRV 0 1 5073 one.a.example.", "one.a.example. 60 IN A 10.0.0.2")
		n := z.names(time.Second)
		a, err := targetOf(uri(t, "sip:a.example"))
		if err != nil {
			t.Fatal(err)
		}
		const question = "_sip._udp.a.example. SRV"
		for _, row := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {59 * time.Second, 1}, {2 * time.Second, 2}, {58 * time.Second, 2}, {3 * time.Second, 3}} {
			time.Sleep(row.after)
			if _, err := n.wait(a); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := z.count(question); got != row.asked {
				t.Errorf("after another %v it was asked %d times, want %d", row.after, got, row.asked)
			}
		}
	})
}

// srv is a domain with a dead server first and a living one second.
func srv(service string, dead, alive netip.AddrPort) []string {
	return []string{
		fmt.Sprintf("%s.a.example. 300 IN SRV 0 1 %d dead.a.example.", service, dead.Port()),
		fmt.Sprintf("%s.a.example. 300 IN SRV 1 1 %d alive.a.example.", service, alive.Port()),
		"dead.a.example. 300 IN A " + dead.Addr().String(), "alive.a.example. 300 IN A " + alive.Addr().String(),
	}
}

// RFC 3263 §4.3: a server that does not connect gives way to the next, and the user's transaction hears nothing of it.
func TestNextServerWhereTCPDoesNotConnect(t *testing.T) {
	dead, alive := listenStream(t, "127.0.0.92:0"), listenStream(t, "127.0.0.2:0")
	_ = dead.l.Close()
	cfg := trunk(t, "sip:a.example;transport=tcp")
	cfg.DNS = newZone(srv("_sip._tcp", dead.at, alive.at)...).serve(t)
	d := openDoor(t, cfg, testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@a.example", ""), on); err != nil {
		t.Fatal(err)
	}
	peer := alive.accept()
	text := peer.read()
	peer.send(answerTo(t, text, 200, "OK"))
	if e := receive(t, "the response", got); e.Err != nil {
		t.Error(e.Err)
	}
	if !strings.Contains(header(text, "Via"), ";alias") {
		t.Errorf("the connection is not offered: %s", header(text, "Via"))
	}
}

// By UDP a server that stays silent gives way, with the same branch; what belongs to the transaction follows.
func TestNextServerWhereUDPIsSilent(t *testing.T) {
	dead, alive := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.2")
	cfg := trunk(t, "sip:a.example")
	cfg.DNS = newZone(srv("_sip._udp", dead.at, alive.at)...).serve(t)
	cfg.Timers = transaction.Config{T1: 150 * time.Millisecond}
	d := openDoor(t, cfg, testLimits())
	got, on := events()
	tx, err := d.Backend("pbx").Request(request(t, "INVITE", "sip:bob@a.example", ""), on)
	if err != nil {
		t.Fatal(err)
	}
	text, from := alive.read()
	unheard, _ := dead.read()
	if header(unheard, "Via") != header(text, "Via") {
		t.Errorf("Via %s, then %s", header(unheard, "Via"), header(text, "Via"))
	}
	alive.send(from, answerTo(t, text, 180, "Ringing"))
	if e := receive(t, "the 180", got); e.Response == nil || e.Response.StatusCode != 180 {
		t.Fatalf("%+v", e)
	}
	if err := tx.Cancel(); err != nil {
		t.Fatal(err)
	}
	cancel := text
	for !strings.HasPrefix(cancel, string(sip.CANCEL)) {
		cancel, _ = alive.read()
	}
	alive.send(from, answerTo(t, cancel, 200, "OK"))
	alive.send(from, answerTo(t, text, 487, "Request Terminated"))
	if e := receive(t, "the 487", got); e.Response == nil || e.Response.StatusCode != 487 {
		t.Fatalf("%+v", e)
	}
}

// A NAPTR record may lead to another transport than the URI's default: Via says what is used.
func TestNAPTRChoosesTheTransport(t *testing.T) {
	pbx := listenStream(t, "127.0.0.1:0")
	cfg := trunk(t, "sip:a.example")
	cfg.DNS = newZone(`a.example. 300 IN NAPTR 10 50 "s" "SIP+D2T" "" _sip._tcp.a.example.`,
		fmt.Sprintf("_sip._tcp.a.example. 300 IN SRV 0 1 %d one.a.example.", pbx.at.Port()), "one.a.example. 300 IN A 127.0.0.1").serve(t)
	d := openDoor(t, cfg, testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@a.example", ""), on); err != nil {
		t.Fatal(err)
	}
	peer := pbx.accept()
	text := peer.read()
	if !strings.HasPrefix(header(text, "Via"), "SIP/2.0/TCP "+d.Addrs()[1].String()+";") {
		t.Errorf("Via %s", header(text, "Via"))
	}
	peer.send(answerTo(t, text, 200, "OK"))
	if e := receive(t, "the response", got); e.Err != nil {
		t.Error(e.Err)
	}
	if c := d.Backend("pbx").Contact("x1"); c.String() != "sip:x1@"+d.Addrs()[1].String()+";transport=tcp" {
		t.Errorf("Contact %s", c.String())
	}
}
