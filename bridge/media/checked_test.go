package media

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	pionice "github.com/pion/ice/v4"

	"tandem/bridge/sdp"
)

// mirror is a leg's own SDP as its peer hears it.
func mirror(l *Leg, keying sdp.Keying, setup string, mux, controlling bool) sdp.RemoteStream {
	local := l.Local()
	at := func(i uint16) netip.AddrPort { return netip.AddrPortFrom(local.Addr, local.Ports[0]+i) }
	r := sdp.RemoteStream{RTP: at(0), RTCP: at(1), Mux: mux, Keying: keying}
	r.Ufrag, r.Password, r.Controlling = local.Ufrag, local.Password, controlling
	for i := range uint16(2) {
		r.Candidates = append(r.Candidates, sdp.Candidate{Transport: "udp", Addr: at(i), Component: int(i) + 1, Priority: 1000})
	}
	if mux {
		r.RTCP, r.Candidates = r.RTP, r.Candidates[:1]
	}
	if keying == sdp.DTLS {
		r.Fingerprints, r.Setup = []sdp.Fingerprint{local.Fingerprint}, setup
	}
	return r
}

// Two gateways' legs between two phones: ICE on both, roles in conflict or not, and DTLS behind it.
func TestICEBetweenGateways(t *testing.T) {
	t.Parallel()
	for _, keying := range []sdp.Keying{sdp.Plain, sdp.DTLS} {
		for _, mux := range []bool{true, false} {
			for _, controlling := range [][2]bool{{true, false}, {true, true}, {false, false}} {
				t.Run(fmt.Sprintf("%v mux %v roles %v", keying, mux, controlling), func(t *testing.T) {
					t.Parallel()
					iceBetweenGateways(t, keying, mux, controlling)
				})
			}
		}
	}
}

func iceBetweenGateways(t *testing.T, keying sdp.Keying, mux bool, controlling [2]bool) {
	var inner, outer [2]*Leg
	var parties [2]party
	var engines [2]*Engine
	setup := [2]string{"active", "passive"}
	for i := range inner {
		e := open(t)
		engines[i] = e
		outer[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true, ICE: true})
		inner[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP})
		k := newTrunk(t, inner[i].Local(), uint32(0x1111*(i+1)))
		k.says(inner[i])
		parties[i] = k
		e.Join(inner[i], outer[i], openPlan())
		waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	}
	for i := range outer {
		outer[i].SetRemote(sdp.Remote{Streams: []sdp.RemoteStream{mirror(outer[1-i], keying, setup[i], mux, controlling[i])}})
		outer[i].AnswerSent()
	}
	for i := range parties {
		waitFor(t, "packets to pass", func() bool {
			parties[i].sendRTP(107, "first")
			return parties[1-i].(*trunk).tryReceive("first")
		})
	}
	for range 10 {
		for i, p := range parties {
			p.sendRTP(107, "text")
			waitFor(t, "the packet", func() bool { return parties[1-i].(*trunk).tryReceive("text") })
		}
	}
	for i, l := range outer {
		before := outer[1-i].Stats().PacketsIn
		l.do(func(w *worker, l *Leg) { l.reportStream(w, sdp.Audio) })
		waitFor(t, "a report", func() bool { return outer[1-i].Stats().PacketsIn > before })
	}
	outer[0] = again(t, engines[0], outer[0])
	engines[0].Join(inner[0], outer[0], openPlan())
	for i, p := range parties {
		waitFor(t, "packets after a snapshot", func() bool {
			p.sendRTP(107, "after")
			return parties[1-i].(*trunk).tryReceive("after")
		})
	}
}

// tryReceive looks among the packets that came for one with a payload.
func (k *trunk) tryReceive(payload string) bool {
	k.t.Helper()
	limit := time.After(20 * time.Millisecond)
	for {
		select {
		case d := <-k.ends[0].packets:
			if !isRTCP(d) && string(parse(k.t, d).Payload) == payload {
				return true
			}
		case <-limit:
			return false
		}
	}
}

