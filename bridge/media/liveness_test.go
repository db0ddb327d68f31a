package media

import (
	"testing"
	"time"

	"tandem/bridge/sdp"
)

func TestNoCheckAtAll(t *testing.T) {
	e := open(t, func(c *Config) { c.Limits.Check = 50 * time.Millisecond })
	l, p, j := browserLeg(t, e)
	l.SetRemote(p.remote()) // an offer: the clock runs once our answer is out
	l.AnswerSent()
	waitFor(t, "the leg to fail", func() bool { return j.has(Failed, NoConnectivity) })
}

func TestConsent(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Limits.Consent = 3 * time.Second })
	c := newCall(t, e)
	waitFor(t, "the leg to die", func() bool {
		c.phone.sendRTP(107, "packets to it are no sign of life")
		return c.journals[0].has(Dead, "")
	})
	waitFor(t, "nothing to be sent to it", func() bool {
		c.phone.sendRTP(107, "it is not there any more")
		return c.a.Stats().Drops[DropConsent.String()] > 0
	})
	c.browser.check()
	waitFor(t, "the leg to come back", func() bool { return c.journals[0].has(Alive, "") })
}

func TestSilence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		expects bool
		limits  Limits
	}{
		{"where the peer is to send", true, Limits{Silence: 80 * time.Millisecond, Held: time.Hour}},
		{"where it is held", false, Limits{Silence: time.Hour, Held: 80 * time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := open(t, func(cfg *Config) { cfg.Limits = c.limits })
			var j journal
			a := newLeg(t, e, LegSpec{Profile: sdp.RTP, OnEvent: j.note})
			b := newLeg(t, e, LegSpec{Profile: sdp.RTP})
			f := newPhone(t, a.Local())
			a.SetRemote(f.remote())
			plan := opusPlan()
			plan.Streams[0].Expect = [2]bool{c.expects, false}
			e.Join(a, b, plan)
			waitFor(t, "the leg to die", func() bool { return j.has(Dead, "") })
			f.sendRTP(111, "back")
			waitFor(t, "the leg to come back", func() bool { return j.has(Alive, "") && j.has(Connected, "") })
		})
	}
}

func TestRTCPIsASignOfLife(t *testing.T) {
	x := newWire(t, opusPlan())
	limit := x.w.engine.cfg.Limits.Silence
	for range 5 {
		x.phoneSends(senderReport(9))
		x.pass(limit)
		if x.b.sweep(x.w); x.b.alive.dead {
			t.Fatal("died in spite of RTCP")
		}
	}
	x.pass(1)
	if x.b.sweep(x.w); !x.b.alive.dead {
		t.Error("lives without")
	}
}
