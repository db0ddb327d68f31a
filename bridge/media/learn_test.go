package media

import (
	"net/netip"
	"testing"

	"tandem/bridge/sdp"
)

func TestLearner(t *testing.T) {
	const told, other, signalling, far = "10.0.0.1:4000", "10.0.0.1:5000", "10.0.0.9:6000", "192.0.2.1:7000"
	type step struct {
		from string
		ssrc uint32
		at   int64
		want DropReason
	}
	repeat := func(n int, s step) (list []step) {
		for range n {
			list = append(list, s)
		}
		return list
	}
	join := func(lists ...[]step) (all []step) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		mode  learnMode
		steps []step
	}{
		{"strict takes the address of the SDP only", learnStrict, join(
			repeat(1, step{other, 1, 0, DropSource}), repeat(1, step{signalling, 1, 0, DropSource}), repeat(9, step{told, 1, 0, dropNone}))},
		{"signalling takes another port", learnSignalling, repeat(9, step{other, 1, 0, dropNone})},
		{"signalling takes the signalling's source", learnSignalling, repeat(9, step{signalling, 1, 0, dropNone})},
		{"signalling takes nobody else", learnSignalling, repeat(9, step{far, 1, 0, DropSource})},
		{"any takes all in time", learnAny, repeat(9, step{far, 1, 99, dropNone})},
		{"any is over after its time", learnAny, join(repeat(1, step{far, 1, 101, DropSource}), repeat(1, step{told, 1, 101, dropNone}))},
		{"any keeps what it learnt", learnAny, join(repeat(4, step{far, 1, 0, dropNone}), repeat(4, step{far, 1, 500, dropNone}))},
		{"four in a row lock", learnSignalling, join(repeat(4, step{told, 1, 0, dropNone}), repeat(9, step{signalling, 2, 0, DropInjected}))},
		{"three do not", learnSignalling, join(repeat(3, step{told, 1, 0, dropNone}), repeat(4, step{signalling, 2, 0, dropNone}),
			repeat(1, step{told, 1, 0, DropInjected}))},
		{"not in a row does not", learnSignalling, join(repeat(3, step{told, 1, 0, dropNone}), repeat(1, step{other, 2, 0, dropNone}),
			repeat(3, step{told, 1, 0, dropNone}), repeat(1, step{other, 2, 0, dropNone}))},
		{"a new SSRC of the locked source loses nothing", learnSignalling, join(repeat(4, step{told, 1, 0, dropNone}),
			repeat(9, step{told, 2, 0, dropNone}), repeat(1, step{told, 1, 0, dropNone}), repeat(1, step{other, 2, 0, DropInjected}))},
		{"spray does not lock while the peer speaks too", learnAny, join(repeat(3, step{far, 1, 0, dropNone}), repeat(1, step{told, 2, 0, dropNone}),
			repeat(9, step{far, 1, 0, DropSource}), repeat(9, step{told, 2, 0, dropNone}))},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := learner{mode: c.mode, signalling: netip.MustParseAddr("10.0.0.9")}
			l.expect(netip.MustParseAddrPort(told), 100)
			for i, s := range c.steps {
				from := sockaddrOf(netip.MustParseAddrPort(s.from))
				if got, _ := l.judge(&from, s.ssrc, s.at); got != s.want {
					t.Fatalf("step %d, %s ssrc %d: %v, want %v", i, s.from, s.ssrc, got, s.want)
				}
			}
		})
	}
}

func TestLearnerAfterNewDescription(t *testing.T) {
	l := learner{mode: learnSignalling, signalling: netip.MustParseAddr("10.0.0.9")}
	told, moved := netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.9:6000")
	from, to := sockaddrOf(told), sockaddrOf(moved)
	l.expect(told, 100)
	for range lockAfter {
		l.judge(&from, 1, 0)
	}
	l.expect(told, 100) // the same again: another source may prove itself once the first is silent
	if got, _ := l.judge(&to, 2, lockSilent-1); got != DropInjected {
		t.Fatalf("while the first speaks: %v", got)
	}
	for i := range lockAfter {
		if got, learnt := l.judge(&to, 2, lockSilent); got != dropNone || learnt != (i == lockAfter-1) {
			t.Fatalf("packet %d: %v, learnt %v", i, got, learnt)
		}
	}
	if got, _ := l.judge(&from, 1, lockSilent); got != DropInjected {
		t.Errorf("the old source: %v", got)
	}
	l.expect(netip.MustParseAddrPort("10.0.0.1:4002"), 100)
	if l.locked {
		t.Error("still locked after the address changed")
	}
}

