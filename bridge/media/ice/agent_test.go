package ice

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// side is an agent on a network in memory.
type side struct {
	agent      *Agent
	name       string
	at         [2]netip.AddrPort // of its components
	own        Credentials
	selected   [2]netip.AddrPort
	selections int
	expired    []int
	failed     int
	seen       []*stun.Message // requests of its own that were sent
	verdicts   map[Verdict]int
}

// network carries messages between sides, each 10 ms long on its way.
type network struct {
	t     *testing.T
	now   int64
	sides []*side
	way   []letter
	lose  func(from *side, to netip.AddrPort, m []byte) bool
	alias map[netip.AddrPort]netip.AddrPort // what the far side sees as the source
}

type letter struct {
	at       int64
	from, to netip.AddrPort
	data     []byte
}

const ms = int64(time.Millisecond)

func newNetwork(t *testing.T) *network {
	return &network{t: t, now: ms, alias: map[netip.AddrPort]netip.AddrPort{}}
}

func (n *network) add(name string, addr string) *side {
	s := &side{name: name, own: Credentials{name + "frag", name + "passwordpasswordpassword"}, verdicts: map[Verdict]int{}}
	for i := range s.at {
		s.at[i] = netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(4000+i))
	}
	s.agent = New(Config{
		Local: s.own, Consent: 30000 * ms, Limit: 30000 * ms,
		Send: func(component int, to netip.AddrPort, p []byte) {
			m := &stun.Message{Raw: append([]byte(nil), p...)}
			if m.Decode() == nil && m.Type.Class == stun.ClassRequest {
				s.seen = append(s.seen, m)
			}
			if n.lose != nil && n.lose(s, to, p) {
				return
			}
			from := s.at[component-1]
			if a, ok := n.alias[from]; ok {
				from = a
			}
			n.way = append(n.way, letter{n.now + 10*ms, from, to, m.Raw})
		},
		Selected: func(component int, to netip.AddrPort) {
			s.selected[component-1] = to
			s.selections++
		},
		Expired: func(component int) { s.expired = append(s.expired, component) },
		Failed:  func() { s.failed++ },
	})
	n.sides = append(n.sides, s)
	return s
}

// describes is what a side's SDP says.
func (s *side) describes(controlling bool, components int) Remote {
	r := Remote{Credentials: s.own, Controlling: controlling, Components: components}
	for i := range components {
		r.Candidates = append(r.Candidates, Candidate{s.at[i], i + 1, uint32(hostPreferred | 255 - i)})
	}
	return r
}

// run lets time pass.
func (n *network) run(span int64) {
	for end := n.now + span; ; {
		next := end
		for _, l := range n.way {
			next = min(next, l.at)
		}
		for _, s := range n.sides {
			if due := s.agent.Due(); due != 0 {
				next = min(next, max(due, n.now))
			}
		}
		n.now = next
		for i := 0; i < len(n.way); i++ {
			if l := n.way[i]; l.at <= n.now {
				n.way = append(n.way[:i], n.way[i+1:]...)
				n.deliver(l)
				i = -1
			}
		}
		for _, s := range n.sides {
			if due := s.agent.Due(); due != 0 && due <= n.now {
				s.agent.Advance(n.now)
				if due := s.agent.Due(); due != 0 && due <= n.now {
					n.t.Fatalf("%s is due again at once", s.name)
				}
			}
		}
		if n.now >= end {
			return
		}
	}
}

func (n *network) deliver(l letter) {
	for _, s := range n.sides {
		for i, at := range s.at {
			if at == l.to || n.alias[at] == l.to {
				s.verdicts[s.agent.Receive(i+1, l.from, l.data, n.now)]++
			}
		}
	}
}

// meet has two sides know of each other.
func (n *network) meet(a, b *side, components int, controlling [2]bool) {
	a.agent.SetRemote(b.describes(controlling[0], components), n.now)
	b.agent.SetRemote(a.describes(controlling[1], components), n.now)
	a.agent.Begin(n.now)
	b.agent.Begin(n.now)
}

func (n *network) settled(a, b *side, components int) {
	n.t.Helper()
	for i := range components {
		if a.selected[i] != b.at[i] && n.alias[b.at[i]] != a.selected[i] {
			n.t.Errorf("component %d: %s sends to %v", i+1, a.name, a.selected[i])
		}
		if b.selected[i] != a.at[i] && n.alias[a.at[i]] != b.selected[i] {
			n.t.Errorf("component %d: %s sends to %v", i+1, b.name, b.selected[i])
		}
	}
}

