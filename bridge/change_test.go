package bridge

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// What changes in a running call: hold with music, place, codec, streams.

// The PBX holds the browser and plays music to it; its own side hears nothing meanwhile. After the resume both talk.
func TestMusicOnHold(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	for _, by := range []sip.RequestMethod{sip.INVITE, sip.UPDATE} {
		res, err := k.backend.Request(k.ctx(), by, "application/sdp", k.rtp.Offer("sendonly"))
		k.check(err)
		if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=recvonly") {
			t.Fatalf("%s: %d\n%s", by, res.StatusCode, res.Body())
		}
		k.rtp.Tone(600)
		k.check(k.call.Media().WaitTone(k.ctx(), 600))
		k.check(k.rtp.WaitQuiet(k.ctx(), 200*time.Millisecond))
		res, err = k.backend.Request(k.ctx(), by, "application/sdp", k.rtp.Offer("sendrecv"))
		k.check(err)
		if res.StatusCode != 200 {
			t.Fatalf("%s: %d", by, res.StatusCode)
		}
		k.hears(k.call, k.rtp, 1000)
	}
	k.hangUp()
}

// The browser holds and the PBX answers with music all the same, as Asterisk may for a held peer's own sake: nothing reaches the browser,
// and after the resume both talk.
func TestMusicForTheHolder(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	offers := make(chan string, 1)
	k.meanwhile(func() { k.answerReinvite(offers) })
	k.check(k.call.Reinvite(k.ctx(), wsstest.Change{Direction: "inactive"}))
	if offer := <-offers; !strings.Contains(offer, "a=inactive") {
		t.Errorf("the backend was offered\n%s", offer)
	}
	k.check(k.call.Media().WaitQuiet(k.ctx(), 200*time.Millisecond))
	k.meanwhile(func() { k.answerReinvite(offers) })
	k.check(k.call.Resume(k.ctx()))
	<-offers
	k.hears(k.call, k.rtp, 1000)
	k.hangUp()
}

// The far side moves: its media comes from and goes to another place, which concerns nobody but this leg.
func TestFarSideMoves(t *testing.T) {
	t.Parallel()
	for _, by := range []sip.RequestMethod{sip.INVITE, sip.UPDATE} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, conditions{}, wsstest.Options{})
			// The same codecs as agreed: a re-offer of them all would be news for the browser.
			again := sessionOf(k.rtp, 0, "PCMU/8000")
			res, err := k.backend.Request(k.ctx(), by, "application/sdp", again)
			k.check(err)
			k.check(k.rtp.Connect(string(res.Body())))
			heard, next := k.reoffers(), k.world.rtp()
			res, err = k.backend.Request(k.ctx(), by, "application/sdp", sessionOf(next, 0, "PCMU/8000"))
			k.check(err)
			if res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, header(res, "Reason"))
			}
			k.check(next.Connect(string(res.Body())))
			k.check(k.rtp.Close())
			k.hears(k.call, next, 1200)
			if now := k.reoffers(); now != heard {
				t.Errorf("the browser heard %d offers of it", now-heard)
			}
			k.hangUp()
		})
	}
}

// reoffers is how many re-INVITEs and UPDATEs the browser heard.
func (k *talk) reoffers() (n int) {
	for _, req := range k.call.Received() {
		if req.Method == sip.INVITE || req.Method == sip.UPDATE {
			n++
		}
	}
	return n
}

// The codec changes in mid-call, from either side.
func TestCodecChanges(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	for _, to := range []struct {
		payload int
		name    string
	}{{8, "PCMA/8000"}, {0, "PCMU/8000"}} {
		res, err := k.backend.Reinvite(k.ctx(), sessionOf(k.rtp, to.payload, to.name))
		k.check(err)
		if res.StatusCode != 200 || !strings.Contains(string(res.Body()), to.name) {
			t.Fatalf("%s: %d\n%s", to.name, res.StatusCode, res.Body())
		}
		k.check(k.rtp.Connect(string(res.Body())))
		k.hears(k.call, k.rtp, 1000)
	}
	k.hangUp()
}

// pictured is a browser's session whose m-lines change from offer to offer; nothing listens behind it.
type pictured struct {
	wsstest.Fixed

	mu    sync.Mutex
	video string // guarded by mu; "on", "off", "": there is no m-line
}

func (p *pictured) set(video string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.video = video
}

func (p *pictured) shows() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.video
}

const videoLine = "m=video 9 UDP/TLS/RTP/SAVPF 98\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Yk3R\r\na=ice-pwd:0d3Xg7q2aUvYb8sN5wLrTzKc\r\n" +
	"a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r\n" +
	"a=setup:actpass\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:98 VP8/90000\r\n"

func (p *pictured) text() string {
	text := string(p.Fixed)
	switch p.shows() {
	case "":
		return text
	case "on":
		return strings.Replace(text, "BUNDLE 0", "BUNDLE 0 1", 1) + videoLine
	}
	off := strings.Replace(videoLine, "m=video 9", "m=video 0", 1)
	return text + strings.Replace(off, "a=sendrecv", "a=inactive", 1)
}

func (p *pictured) Offer(context.Context, wsstest.Change) ([]byte, error) {
	return []byte(p.text()), nil
}

func (p *pictured) Answer(_ context.Context, offer []byte) ([]byte, error) {
	switch {
	case strings.Contains(string(offer), "m=video 0 "):
		p.set("off")
	case strings.Contains(string(offer), "m=video "):
		p.set("on")
	default:
		p.set("")
	}
	return []byte(strings.ReplaceAll(p.text(), "a=setup:actpass", "a=setup:active")), nil
}

// A browser adds video and takes it away, and then the backend does: each side hears of it.
func TestVideoComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {SDP: sdp.Policy{Video: true}}}}})
	s := &pictured{Fixed: wsstest.FixedAudio()}
	call, in := w.ringing(wsstest.InviteOptions{Session: s})
	audio, both := session(1, "m=audio 4100 RTP/AVP 0"), "m=video 4102 RTP/AVP 96\r\na=rtpmap:96 VP8/90000"
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: audio})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	for version, video := range []string{"on", "off"} {
		s.set(video)
		line := both
		if video == "off" {
			line = "m=video 0 RTP/AVP 96"
		}
		offers := make(chan string, 1)
		w.meanwhile(func() {
			again, err := d.Expect(w.ctx(), sip.INVITE)
			if err == nil {
				offers <- again.SDP()
				_, err = again.Accept(w.ctx(), siptest.Reply{SDP: session(2+version, "m=audio 4100 RTP/AVP 0", line)})
			}
			if err != nil {
				t.Error(err)
			}
		})
		w.check(call.Reinvite(w.ctx(), wsstest.Change{}))
		if port := portOf(t, <-offers, "video"); (port != 0) != (video == "on") {
			t.Errorf("browser's video %s: the backend was offered port %d", video, port)
		}
	}
	for version, line := range []string{both, "m=video 0 RTP/AVP 96"} {
		res, err := d.Reinvite(w.ctx(), session(10+version, "m=audio 4100 RTP/AVP 0", line))
		w.check(err)
		if port := portOf(t, string(res.Body()), "video"); res.StatusCode != 200 || (port != 0) != (version == 0) {
			t.Errorf("backend's %s: %d\n%s", line, res.StatusCode, res.Body())
		}
		if on := s.shows() == "on"; on != (version == 0) {
			t.Errorf("backend's %s: the browser answered video %q", line, s.shows())
		}
	}
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}
