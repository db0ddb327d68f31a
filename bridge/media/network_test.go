package media

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

// A browser that goes to another network nominates a new pair; the old one is forgotten after a while.
func TestNetworkChange(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4} {
		e := open(t, func(c *Config) { c.Workers, c.Limits.Consent = workers, 8*time.Second })
		c := newCall(t, e)
		c.bothWays(t)
		old := newPeer(t, c.browser.local)
		old.conn.Close()
		old.conn, c.browser.conn = c.browser.conn, nil // its socket stays open
		c.browser.bind()
		c.browser.check()
		c.bothWays(t)
		forgotten := e.Stats().Drops[DropNotValidated.String()]
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		for e.Stats().Drops[DropNotValidated.String()] == forgotten {
			<-every.C
			c.browser.check()
			old.send([]byte{0x80, 111, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // too short, until the pair is gone
			if c.journals[0].has(Dead, "") {
				t.Fatal("the leg died")
			}
		}
		c.bothWays(t)
	}
}

// Consent checks do not nominate: a NAT that changes its mapping under a browser that nominated once shows by nothing but
// checks from the new address and the old one's silence.
func TestQuietRebinding(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Limits.Pair = 5 * time.Second })
	c := newCall(t, e)
	c.bothWays(t)
	before := c.a.Stats().Remote
	c.browser.bind()
	c.browser.send(c.browser.request(controlling{}).Raw)
	<-c.browser.answers
	if at := c.a.Stats().Remote; at != before {
		t.Errorf("the pair in use was left at once, for %v", at)
	}
	waitFor(t, "the pair in use to be given up", func() bool {
		c.browser.send(c.browser.request(controlling{}).Raw)
		return c.a.Stats().Remote == addrOf(c.browser.conn)
	})
	c.bothWays(t)
}