// Whatever the roles that both sides begin with, one controls and both settle on the same pairs.
func TestTwoAgents(t *testing.T) {
	for _, controlling := range [][2]bool{{true, false}, {false, true}, {true, true}, {false, false}} {
		for components := 1; components <= 2; components++ {
			for range 8 { // the tie-breakers differ
				n := newNetwork(t)
				a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
				n.meet(a, b, components, controlling)
				n.run(2000 * ms)
				n.settled(a, b, components)
				if a.agent.controlling == b.agent.controlling {
					t.Errorf("began as %v: both have one role", controlling)
				}
				if conflict := controlling[0] == controlling[1]; conflict != (a.verdicts[Role]+b.verdicts[Role] > 0) {
					t.Errorf("began as %v: conflicts %v %v", controlling, a.verdicts, b.verdicts)
				}
			}
		}
	}
}

// A fifth, then half of all messages are lost.
func TestLoss(t *testing.T) {
	for _, every := range []int{5, 2} {
		n := newNetwork(t)
		count := 0
		n.lose = func(*side, netip.AddrPort, []byte) bool { count++; return count%every == 0 }
		a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
		n.meet(a, b, 2, [2]bool{true, false})
		n.run(20000 * ms)
		n.settled(a, b, 2)
	}
}

// Checks go out one each 50 ms, however many pairs there are, and are repeated ever more slowly.
func TestPacing(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
	n.lose = func(*side, netip.AddrPort, []byte) bool { return true }
	r := b.describes(true, 1)
	for i := range 9 {
		r.Candidates = append(r.Candidates, Candidate{netip.AddrPortFrom(b.at[0].Addr(), uint16(5000+i)), 1, uint32(100 + i)})
	}
	a.agent.SetRemote(r, n.now)
	n.run(1000 * ms)
	if len(a.seen) != 0 {
		t.Fatal("checks before Begin")
	}
	a.agent.Begin(n.now)
	n.run(449 * ms)
	if len(a.seen) != 9 {
		t.Errorf("%d checks in 449 ms", len(a.seen))
	}
	n.run(40000 * ms)
	if len(a.seen) != 10*mostTries || a.failed != 1 {
		t.Errorf("%d checks, failed %d times", len(a.seen), a.failed)
	}
	user, err := a.seen[0].Get(stun.AttrUsername)
	if err != nil || string(user) != "bfrag:afrag" || !a.seen[0].Contains(stun.AttrPriority) || !a.seen[0].Contains(stun.AttrICEControlling) {
		t.Errorf("request %v", a.seen[0])
	}
}

// A side behind a NAT is found by its checks alone.
func TestPeerReflexive(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", "10.0.0.1"), n.add("b", "192.168.0.2")
	n.alias[b.at[0]] = netip.MustParseAddrPort("10.9.9.9:1234")
	n.alias[b.at[1]] = netip.MustParseAddrPort("10.9.9.9:1235")
	private := b.at
	n.lose = func(_ *side, to netip.AddrPort, _ []byte) bool { return to == private[0] || to == private[1] }
	n.meet(a, b, 2, [2]bool{true, false})
	n.run(3000 * ms)
	n.settled(a, b, 2)
	if !a.agent.Accepts(1, n.alias[b.at[0]]) || a.agent.Accepts(1, netip.MustParseAddrPort("10.9.9.9:1236")) {
		t.Error("packets are taken from the wrong places")
	}
}

// Checks that come before the peer's description are answered, and count once it is there.
func TestEarlyChecks(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
	b.agent.SetRemote(a.describes(false, 1), n.now)
	b.agent.Begin(n.now)
	n.run(300 * ms)
	if b.verdicts[Good] == 0 || a.selections != 0 {
		t.Fatalf("b heard %v, a selected %d", b.verdicts, a.selections)
	}
	a.agent.SetRemote(Remote{Credentials: b.own, Controlling: true, Components: 1}, n.now) // without candidates
	a.agent.Begin(n.now)
	n.run(1000 * ms)
	n.settled(a, b, 1)
}

