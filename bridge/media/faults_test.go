package media

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/srtp/v3"

	"tandem/bridge/sdp"
)

// everyFifth loses a fifth of what is sent in each direction, from the first check on.
func everyFifth(p *peer) {
	var count [2]atomic.Uint32
	p.lose = func(_ []byte, out bool) bool {
		direction := 0
		if out {
			direction = 1
		}
		return count[direction].Add(1)%5 == 0
	}
}

// voices makes numbered packets of the browser, sealed.
func (p *peer) voices(count int) [][]byte {
	p.t.Helper()
	list := make([][]byte, count)
	for i := range list {
		sealed, err := p.out.EncryptRTP(nil, p.next(111, strconv.Itoa(i)), nil)
		if err != nil {
			p.t.Fatal(err)
		}
		list[i] = sealed
	}
	return list
}

// hears takes what the phone gets until a packet with the last payload comes.
func (f *phone) hears(last string) map[string]int {
	f.t.Helper()
	got := map[string]int{}
	for {
		payload := string(f.receiveRTP().Payload)
		if payload == last {
			return got
		}
		got[payload]++
	}
}

// hearsEnd says the end again and again, for it may be lost, and gives what the phone got before it.
func (c *call) hearsEnd() map[string]int {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				c.browser.sendRTP(c.browser.next(111, "end"))
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	return c.phone.hears("end")
}

// Each fault on the browser's leg is counted under its reason, and the call goes on.
func TestFaults(t *testing.T) {
	t.Parallel()
	const voices = 200
	for _, row := range []struct {
		name   string
		before func(p *peer)
		fault  func(c *call)
		reason DropReason // of the browser's leg, or of nobody's packets; none: nothing is counted
		count  uint64
		heard  int // different packets of the browser that reach the phone, once each
	}{
		{"a fifth is lost", everyFifth, func(c *call) { c.browser.sendAll(c.browser.voices(voices)) }, dropNone, 0, voices * 4 / 5},
		{"reordered", nil, func(c *call) {
			list := c.browser.voices(voices)
			for at := 0; at < len(list); at += 20 {
				rand.Shuffle(20, func(i, j int) { list[at+i], list[at+j] = list[at+j], list[at+i] })
			}
			c.browser.sendAll(list)
		}, dropNone, 0, voices},
		{"too late for the replay window", nil, func(c *call) {
			list := c.browser.voices(voices)
			c.browser.sendAll(append(list[1:], list[0]))
		}, DropSRTPReplay, 1, voices - 1},
		{"duplicated", nil, func(c *call) {
			for _, p := range c.browser.voices(voices) {
				c.browser.sendAll([][]byte{p, p})
			}
		}, DropSRTPReplay, voices, voices},
		{"replayed as a whole", nil, func(c *call) {
			list := c.browser.voices(voices)
			c.browser.sendAll(list)
			c.browser.sendAll(list)
		}, DropSRTPReplay, voices, voices},
		{"a sender with another key", nil, func(c *call) {
			forged := &peer{t: c.browser.t, ssrc: c.browser.ssrc, sequence: c.browser.sequence, out: otherKey(c.browser.t)}
			c.browser.sendAll(forged.voices(50))
			c.browser.sendAll(c.browser.voices(voices))
		}, DropSRTPAuth, 50, voices},
		{"sources without end by another key", nil, func(c *call) {
			for ssrc := range uint32(200) {
				forged := &peer{t: c.browser.t, ssrc: ssrc, out: otherKey(c.browser.t)}
				c.browser.sendAll(forged.voices(1))
			}
			c.browser.sendAll(c.browser.voices(voices))
		}, DropSRTPAuth, 200, voices},
		{"cut short", nil, func(c *call) {
			for _, p := range c.browser.voices(50) {
				c.browser.send(p[:20])
			}
			c.browser.sendAll(c.browser.voices(voices))
		}, DropRTPMalformed, 50, voices},
		{"injected from another address", nil, func(c *call) {
			stranger := newPeer(c.browser.t, c.browser.local)
			stranger.sendAll(c.browser.voices(50)) // with the right key even
			c.browser.sendAll(c.browser.voices(voices))
		}, DropNotValidated, 50, voices},
		{"another address, checked", nil, func(c *call) {
			c.browser.bind()
			c.browser.check()
			c.browser.sendAll(c.browser.voices(voices))
		}, dropNone, 0, voices},
		{"another address, not checked yet", nil, func(c *call) {
			c.browser.bind()
			c.browser.sendAll(c.browser.voices(50))
			waitFor(c.browser.t, "them to be counted", func() bool { return c.e.Stats().Drops[DropNotValidated.String()] == 50 })
			c.browser.check()
			c.browser.sendAll(c.browser.voices(voices))
		}, DropNotValidated, 50, voices},
		{"a role that an ICE-lite agent cannot take", nil, func(c *call) {
			for range 50 {
				c.browser.send(c.browser.request(controlledRole{}).Raw)
			}
			c.browser.sendAll(c.browser.voices(voices))
		}, DropSTUNRole, 50, voices},
		{"noise", nil, func(c *call) {
			for first := range byte(50) {
				c.browser.send([]byte{first + 200, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
			}
			c.browser.sendAll(c.browser.voices(voices))
		}, DropProtocol, 50, voices},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e := open(t)
			c := newCall(t, e, func(p *peer) {
				if row.before != nil {
					row.before(p)
				}
			})
			before := e.Stats().Drops
			row.fault(c)
			waitFor(t, "the end to come", func() bool { // it may be lost
				c.browser.sendRTP(c.browser.next(111, "end"))
				return c.b.Stats().PacketsOut >= uint64(row.heard)+1
			})
			heard := c.hearsEnd()
			if len(heard) != row.heard {
				t.Errorf("the phone heard %d packets, want %d", len(heard), row.heard)
			}
			for payload, n := range heard {
				if n != 1 {
					t.Errorf("packet %s came %d times", payload, n)
				}
			}
			waitFor(t, "the fault to be counted", func() bool {
				return e.Stats().Drops[row.reason.String()]-before[row.reason.String()] >= row.count
			})
			for name, n := range e.Stats().Drops {
				if name == DropDTLSUnexpected.String() {
					continue // a handshake on a busy machine repeats itself
				}
				if more := n - before[name]; name == row.reason.String() && more != row.count || name != row.reason.String() && more != 0 {
					t.Errorf("%d packets counted as %s", more, name)
				}
			}
			if c.journals[0].has(Dead, "") || e.Stats().Handshakes != 1 {
				t.Errorf("the call suffered: %v", c.journals[0].events)
			}
		})
	}
}