// pionPeer is pion's agent with one component, as an ICE-lite one or a full one.
func pionPeer(t *testing.T, lite bool) *pionice.Agent {
	t.Helper()
	options := []pionice.AgentOption{
		pionice.WithNetworkTypes([]pionice.NetworkType{pionice.NetworkTypeUDP4}),
		pionice.WithIncludeLoopback(), pionice.WithICELite(lite),
		pionice.WithMulticastDNSMode(pionice.MulticastDNSModeDisabled),
		pionice.WithCandidateTypes([]pionice.CandidateType{pionice.CandidateTypeHost}),
		pionice.WithIPFilter(func(ip net.IP) bool { return ip.IsLoopback() }),
	}
	a, err := pionice.NewAgentWithOptions(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// told is what the SDP of pion's agent says.
func told(t *testing.T, a *pionice.Agent, lite bool) sdp.RemoteStream {
	t.Helper()
	done := make(chan struct{})
	var r sdp.RemoteStream
	if err := a.OnCandidate(func(c pionice.Candidate) {
		if c == nil {
			close(done)
			return
		}
		r.Candidates = append(r.Candidates, sdp.Candidate{Transport: "udp", Component: 1, Priority: c.Priority(),
			Addr: netip.AddrPortFrom(netip.MustParseAddr(c.Address()), uint16(c.Port()))})
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	<-done
	var err error
	if r.Ufrag, r.Password, err = a.GetLocalUserCredentials(); err != nil || len(r.Candidates) == 0 {
		t.Fatal(err, "candidates", r.Candidates)
	}
	r.RTP, r.Mux, r.ICELite, r.Controlling = r.Candidates[0].Addr, true, lite, true
	return r
}

// The leg is the controlling agent towards pion's, lite and full; and the controlled one. It restarts, too.
func TestICEWithPion(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ lite, controlled bool }{{true, false}, {false, false}, {false, true}} {
		t.Run(fmt.Sprintf("lite %v, we are controlled %v", row.lite, row.controlled), func(t *testing.T) {
			t.Parallel()
			e := open(t)
			l := newLeg(t, e, LegSpec{Profile: sdp.RTP, ICE: true})
			far := newLeg(t, e, LegSpec{Profile: sdp.RTP})
			k := newTrunk(t, far.Local(), 7)
			k.says(far)
			e.Join(far, l, openPlan())
			a := pionPeer(t, row.lite)
			r := told(t, a, row.lite)
			r.Controlling = !row.controlled
			local := l.Local()
			c, err := pionice.NewCandidateHost(&pionice.CandidateHostConfig{Network: "udp", Component: 1,
				Address: local.Addr.String(), Port: int(local.Ports[0])})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.AddRemoteCandidate(c); err != nil {
				t.Fatal(err)
			}
			l.SetRemote(sdp.Remote{Streams: []sdp.RemoteStream{r}})
			l.AnswerSent()
			connect := a.Accept
			if row.controlled {
				connect = a.Dial
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, err := connect(ctx, local.Ufrag, local.Password)
			if err != nil {
				t.Fatal(err, l.Stats())
			}
			b := make([]byte, 2048)
			heard := make(chan string, 100)
			go func() {
				for {
					n, err := conn.Read(b)
					if err != nil {
						return
					}
					if n > rtpMin && !isRTCP(b[:n]) {
						heard <- string(b[rtpMin:n])
					}
				}
			}()
			waitFor(t, "a packet to come", func() bool {
				k.sendRTP(107, "to pion")
				select {
				case text := <-heard:
					return text == "to pion"
				case <-time.After(20 * time.Millisecond):
					return false
				}
			})
			sequence := uint16(0)
			waitFor(t, "a packet to go back", func() bool {
				sequence++
				if _, err := conn.Write(packet(t, 107, 9, sequence, "from pion")); err != nil {
					t.Fatal(err)
				}
				return k.tryReceive("from pion")
			})
			if s := l.Stats(); !row.lite && s.Checks == 0 || !slices.ContainsFunc(r.Candidates, func(c sdp.Candidate) bool { return c.Addr == s.Remote }) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// A leg whose peer does ICE takes and sends nothing by a path that no check has proven; without a peer that answers it fails.
func TestICEWithoutConnectivity(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Limits.Check = 3 * time.Second })
	j := &journal{}
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP, ICE: true, OnEvent: j.note})
	k := newTrunk(t, l.Local(), 7)
	k.remote.Ufrag, k.remote.Password = "peerufrag", "peerpasswordpeerpassword"
	k.remote.Candidates = []sdp.Candidate{{Transport: "udp", Addr: addrOf(k.ends[0].conn), Priority: 1, Component: 1}}
	k.says(l)
	k.sendRTP(107, "unproven")
	waitFor(t, "the packet to be counted", func() bool { return l.Stats().Drops[DropNotValidated.String()] == 1 })
	waitFor(t, "the leg to fail", func() bool { return j.has(Failed, NoConnectivity) })
	if m := <-k.ends[0].packets; m[0] > 3 {
		t.Errorf("got %x instead of a check", m)
	}
}

// A leg that offered ICE to a peer without takes it as ever.
func TestICEDeclined(t *testing.T) {
	t.Parallel()
	e := open(t)
	var legs [2]*Leg
	var ends [2]*trunk
	for i := range legs {
		legs[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP, ICE: true})
		ends[i] = newTrunk(t, legs[i].Local(), uint32(0x1111*(i+1)))
		ends[i].says(legs[i])
	}
	e.Join(legs[0], legs[1], openPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	exchange(t, legs, both(ends))
}

// Who stops answering gets nothing more, though it goes on sending.
func TestICEConsentIsLost(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Limits.Consent = 5 * time.Second })
	j := &journal{}
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP, ICE: true, OnEvent: j.note})
	a := pionPeer(t, true)
	r := told(t, a, true)
	l.SetRemote(sdp.Remote{Streams: []sdp.RemoteStream{r}})
	l.AnswerSent()
	local := l.Local()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := a.Accept(ctx, local.Ufrag, local.Password); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the pair to be selected", func() bool { return l.Stats().Remote == r.RTP })
	_ = a.Close()
	waitFor(t, "the leg to be dead", func() bool { return j.has(Dead, "") })
	if j.has(Failed, NoConnectivity) {
		t.Error("failed too")
	}
}
