package bridge

import (
	"testing"

	"tandem/sipside/siptest"
)

// pairs runs a flow with each of two parties at a browser and at a phone.
func pairs(t *testing.T, flow func(t *testing.T, at [2]string)) {
	for _, at := range [][2]string{{atBrowser, atBrowser}, {atBrowser, atPhone}, {atPhone, atBrowser}, {atPhone, atPhone}} {
		t.Run(at[0]+" calls "+at[1], func(t *testing.T) {
			t.Parallel()
			flow(t, at)
		})
	}
}

// RFC 3665 §3.1 and §3.8 to §3.11: a call that is answered and that either hangs up, one that is given up, and those that are
// refused.
func TestBasicFlows(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, at [2]string) {
		w := parties(t)
		alice, bob := w.party(at[0], "alice", 440), w.party(at[1], "bob", 1000)
		leaves := [][2]anyone{{alice, bob}, {bob, alice}}
		for _, left := range leaves {
			w.talk(alice, bob, called(at[1], "bob"))
			alice.hears(1000)
			bob.hears(440)
			left[0].hangsUp()
			left[1].ended()
		}
		alice.calls(called(at[1], "bob"))
		bob.rings(false)
		alice.hearsRinging()
		done := make(chan struct{})
		w.meanwhile(func() { defer close(done); bob.ended() })
		alice.cancels()
		<-done
		for _, status := range []int{486, 480, 603, 488} {
			alice.calls(called(at[1], "bob"))
			bob.rings(false)
			bob.rejects(status)
			if got := alice.refused(); got != status {
				t.Errorf("refused with %d, heard %d", status, got)
			}
		}
		w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
	})
}

// talk brings a call up.
func (w *world) talk(from, to anyone, user string) {
	w.t.Helper()
	from.calls(user)
	to.rings(false)
	from.hearsRinging()
	to.answers()
	from.connected()
}

// RFC 5359 §2.1 and §2.2: either holds, asks a third meanwhile, and comes back.
func TestConsultationHold(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, at [2]string) {
		w := parties(t)
		alice, bob, carol := w.party(at[0], "alice", 440), w.party(at[1], "bob", 1000), w.party(at[1], "carol", 1500)
		w.talk(alice, bob, called(at[1], "bob"))
		bob.hears(440)
		alice.holds()
		alice.hearsNothing() // who holds may go on sending, as music
		second := alice.again()
		w.talk(second, carol, called(at[1], "carol"))
		second.hears(1500)
		second.hangsUp()
		carol.ended()
		alice.resumes()
		bob.hears(440)
		alice.hears(1000)
		bob.holds()
		bob.hearsNothing()
		bob.resumes()
		bob.hears(440)
		bob.hangsUp()
		alice.ended()
		w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
	})
}

// RFC 5359 §2.7 to §2.9: who is called rings, and then says who is to be called instead.
func TestForwarding(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, at [2]string) {
		w := parties(t)
		alice, bob, carol := w.party(at[0], "alice", 440), w.party(at[1], "bob", 1000), w.party(atPhone, "carol", 1500)
		alice.calls(called(at[1], "bob"))
		bob.forwards("phone-carol")
		carol.rings(false)
		carol.answers()
		alice.connected()
		alice.hears(1500)
		carol.hears(440)
		alice.hangsUp()
		carol.ended()
		w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
	})
}

// RFC 5359 §2.15: Alice parks Bob at a server, which plays music to him; Carol, who was told of that dialog, takes its place.
func TestPark(t *testing.T) {
	t.Parallel()
	for _, bobs := range []string{atBrowser, atPhone} {
		t.Run("parked at a "+bobs, func(t *testing.T) {
			t.Parallel()
			w := parties(t)
			alice := &webParty{w: w, b: w.toned("alice", 440)}
			bob, server, carol := w.party(bobs, "bob", 1000), w.party(atPhone, "park", 600), w.party(atPhone, "carol", 1500)
			w.talk(alice, bob, called(bobs, "bob"))
			bob.hears(440)
			w.refer(alice.call, "<sip:phone-park@example.com>")
			server.rings(false)
			server.answers()
			bob.hears(600)
			w.told(alice.call, 200)
			w.leaves(alice.call)
			carol.calls("anybody", replacing(server.names()))
			server.ended()
			carol.connected()
			bob.hears(1500)
			carol.hears(1000)
			bob.hangsUp()
			carol.ended()
			w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
		})
	}
}

// again is the same party with another call.
func (p *webParty) again() anyone { return &webParty{w: p.w, b: p.b} }

func (p *phoneParty) again() anyone {
	m := p.w.rtp()
	m.Tone(440)
	return &phoneParty{w: p.w, agent: p.agent, m: m}
}

func (p *webParty) forwards(user string) {
	p.w.t.Helper()
	p.rings(false)
	p.w.check(p.call.Redirect("<sip:" + user + "@example.com>"))
}

func (p *phoneParty) forwards(user string) {
	p.w.t.Helper()
	p.rings(false)
	p.w.check(p.in.Respond(siptest.Reply{Status: 181}))
	p.w.check(p.in.Respond(movedTo("<sip:" + user + "@example.com>")))
}
