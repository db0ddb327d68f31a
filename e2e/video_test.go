package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
	"tandem/e2e/lab"
)

// peerCall is a call between peer connections of a real Chromium, through SDP and media without SIP.
type peerCall struct {
	*testing.T
	tab    *lab.Tab
	engine *media.Engine
	media  map[string]*media.Leg
	legs   map[string]sdp.Leg
}

// peerState is what page/peer.js tells of a peer connection.
type peerState struct {
	Connection string
	Directions []string
	Kinds      map[string]struct{ Packets, Frames, KeyFrames, Asked, Sent int }
}

func newPeerCall(t *testing.T, chromium *lab.Chromium) *peerCall {
	t.Helper()
	loopback := netip.MustParseAddr("127.0.0.1")
	engine, err := media.Open(media.Config{
		Listen: []netip.AddrPort{netip.AddrPortFrom(loopback, 0)}, RTP: media.RTPConfig{Address: loopback},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close(t.Context()) })
	return &peerCall{T: t, tab: chromium.Open(t), engine: engine, media: map[string]*media.Leg{}, legs: map[string]sdp.Leg{}}
}

// open makes a leg.
func (c *peerCall) open(name string, profile sdp.Profile, policy sdp.Policy) {
	c.Helper()
	m, err := c.engine.NewLeg(media.LegSpec{Profile: profile, Call: c.Name(), Leg: name, OnEvent: func(media.Event) {}})
	if err != nil {
		c.Fatal(err)
	}
	c.media[name] = m
	l := sdp.NewLeg(profile, m.Local(), uint64(time.Now().UnixNano()))
	l.Policy = policy
	c.legs[name] = l
}

// set keeps what a leg did, and tells its media.
func (c *peerCall) set(name string, l sdp.Leg, err error) {
	c.Helper()
	if err != nil {
		c.Fatalf("leg %s: %v", name, err)
	}
	c.legs[name] = l
	if l.Heard != nil {
		c.media[name].SetRemote(l.Remote())
	}
	if l.Pending == sdp.Stable {
		c.media[name].AnswerSent()
	}
}

// ask lets a leg offer to a browser what the other heard.
func (c *peerCall) ask(name, from string, kinds []string) {
	c.Helper()
	l, offer, err := c.legs[name].Offer(c.legs[from].Heard)
	c.set(name, l, err)
	var answer string
	c.tab.Do(c.T, &answer, "peerAnswer", name, kinds, string(offer))
	l, err = c.legs[name].HearAnswer([]byte(answer))
	c.set(name, l, err)
}

// answer lets a leg answer its browser by what the other heard, and joins the two.
func (c *peerCall) answer(name, from string) {
	c.Helper()
	l, answer, err := c.legs[name].Answer(c.legs[from].Heard)
	c.set(name, l, err)
	c.tab.Do(c.T, nil, "peerTake", name, string(answer))
	plan, err := sdp.Join(c.legs[name], c.legs[from])
	if err != nil {
		c.Fatal(err)
	}
	c.engine.Join(c.media[name], c.media[from], plan)
}

func (c *peerCall) state(name string) peerState {
	c.Helper()
	var s peerState
	c.tab.Do(c.T, &s, "peerState", name)
	return s
}

// until polls a browser's state, with a reason.
func (c *peerCall) until(reason, name string, ok func(peerState) bool) {
	c.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.Tick(100 * time.Millisecond); ; <-tick {
		s := c.state(name)
		if ok(s) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("in vain waited for %s at %s: %+v, dropped %v", reason, name, s, c.media[name].Stats().Drops)
		}
	}
}

// Two browsers see each other: pictures are decoded at both, from a key frame on; whoever comes late asks for another.
func TestVideoBetweenBrowsers(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, kinds := range [][]string{{"audio", "video"}, {"video", "audio"}} {
		t.Run(kinds[0]+" first", func(t *testing.T) {
			c := newPeerCall(t, chromium)
			c.open("alice", sdp.WebRTC, sdp.Policy{Video: true})
			c.open("bob", sdp.WebRTC, sdp.Policy{Video: true})
			var offer string
			c.tab.Do(t, &offer, "peerOffer", "alice", kinds, "max-bundle")
			l, err := c.legs["alice"].HearOffer([]byte(offer))
			c.set("alice", l, err)
			c.ask("bob", "alice", []string{"audio", "video"})
			c.answer("alice", "bob")
			for _, name := range []string{"alice", "bob"} {
				c.until("pictures", name, func(s peerState) bool {
					return s.Kinds["video"].Frames > 30 && s.Kinds["video"].KeyFrames > 0 && s.Kinds["audio"].Packets > 50
				})
			}
		})
	}
}

// Video that the far side, or the policy, refuses: the audio goes on in the bundle, also where the bundle is tied to the m-line of the video.
func TestVideoRefused(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, bundle := range []string{"max-bundle", "balanced", "max-compat"} {
		for _, kinds := range [][]string{{"audio", "video"}, {"video", "audio"}} {
			for _, carried := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s first, policy %t", bundle, kinds[0], carried), func(t *testing.T) {
					refuseVideo(t, chromium, bundle, kinds, carried)
				})
			}
		}
	}
}

func refuseVideo(t *testing.T, chromium *lab.Chromium, bundle string, kinds []string, policy bool) {
	c := newPeerCall(t, chromium)
	c.open("alice", sdp.WebRTC, sdp.Policy{Video: policy})
	c.open("bob", sdp.WebRTC, sdp.Policy{})
	var offer string
	c.tab.Do(t, &offer, "peerOffer", "alice", kinds, bundle)
	l, err := c.legs["alice"].HearOffer([]byte(offer))
	c.set("alice", l, err)
	c.ask("bob", "alice", []string{"audio"})
	c.answer("alice", "bob")
	for _, name := range []string{"alice", "bob"} {
		c.until("sound", name, func(s peerState) bool { return s.Connection == "connected" && s.Kinds["audio"].Packets > 50 })
	}
	c.again("alice", "bob")
	if s := c.state("alice"); slices.Contains(s.Directions, "video sendrecv") || !slices.Contains(s.Directions, "audio sendrecv") {
		t.Errorf("alice's streams are %v", s.Directions)
	}
}