// While both live consent is asked for every 4 to 6 s; when one is gone the other stops after 30 s.
func TestConsent(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
	n.meet(a, b, 1, [2]bool{true, false})
	n.run(1000 * ms)
	before := len(a.seen)
	n.run(60000 * ms)
	if asked := len(a.seen) - before; asked < 10 || asked > 15 || len(a.expired) > 0 {
		t.Fatalf("asked %d times, expired %v", asked, a.expired)
	}
	n.lose = func(s *side, _ netip.AddrPort, _ []byte) bool { return s == b }
	n.run(24000 * ms)
	if len(a.expired) > 0 {
		t.Error("expired too early")
	}
	n.run(7000 * ms)
	if len(a.expired) != 1 || a.expired[0] != 1 {
		t.Errorf("expired %v", a.expired)
	}
	before = len(a.seen)
	n.run(60000 * ms)
	if len(a.seen) != before {
		t.Error("still asks")
	}
}

// A restart of either side moves the stream to another address while the old one stays in use meanwhile.
func TestRestart(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
	n.meet(a, b, 1, [2]bool{true, false})
	n.run(1000 * ms)
	n.settled(a, b, 1)
	old := b.at[0]
	b.at[0] = netip.MustParseAddrPort("10.0.0.3:4000")
	b.own = Credentials{"bnew", "newpasswordnewpassword"}
	b.agent.Restart(b.own)
	a.own = Credentials{"anew", "newpasswordofanewpassword"}
	a.agent.Restart(a.own)
	if !a.agent.Accepts(1, old) || a.selected[0] != old {
		t.Error("the old pair is gone at once")
	}
	n.meet(a, b, 1, [2]bool{true, false})
	if !a.agent.Accepts(1, old) {
		t.Error("the old pair is gone before there is a new one")
	}
	n.run(1000 * ms)
	n.settled(a, b, 1)
	selections := a.selections
	a.agent.SetRemote(b.describes(true, 1), n.now) // a refresh
	n.run(10000 * ms)
	if a.selections != selections {
		t.Error("a refresh began anew")
	}
}

// Who knows no password changes nothing.
func TestForgeries(t *testing.T) {
	n := newNetwork(t)
	a, b, forger := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2"), n.add("f", "10.0.0.3")
	n.meet(a, b, 1, [2]bool{true, false})
	forger.own = Credentials{b.own.Ufrag, "awrongpasswordawrongpassword"}
	wrong := a.describes(true, 1)
	wrong.Password = "anotherwrongpasswordanother"
	forger.agent.SetRemote(wrong, n.now)
	forger.agent.Begin(n.now)
	n.run(3000 * ms)
	n.settled(a, b, 1)
	if a.verdicts[Integrity] == 0 || forger.selections != 0 || a.agent.Accepts(1, forger.at[0]) {
		t.Errorf("a heard %v, the forger selected %d", a.verdicts, forger.selections)
	}
	for verdict, message := range map[Verdict][]byte{
		Malformed:  []byte("no STUN"),
		Unexpected: stun.MustBuild(stun.TransactionID, stun.BindingSuccess, stun.Fingerprint).Raw,
		Good:       stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication), stun.Fingerprint).Raw,
		Ufrag: stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("who:b"),
			stun.NewShortTermIntegrity("x"), stun.Fingerprint).Raw,
	} {
		if got := a.agent.Receive(1, b.at[0], message, n.now); got != verdict {
			t.Errorf("verdict %d, want %d", got, verdict)
		}
	}
}

// Resume goes on without checks until consent is due.
func TestResume(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
	n.meet(a, b, 1, [2]bool{true, false})
	n.run(1000 * ms)
	again := n.add("a", "10.0.0.1")
	n.sides = []*side{again, b}
	again.agent.SetRemote(b.describes(true, 1), n.now)
	again.agent.Resume(1, b.at[0], n.now)
	n.run(60000 * ms)
	n.settled(again, b, 1)
	if len(again.expired)+len(b.expired) > 0 {
		t.Errorf("expired %v %v", again.expired, b.expired)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("afrag:bfrag"),
		stun.NewShortTermIntegrity("apasswordpasswordpassword"), stun.Fingerprint).Raw)
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingSuccess, stun.Fingerprint).Raw)
	f.Fuzz(func(t *testing.T, p []byte) {
		n := newNetwork(t)
		a, b := n.add("a", "10.0.0.1"), n.add("b", "10.0.0.2")
		a.agent.Receive(1, b.at[0], p, n.now)
		n.meet(a, b, 1, [2]bool{true, false})
		a.agent.Receive(1, b.at[0], p, n.now)
		n.run(2000 * ms)
		n.settled(a, b, 1)
	})
}
