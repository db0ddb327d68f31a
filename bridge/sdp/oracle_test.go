package sdp

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// checkSaid holds what we say against the rules, by a parser that is not ours.
func checkSaid(t *testing.T, l Leg, text []byte) {
	t.Helper()
	var d pion.SessionDescription
	// pion/sdp knows neither m=image nor udptl; refused m-lines repeat whatever was offered.
	known := regexp.MustCompile(`(?m)^m=.* 0 .*\r$`).ReplaceAll(text, []byte("m=audio 0 RTP/AVP 0\r"))
	known = regexp.MustCompile(`(?m)^m=image (\d+) udptl t38\r$`).ReplaceAll(known, []byte("m=audio $1 RTP/AVP 0\r"))
	if err := d.Unmarshal(known); err != nil {
		t.Fatalf("pion/sdp: %v\n%s", err, text)
	}
	if strings.Count(string(text), "\n") != strings.Count(string(text), "\r\n") {
		t.Fatalf("a line without CRLF:\n%q", text)
	}
	if d.Origin.SessionID != l.SessionID || d.Origin.SessionVersion != l.Version {
		t.Fatalf("o= %+v of %d %d", d.Origin, l.SessionID, l.Version)
	}
	if l.Said.Answer && len(d.MediaDescriptions) != len(l.Heard.Streams) {
		t.Fatalf("%d m-lines in answer to %d:\n%s", len(d.MediaDescriptions), len(l.Heard.Streams), text)
	}
	for _, a := range d.Attributes {
		if a.Key == "group" && strings.TrimSpace(a.Value) == "BUNDLE" {
			t.Fatalf("an empty group:\n%s", text)
		}
		if a.Key == "sendrecv" || a.Key == "sendonly" || a.Key == "recvonly" || a.Key == "inactive" {
			t.Fatalf("a direction at session level:\n%s", text)
		}
	}
	for i, m := range d.MediaDescriptions {
		checkMedia(t, l, i, m)
	}
	if l.Said.Answer {
		return
	}
	checkBundle(t, l, d.MediaDescriptions)
	if again, err := describe(text, l.Profile); err != nil || (Leg{Profile: l.Profile, Local: l.Local, Policy: l.Policy}).choose(again) != nil {
		t.Fatalf("we do not understand ourselves: %v\n%s", err, text)
	}
}

// checkBundle holds an offer's bundle to having each number and each header extension's id once (RFC 9143 §10.1).
func checkBundle(t *testing.T, l Leg, all []*pion.MediaDescription) {
	t.Helper()
	kinds, uris := map[string]string{}, map[string]string{}
	for i, m := range all {
		if l.Profile != WebRTC || l.Said.Streams[i].Rejected {
			continue
		}
		for _, f := range m.MediaName.Formats {
			if kind, taken := kinds[f]; taken {
				t.Fatalf("payload type %s for m=%s and m=%s", f, kind, m.MediaName.Media)
			}
			kinds[f] = m.MediaName.Media
		}
		for _, a := range m.Attributes {
			id, uri, _ := strings.Cut(a.Value, " ")
			if before, taken := uris[id]; a.Key == "extmap" && taken && before != uri {
				t.Fatalf("extension %s is %s and %s", id, before, uri)
			} else if a.Key == "extmap" {
				uris[id] = uri
			}
		}
	}
}

func checkMedia(t *testing.T, l Leg, i int, m *pion.MediaDescription) {
	t.Helper()
	if l.Profile == WebRTC {
		if _, ok := m.Attribute("mid"); !ok && (l.Heard == nil || l.Heard.Streams[i].MID != "") {
			t.Fatalf("m-line %d without mid", i)
		}
	}
	if m.MediaName.Port.Value == 0 || l.Said.Streams[i].Kind == "image" {
		return
	}
	seen := map[string]bool{}
	for _, f := range m.MediaName.Formats {
		if seen[f] {
			t.Fatalf("payload type %s twice", f)
		}
		seen[f] = true
	}
	if !l.Said.Answer {
		return
	}
	offered := map[string]bool{}
	for _, c := range l.Heard.Streams[i].Codecs {
		offered[fmt.Sprint(c.PayloadType)] = true
	}
	for f := range seen {
		if !offered[f] {
			t.Fatalf("payload type %s was not offered", f)
		}
	}
}

// pion/webrtc as the browser, both ways: what we say is applied, what it says is heard, hold and resume go through.
func TestPionAsBrowser(t *testing.T) {
	for _, video := range []bool{false, true} {
		t.Run(fmt.Sprintf("calls us, video=%t", video), func(t *testing.T) {
			pc := newPion(t, video)
			l := testLeg(WebRTC, 'a')
			for range 3 { // the later rounds are re-offers
				offer, err := pc.CreateOffer(nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := pc.SetLocalDescription(offer); err != nil {
					t.Fatal(err)
				}
				l = must(l.HearOffer([]byte(offer.SDP)))(t)
				var text []byte
				if l, text, err = l.Answer(nil); err != nil {
					t.Fatal(err)
				}
				checkSaid(t, l, text)
				answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(text)}
				if err := pc.SetRemoteDescription(answer); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
			}
			if l.Setup != "passive" || l.Version != 1 {
				t.Fatalf("setup %s, version %d after refreshes", l.Setup, l.Version)
			}
		})
	}
	t.Run("is called", func(t *testing.T) {
		pc := newPion(t, false)
		l := testLeg(WebRTC, 'b')
		for _, direction := range []Direction{SendRecv, SendOnly, Inactive, SendRecv} {
			far := &Description{Streams: []Stream{{Kind: "audio", Relayed: true, Direction: direction, Codecs: everything()}}}
			l = pionAnswers(t, pc, l, far)
			if l.Heard.main().Direction&^direction.Reverse() != 0 {
				t.Fatalf("offered %s, answered %s", direction, l.Heard.main().Direction)
			}
		}
	})
}

func newPion(t *testing.T, video bool) *webrtc.PeerConnection {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	if video {
		if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
		if _, err := pc.CreateDataChannel("x", nil); err != nil {
			t.Fatal(err)
		}
	}
	return pc
}

// pionAnswers lets pc answer our offer of what the far leg says.
func pionAnswers(t *testing.T, pc *webrtc.PeerConnection, l Leg, far *Description) Leg {
	t.Helper()
	l, text, err := l.Offer(far)
	if err != nil {
		t.Fatal(err)
	}
	checkSaid(t, l, text)
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(text)}); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	return must(l.HearAnswer([]byte(answer.SDP)))(t)
}
