package media

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"tandem/bridge/sdp"
)

// pion is a PeerConnection with one audio track: a whole browser's stack.
type pion struct {
	t     *testing.T
	pc    *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticSample
	heard chan string
}

func newPion(t *testing.T) *pion {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetHandleUndeclaredSSRCWithoutAnswer(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	p := &pion{t: t, pc: pc, heard: make(chan string, 1024)}
	if p.track, err = webrtc.NewTrackLocalStaticSample(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}, "audio", "phone"); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(p.track); err != nil {
		t.Fatal(err)
	}
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := r.ReadRTP()
			if err != nil {
				return
			}
			p.heard <- string(packet.Payload)
		}
	})
	return p
}

// offer makes the SDP and what it says of the transport.
func (p *pion) offer(o *webrtc.OfferOptions) sdp.Remote {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(o)
	if err != nil {
		p.t.Fatal(err)
	}
	done := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	<-done
	r := sdp.Remote{Transport: sdp.Transport{Setup: "actpass"}}
	for line := range strings.Lines(p.pc.LocalDescription().SDP) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok {
			r.Ufrag = v
		}
		if v, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok {
			r.Password = v
		}
		if v, ok := strings.CutPrefix(line, "a=fingerprint:"); ok {
			algorithm, value, _ := strings.Cut(v, " ")
			r.Fingerprints = []sdp.Fingerprint{{Algorithm: algorithm, Value: value}}
		}
	}
	return r
}

// answer says what the gateway's SDP would.
func (p *pion) answer(l sdp.Local) {
	p.t.Helper()
	c := l.Candidates[0]
	text := strings.Join([]string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", "a=group:BUNDLE 0",
		"m=audio 9 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", "a=mid:0", "a=rtcp-mux", "a=sendrecv", "a=rtpmap:0 PCMU/8000",
		"a=setup:passive", "a=ice-ufrag:" + l.Ufrag, "a=ice-pwd:" + l.Password,
		"a=fingerprint:" + l.Fingerprint.Algorithm + " " + l.Fingerprint.Value,
		fmt.Sprintf("a=candidate:%s 1 udp %d %s %d typ host", c.Foundation, c.Priority, c.Addr.Addr(), c.Addr.Port()),
		"a=end-of-candidates", ""}, "\r\n")
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: text}); err != nil {
		p.t.Fatal(err)
	}
}

// say sends a sample until the listener has what it waits for.
func (p *pion) say(text string, heard func() bool) {
	p.t.Helper()
	waitFor(p.t, text+" to be heard", func() bool {
		if err := p.track.WriteSample(media.Sample{Data: []byte(text), Duration: 20 * time.Millisecond}); err != nil {
			p.t.Fatal(err)
		}
		return heard()
	})
}

func pcmuPlan() sdp.Plan {
	plan := opusPlan()
	s := &plan.Streams[0]
	for side := range s.Payload {
		s.Payload[side][0] = 0
	}
	return plan
}

func TestPeerConnection(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) {
		c.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 0)}
		c.Workers = 3
	})
	var j journal
	a := newLeg(t, e, LegSpec{Profile: sdp.WebRTC, OnEvent: j.note, Reached: netip.MustParseAddr("127.0.0.9")})
	b := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	if at := a.Local().Candidates[0].Addr.Addr().String(); at != "127.0.0.9" {
		t.Fatalf("candidate %s", at)
	}
	f := newPhone(t, b.Local())
	b.SetRemote(f.remote())
	e.Join(a, b, pcmuPlan())
	p := newPion(t)
	a.SetRemote(p.offer(nil))
	p.answer(a.Local())
	a.AnswerSent()
	waitFor(t, "the leg to connect", func() bool { return j.has(Connected, "") })
	exchange := func(said, answered string) {
		t.Helper()
		p.say(said, func() bool { return b.Stats().PacketsOut > 0 })
		for string(f.receiveRTP().Payload) != said {
		}
		waitFor(t, answered+" to be heard", func() bool {
			f.sendRTP(0, answered)
			for {
				select {
				case h := <-p.heard:
					if h == answered {
						return true
					}
				default:
					return false
				}
			}
		})
	}
	exchange("hello", "good day")

	renewed := a.Restart()
	a.SetRemote(p.offer(&webrtc.OfferOptions{ICERestart: true}))
	p.answer(renewed)
	a.AnswerSent()
	before := a.Stats().Checks
	waitFor(t, "checks of the new generation", func() bool { return a.Stats().Checks > before+2 })
	exchange("after the restart", "still here")
	if e.Stats().Handshakes != 1 {
		t.Errorf("%d handshakes", e.Stats().Handshakes)
	}
}

func TestIPv6Wildcard(t *testing.T) {
	e := open(t, withTCP, func(c *Config) {
		c.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), 0), netip.AddrPortFrom(netip.IPv4Unspecified(), 0)}
	})
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC, Reached: netip.IPv6Loopback()})
	local := l.Local()
	if local.Candidates[0].Addr.Addr() != netip.IPv6Loopback() {
		t.Fatalf("candidates %+v", local.Candidates)
	}
	p := newPeerOn(t, local, netip.IPv6Loopback())
	p.connect(l)
	if got := l.Stats().Remote; got != addrOf(p.conn) {
		t.Errorf("remote %v", got)
	}
}