// A phone that moves by a re-INVITE may send a few packets more from where it was; the address of its SDP is heard all the same
// once these end, and nobody else is.
func TestLearnerHearsTheDescribedAddressAtLast(t *testing.T) {
	l := learner{mode: learnSignalling, signalling: netip.MustParseAddr("10.0.0.9")}
	before, after := netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.1:5000")
	old, told, other := sockaddrOf(before), sockaddrOf(after), sockaddrOf(netip.MustParseAddrPort("10.0.0.9:6000"))
	l.expect(before, 100)
	l.expect(after, 100)
	for range lockAfter {
		l.judge(&old, 1, 0)
	}
	for _, step := range []struct {
		from *sockaddr
		at   int64
		want DropReason
	}{
		{&told, lockSilent - 1, DropInjected},
		{&other, lockSilent, DropInjected},
		{&told, lockSilent, dropNone}, {&told, lockSilent, dropNone}, {&told, lockSilent, dropNone}, {&told, lockSilent, dropNone},
		{&old, lockSilent, DropInjected},
		{&old, 9 * lockSilent, DropInjected},
	} {
		if got, _ := l.judge(step.from, 1, step.at); got != step.want {
			t.Fatalf("%v at %d: %v, want %v", step.from.addrPort(), step.at, got, step.want)
		}
	}
}

// rtpCall is two phones joined by RTP legs.
func rtpCall(t *testing.T, e *Engine) (legs [2]*Leg, phones [2]*phone) {
	t.Helper()
	for i := range legs {
		legs[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP, Signalling: home(t)})
		phones[i] = newPhone(t, legs[i].Local())
		legs[i].SetRemote(phones[i].remote())
	}
	e.Join(legs[0], legs[1], opusPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	return legs, phones
}

func TestInjectedPacketsGoNowhere(t *testing.T) {
	legs, phones := rtpCall(t, open(t))
	for range lockAfter {
		phones[0].sendRTP(111, "real")
		if p := phones[1].receiveRTP(); string(p.Payload) != "real" {
			t.Fatalf("got %v", p)
		}
	}
	injector := newPhone(t, legs[0].Local())
	injector.sendRTP(111, "injected")
	waitFor(t, "the injected packet to be counted", func() bool { return legs[0].Stats().Drops[DropInjected.String()] == 1 })
	sendTo(t, injector.rtcp, netip.AddrPortFrom(phones[0].to.Addr(), phones[0].to.Port()+1), []byte("nonsense"))
	waitFor(t, "nonsense to be counted", func() bool { return legs[0].Stats().Drops[DropRTCPMalformed.String()] == 1 })
	phones[0].sendRTP(111, "real again")
	if p := phones[1].receiveRTP(); string(p.Payload) != "real again" {
		t.Fatalf("got %v", p)
	}
}

// A phone behind a NAT sends from elsewhere than its SDP says; packets follow it once it is learnt.
func TestPacketsFollowTheLearntSource(t *testing.T) {
	legs, phones := rtpCall(t, open(t))
	behind := newPhone(t, legs[0].Local())
	phones[1].sendRTP(107, "to the SDP's address")
	if p := phones[0].receiveRTP(); string(p.Payload) != "to the SDP's address" {
		t.Fatalf("got %v", p)
	}
	for range lockAfter {
		behind.sendRTP(111, "from behind")
		phones[1].receiveRTP()
	}
	phones[1].sendRTP(107, "to the learnt one")
	if p := behind.receiveRTP(); string(p.Payload) != "to the learnt one" {
		t.Fatalf("got %v", p)
	}
}