// again offers to a browser that is in a call, then lets it offer itself: sound goes on all the while.
func (c *peerCall) again(name, from string) {
	c.Helper()
	c.ask(name, from, nil)
	var offer string
	c.tab.Do(c.T, &offer, "peerReoffer", name)
	l, err := c.legs[name].HearOffer([]byte(offer))
	c.set(name, l, err)
	c.answer(name, from)
	for _, name := range []string{name, from} {
		heard := c.state(name).Kinds["audio"].Packets
		c.until("more sound", name, func(s peerState) bool { return s.Kinds["audio"].Packets > heard+20 })
	}
}

// Video comes to a running call, from one side and then by the other's answer, and goes again.
func TestVideoIsAdded(t *testing.T) {
	chromium := lab.StartChromium(t)
	c := newPeerCall(t, chromium)
	c.open("alice", sdp.WebRTC, sdp.Policy{Video: true})
	c.open("bob", sdp.WebRTC, sdp.Policy{Video: true})
	var offer string
	c.tab.Do(t, &offer, "peerOffer", "alice", []string{"audio"}, "balanced")
	l, err := c.legs["alice"].HearOffer([]byte(offer))
	c.set("alice", l, err)
	c.ask("bob", "alice", []string{"audio"})
	c.answer("alice", "bob")
	c.until("sound", "bob", func(s peerState) bool { return s.Kinds["audio"].Packets > 50 })

	c.tab.Do(t, &offer, "peerReoffer", "alice", "video")
	before := c.legs["alice"]
	l, err = before.HearOffer([]byte(offer))
	if c.set("alice", l, err); !l.Alters(before) {
		t.Fatal("the video is no news")
	}
	c.ask("bob", "alice", nil) // who only watches
	c.answer("alice", "bob")
	c.until("pictures", "bob", func(s peerState) bool { return s.Kinds["video"].Frames > 30 })
	c.again("bob", "alice")
	if s := c.state("alice"); !slices.Contains(s.Directions, "video sendonly") || s.Kinds["audio"].Packets == 0 {
		t.Errorf("alice's streams are %v", s.Directions)
	}
}

// A phone that sends back what it gets, by plain RTP with ports of its own for video: the browser sees itself in each codec, and
// a request for a key frame reaches it by way of the phone.
func TestVideoEcho(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, codec := range []string{"VP8", "H264"} {
		t.Run(codec, func(t *testing.T) {
			c := newPeerCall(t, chromium)
			c.open("alice", sdp.WebRTC, sdp.Policy{Video: true})
			c.open("phone", sdp.RTP, sdp.Policy{Video: true})
			var offer string
			c.tab.Do(t, &offer, "peerOffer", "alice", []string{"audio", "video"}, "balanced")
			l, err := c.legs["alice"].HearOffer([]byte(offer))
			c.set("alice", l, err)
			if err := c.media["phone"].Reserve(sdp.Video); err != nil {
				t.Fatal(err)
			}
			phone := c.legs["phone"]
			phone.Local = c.media["phone"].Local()
			phone, text, err := phone.Offer(c.legs["alice"].Heard)
			if err != nil {
				t.Fatal(err)
			}
			phone, err = phone.HearAnswer([]byte(echoAnswer(t, string(text), codec)))
			c.set("phone", phone, err)
			c.answer("alice", "phone")
			c.until("its own pictures", "alice", func(s peerState) bool {
				return s.Kinds["video"].Frames > 30 && s.Kinds["video"].KeyFrames > 0 && s.Kinds["audio"].Packets > 50
			})
			c.until("a request for a key frame", "alice", func(s peerState) bool { return s.Kinds["video"].Asked > 0 })
		})
	}
}

// echoAnswer opens a phone's sockets and answers with PCMU and the first payload type of a video codec.
func echoAnswer(t *testing.T, offer, codec string) string {
	t.Helper()
	m := regexp.MustCompile(`a=rtpmap:(\d+) ` + codec + `/90000`).FindStringSubmatch(offer)
	if m == nil {
		t.Fatalf("no %s in\n%s", codec, offer)
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP 0\r\na=rtcp-mux\r\nm=video %d RTP/AVP %s\r\na=rtpmap:%s %s/90000\r\na=rtcp:%d\r\n",
		reflector(t, false), reflector(t, false), m[1], m[1], codec, reflector(t, true))
}

// reflector sends back what comes to its port; to RTCP it answers each sender report with a request for a key frame.
func reflector(t *testing.T, control bool) (port int) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for b := make([]byte, 2048); ; {
			n, from, err := c.ReadFromUDP(b)
			if err != nil {
				return
			}
			packet := b[:n]
			if control {
				packet = pictureRequest(packet)
			}
			if packet != nil {
				_, _ = c.WriteToUDP(packet, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// pictureRequest is a PLI for the stream of which a sender report tells, nil for other RTCP.
func pictureRequest(report []byte) []byte {
	packets, err := rtcp.Unmarshal(report)
	if err != nil {
		return nil
	}
	for _, p := range packets {
		if sr, ok := p.(*rtcp.SenderReport); ok {
			request, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 7}, &rtcp.PictureLossIndication{SenderSSRC: 7, MediaSSRC: sr.SSRC}})
			if err == nil {
				return request
			}
		}
	}
	return nil
}