func TestCandidates(t *testing.T) {
	listen := func(list ...string) (all []netip.AddrPort) {
		for _, s := range list {
			all = append(all, netip.MustParseAddrPort(s))
		}
		return all
	}
	addrs := func(list ...string) (all []netip.Addr) {
		for _, s := range list {
			all = append(all, netip.MustParseAddr(s))
		}
		return all
	}
	for _, c := range []struct {
		name      string
		listen    []netip.AddrPort
		advertise []netip.Addr
		reached   string
		tcp       bool
		shared    []netip.AddrPort
		want      []string
	}{
		{"an address", listen("192.0.2.1:4000"), nil, "", false, nil, []string{"udp 192.0.2.1:4000"}},
		{"and TCP", listen("192.0.2.1:4000"), nil, "", true, nil, []string{"udp 192.0.2.1:4000", "tcp 192.0.2.1:4000"}},
		{"and HTTPS", listen("192.0.2.1:4000"), nil, "", true, listen("192.0.2.1:443"),
			[]string{"udp 192.0.2.1:4000", "tcp 192.0.2.1:4000", "tcp 192.0.2.1:443"}},
		{"HTTPS with TCP off", listen("192.0.2.1:4000"), nil, "", false, listen("192.0.2.1:443"), []string{"udp 192.0.2.1:4000"}},
		{"reached", listen("0.0.0.0:4000"), nil, "192.0.2.2", false, nil, []string{"udp 192.0.2.2:4000"}},
		{"reached by a mapped address", listen("0.0.0.0:4000"), nil, "::ffff:192.0.2.2", false, nil, []string{"udp 192.0.2.2:4000"}},
		{"1:1 NAT", listen("10.0.0.1:4000"), addrs("203.0.113.7"), "10.0.0.1", true, listen("0.0.0.0:443"),
			[]string{"udp 203.0.113.7:4000", "tcp 203.0.113.7:4000", "tcp 203.0.113.7:443"}},
		{"dual stack", listen("192.0.2.1:4000", "[2001:db8::1]:4000"), nil, "192.0.2.1", true, nil,
			[]string{"udp 192.0.2.1:4000", "udp [2001:db8::1]:4000", "tcp 192.0.2.1:4000", "tcp [2001:db8::1]:4000"}},
		{"dual stack behind a NAT of IPv4", listen("10.0.0.1:4000", "[2001:db8::1]:4000"), addrs("203.0.113.7"), "", false, nil,
			[]string{"udp 203.0.113.7:4000", "udp [2001:db8::1]:4000"}},
		{"one address advertised for each family", listen("10.0.0.1:4000", "[fd00::1]:4000"), addrs("2001:db8::7", "203.0.113.7"), "", false, nil,
			[]string{"udp 203.0.113.7:4000", "udp [2001:db8::7]:4000"}},
		{"IPv6 only", listen("[::]:4000"), nil, "2001:db8::5", true, nil, []string{"udp [2001:db8::5]:4000", "tcp [2001:db8::5]:4000"}},
		{"HTTPS on all addresses of both families", listen("192.0.2.1:4000"), nil, "192.0.2.1", true, listen("[::]:443"),
			[]string{"udp 192.0.2.1:4000", "tcp 192.0.2.1:4000", "tcp 192.0.2.1:443"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Engine{cfg: Config{Advertise: c.advertise, TCP: c.tcp, Shared: c.shared}, listens: c.listen}
			reached, _ := netip.ParseAddr(c.reached)
			last, seen := uint32(0xffffffff), map[string]bool{}
			var got []string
			for _, candidate := range e.candidates(reached) {
				if c.name == "HTTPS on all addresses of both families" && candidate.Addr.Addr().Is6() {
					continue // this machine's own
				}
				got = append(got, candidate.Transport+" "+candidate.Addr.String())
				if candidate.Priority >= last || seen[candidate.Foundation] {
					t.Errorf("%v after a priority of %d, foundations %v", candidate, last, seen)
				}
				last, seen[candidate.Foundation] = candidate.Priority, true
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// A browser of one family and a phone of the other.
func TestBetweenFamilies(t *testing.T) {
	v4, v6 := loopback(0).Addr(), netip.IPv6Loopback()
	for _, c := range []struct{ browser, phone netip.Addr }{{v4, v4}, {v4, v6}, {v6, v4}, {v6, v6}} {
		for _, tcp := range []bool{false, true} {
			e := open(t, withTCP, func(cfg *Config) {
				cfg.Listen = []netip.AddrPort{netip.AddrPortFrom(v4, 0), netip.AddrPortFrom(v6, 0)}
				cfg.RTP.Address = c.phone
			})
			call := newCallBetween(t, e, c.browser, c.phone, func(p *peer) {
				i := slices.IndexFunc(p.local.Candidates, func(o sdp.Candidate) bool {
					return o.Addr.Addr() == c.browser && (o.Transport == "tcp") == tcp
				})
				p.to = p.local.Candidates[i].Addr
				if tcp {
					p.dial(p.to)
				}
			})
			call.bothWays(t)
			if got := call.a.Stats().Remote; got != call.browser.addr() || got.Addr() != c.browser {
				t.Errorf("remote %v", got)
			}
		}
	}
}

// A browser that calls a browser: the relay stays with one, whose worker gets the other's packets over the ring.
func TestRebindingBetweenBrowsers(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 3 })
	legs := [2]*Leg{newLeg(t, e, LegSpec{Profile: sdp.WebRTC}), newLeg(t, e, LegSpec{Profile: sdp.WebRTC})}
	peers := [2]*peer{newPeer(t, legs[0].Local()), newPeer(t, legs[1].Local())}
	peers[1].ssrc++
	e.Join(legs[0], legs[1], opusPlan())
	for i := range legs {
		peers[i].connect(legs[i])
	}
	payload := [2]uint8{111, 107}
	for round := range 20 {
		mover := peers[round%2]
		mover.bind()
		mover.check()
		for i := range peers {
			text := fmt.Sprint("round ", round, " from ", i)
			peers[i].sendRTP(peers[i].next(payload[i], text))
			for string(peers[1-i].receiveRTP().Payload) != text {
			}
		}
	}
	if s := e.Stats(); s.Handoffs == 0 || s.Drops[DropNotValidated.String()] > 0 {
		t.Errorf("%d handoffs, drops %v", s.Handoffs, s.Drops)
	}
}

// Joins of one leg with others on other workers, each before the one of before is done: the last one stands, and the leg
// comes to rest with it.
func TestJoinsInARow(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Workers = 3 })
	var others []*Leg
	var peers []*peer
	homes := map[int]bool{}
	for len(homes) < 3 {
		l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
		p := newPeer(t, l.Local())
		p.connect(l)
		others, peers = append(others, l), append(peers, p)
		homes[l.home().worker()] = true
	}
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	p.ssrc++
	p.connect(l)
	for round := range 200 {
		last := 0
		for i := range 3 + round%len(others) {
			last = (round + i) % len(others)
			e.Join(l, others[last], opusPlan())
		}
		text := fmt.Sprint("round ", round)
		waitFor(t, text+" to be heard", func() bool {
			p.sendRTP(p.next(111, text))
			for { // past those of the rounds before
				select {
				case d := <-peers[last].packets:
					plain, err := peers[last].in.DecryptRTP(nil, d, nil)
					if err == nil && !isRTCP(plain) && string(parse(t, plain).Payload) == text {
						return true
					}
				default:
					return false
				}
			}
		})
	}
	waitFor(t, "one relay", func() bool { return e.Stats().Relays == 1 })
}

// With an address of each family the phone's signalling says from which one its RTP comes.
func TestSecondAddress(t *testing.T) {
	v4, v6 := loopback(0).Addr(), netip.IPv6Loopback()
	e := open(t, func(c *Config) { c.RTP.Address, c.RTP.Second.Address = v4, v6 })
	for _, c := range []struct{ signalling, want netip.Addr }{{netip.Addr{}, v4}, {v4, v4}, {v6, v6}} {
		l := newLeg(t, e, LegSpec{Profile: sdp.RTP, Signalling: c.signalling})
		local := l.Local()
		if local.Addr != c.want {
			t.Errorf("signalling from %v, RTP at %v", c.signalling, local.Addr)
		}
		f := newPhoneOn(t, local, c.want)
		f.sendRTP(0, "there")
		waitFor(t, "the packet to come", func() bool { return l.Stats().Drops[DropSource.String()]+l.Stats().PacketsIn > 0 })
		state := l.Export()
		l.Close()
		if again, err := e.NewLeg(LegSpec{Profile: sdp.RTP, Restore: &state}); err != nil || again.Local().Addr != c.want {
			t.Errorf("restored at %v: %v", again.Local().Addr, err)
		}
	}
	if s := e.Stats(); s.PortsUsed != 3 {
		t.Errorf("%d ports in use", s.PortsUsed)
	}
}
