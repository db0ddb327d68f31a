package media

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

// restore writes a call down as JSON, drops it and makes it anew in the engine.
func (c *call) restore(t *testing.T, e *Engine) {
	t.Helper()
	for _, l := range []**Leg{&c.a, &c.b} {
		text, err := json.Marshal((*l).Export())
		if err != nil {
			t.Fatal(err)
		}
		before := (*l).Local()
		(*l).Close()
		var state LegState
		if err := json.Unmarshal(text, &state); err != nil {
			t.Fatal(err)
		}
		*l = newLeg(t, e, LegSpec{Profile: state.Profile, Restore: &state})
		after := (*l).Local()
		if after.Ufrag != before.Ufrag || after.Password != before.Password ||
			len(after.Ports) != len(before.Ports) || len(before.Ports) > 0 && after.Ports[0] != before.Ports[0] {
			t.Fatalf("local %+v, was %+v", after, before)
		}
	}
	relays := e.Stats().Relays
	e.Join(c.a, c.b, opusPlan())
	waitFor(t, "the legs to be joined again", func() bool { return e.Stats().Relays == relays+1 })
}

func TestRestoredCallGoesOn(t *testing.T) {
	t.Parallel()
	for _, profile := range srtpProfiles() {
		t.Run(profileName(uint16(profile)), func(t *testing.T) {
			t.Parallel()
			e := open(t)
			c := newCall(t, e, func(p *peer) { p.profiles = append(p.profiles[:0:0], profile) })
			for range 530 { // past the wrap of the browser's sequence number: the rollover counter is 1
				c.bothWays(t)
			}
			fillers := []*Leg{newLeg(t, e, LegSpec{Profile: sdp.WebRTC}), newLeg(t, e, LegSpec{Profile: sdp.WebRTC})}
			last := packet(t, 111, c.browser.ssrc, c.browser.sequence, "from the browser")
			c.restore(t, e)
			c.bothWays(t)
			checkReplay(t, c, last)
			c.browser.check()
			c.bothWays(t)
			renewed := c.a.Restart()
			if renewed.Ufrag == c.browser.local.Ufrag {
				t.Error("no new credentials")
			}
			for _, l := range fillers {
				l.Close()
			}
			c.browser.receiveReport()
		})
	}
}

func checkReplay(t *testing.T, c *call, last []byte) {
	t.Helper()
	sealed, err := c.browser.out.EncryptRTP(nil, last, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.browser.send(sealed)
	waitFor(t, "the old packet to be refused", func() bool { return c.a.Stats().Drops[DropSRTPReplay.String()] == 1 })
}

// Before its ports have drained nobody else gets them, but their own leg does.
func TestPortsDrain(t *testing.T) {
	t.Parallel()
	low := freePair(t)
	e := open(t, func(c *Config) {
		c.RTP.Low, c.RTP.High = low, low+1
		c.Limits.Drain = 5 * time.Second
	})
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	if got := l.Local(); len(got.Ports) != 1 || got.Ports[0] != low || got.Addr != home(t) {
		t.Fatalf("local %+v", got)
	}
	if _, err := e.NewLeg(LegSpec{Profile: sdp.RTP}); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("with the range used up: %v", err)
	}
	state := l.Export()
	l.Close()
	if _, err := e.NewLeg(LegSpec{Profile: sdp.RTP}); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("while the ports drain: %v", err)
	}
	newLeg(t, e, LegSpec{Profile: sdp.RTP, Restore: &state}).Close()
	waitFor(t, "the ports to have drained", func() bool {
		l, err := e.NewLeg(LegSpec{Profile: sdp.RTP})
		if err == nil {
			l.Close()
		}
		return err == nil
	})
	waitFor(t, "the port to be free", func() bool { s := e.Stats(); return s.PortsUsed == 0 && s.PortsFree == 1 })
}

// freePair finds an even port with a free neighbour.
func freePair(t *testing.T) uint16 {
	t.Helper()
	p := newPorts(RTPConfig{Address: home(t)}, 0, 0)
	pair, err := p.take()
	if err != nil {
		t.Fatal(err)
	}
	p.release(pair)
	return pair.port
}

func TestRestoreWithBadKeys(t *testing.T) {
	e := open(t)
	state := newCall(t, e).a.Export()
	state.SRTP.LocalKey = state.SRTP.LocalKey[:3]
	if _, err := e.NewLeg(LegSpec{Profile: sdp.WebRTC, Restore: &state}); err == nil {
		t.Error("short key taken")
	}
	state.SRTP.Profile = 99
	if _, err := e.NewLeg(LegSpec{Profile: sdp.WebRTC, Restore: &state}); err == nil {
		t.Error("unknown profile taken")
	}
	if legs := e.Stats().Legs; legs != 2 {
		t.Errorf("%d legs", legs)
	}
}