func (p *peer) sendAll(list [][]byte) {
	p.t.Helper()
	for _, d := range list {
		p.send(d)
	}
}

func otherKey(t testing.TB) *srtp.Context {
	t.Helper()
	c, err := srtp.CreateContext(make([]byte, 16), make([]byte, 12), srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// On the side of the phone the learnt source counts.
func TestInjectedTowardsTheBrowser(t *testing.T) {
	c := newCall(t, open(t))
	for range 2 * lockAfter {
		c.bothWays(t)
	}
	for _, row := range []struct {
		from   netip.Addr
		reason DropReason
	}{
		{home(t), DropInjected}, // as it would be let in had nobody been learnt
		{netip.MustParseAddr("127.0.0.9"), DropSource},
	} {
		stranger := newPhoneOn(t, c.b.Local(), row.from)
		for i := range 50 {
			stranger.sendRTP(107, fmt.Sprint("injected ", i))
		}
		waitFor(t, "them to be counted", func() bool { return c.b.Stats().Drops[row.reason.String()] == 50 })
		c.bothWays(t) // and the next that the browser hears is the phone
	}
}

// A browser that moves and never checks again ends its leg, and nobody sends to it.
func TestAddressChangesForGood(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Limits.Consent = 3 * time.Second })
	c := newCall(t, e)
	c.browser.bind()
	waitFor(t, "the leg to die", func() bool {
		c.browser.sendRTP(c.browser.next(111, "from nowhere"))
		return c.journals[0].has(Dead, "")
	})
	waitFor(t, "the packets to be counted", func() bool { return e.Stats().Drops[DropNotValidated.String()] > 0 })
	before := c.a.Stats().Drops[DropConsent.String()]
	c.phone.sendRTP(107, "to nobody")
	waitFor(t, "nothing to be sent", func() bool { return c.a.Stats().Drops[DropConsent.String()] == before+1 })
	c.a.Close()
	c.b.Close()
	if s := e.Stats(); s.Legs != 0 || s.Relays != 0 {
		t.Errorf("left: %+v", s)
	}
}

// Each datagram of a handshake may be lost, in both roles and directions.
func TestEachLostDatagram(t *testing.T) {
	t.Parallel()
	e := open(t)
	for _, client := range []bool{false, true} {
		for _, out := range []bool{true, false} {
			name := fmt.Sprintf("gateway is client %v, sent by the peer %v", client, out)
			for lost := range uint32(20) {
				if !loseOne(t, e, name, client, out, lost) {
					if lost < 2 {
						t.Errorf("%s: only %d datagrams", name, lost)
					}
					break
				}
			}
		}
	}
}

// loseOne does a handshake without one datagram; false where there are not so many.
func loseOne(t *testing.T, e *Engine, name string, client, out bool, lost uint32) bool {
	t.Helper()
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	defer l.Close()
	p := newPeer(t, l.Local())
	defer p.conn.Close()
	var count atomic.Uint32
	p.lose = func(d []byte, isOut bool) bool {
		return isOut == out && d[0] >= 20 && d[0] <= 63 && count.Add(1) == lost+1
	}
	remote := p.remote()
	shake := p.handshake
	if client {
		remote.Setup, shake = "passive", p.acceptHandshake
	}
	l.SetRemote(remote)
	l.AnswerSent()
	p.check()
	if err := shake(); err != nil {
		t.Fatalf("%s, without datagram %d: %v", name, lost, err)
	}
	waitFor(t, name+": the leg to have its keys", func() bool { return !l.Stats().ConnectedAt.IsZero() })
	return count.Load() > lost
}
