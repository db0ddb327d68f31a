package sdp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
)

// pion/webrtc, full or lite, as a WebRTC-capable trunk behind an RTP leg with keys: either side calls, and calls again within
// the dialog.
func TestPionAsTrunk(t *testing.T) {
	for _, lite := range []bool{false, true} {
		for _, video := range []bool{false, true} {
			t.Run(fmt.Sprintf("calls us, lite=%t video=%t", lite, video), func(t *testing.T) { pionTrunkCalls(t, lite, video) })
		}
		t.Run(fmt.Sprintf("is called, lite=%t", lite), func(t *testing.T) { pionTrunkIsCalled(t, lite) })
	}
}

func newPionTrunk(t *testing.T, lite bool) *webrtc.PeerConnection {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetLite(lite)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return pc
}

// described sets pc's own description and waits for its candidates: SIP carries no trickle.
func described(t *testing.T, pc *webrtc.PeerConnection, d webrtc.SessionDescription, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		t.Fatal(err)
	}
	<-gathered
	return []byte(pc.LocalDescription().SDP)
}

func pionTrunkCalls(t *testing.T, lite, video bool) {
	pc := newPionTrunk(t, lite)
	kinds := []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio}
	if video {
		kinds = append(kinds, webrtc.RTPCodecTypeVideo)
	}
	for _, kind := range kinds {
		if _, err := pc.AddTransceiverFromKind(kind); err != nil {
			t.Fatal(err)
		}
	}
	l := rtpLeg(t, "keys")
	for range 3 {
		offer, err := pc.CreateOffer(nil)
		l = must(l.HearOffer(described(t, pc, offer, err)))(t)
		var text []byte
		if l, text, err = l.Answer(nil); err != nil {
			t.Fatal(err)
		}
		checkSaid(t, l, text)
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(text)}); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		checkTrunk(t, l, lite, lite)
	}
	if l.Version != 1 {
		t.Fatalf("version %d after refreshes", l.Version)
	}
}

func pionTrunkIsCalled(t *testing.T, lite bool) {
	pc := newPionTrunk(t, lite)
	l := rtpLeg(t, "keys", "dtls", "ice")
	for range 3 {
		next, text, err := l.Offer(nil)
		if err != nil {
			t.Fatal(err)
		}
		checkSaid(t, next, text)
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(text)}); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		answer, err := pc.CreateAnswer(nil)
		l = must(next.HearAnswer(described(t, pc, answer, err)))(t)
		checkTrunk(t, l, lite, true)
	}
}

// checkTrunk holds what was agreed with pion: DTLS, rtcp-mux, ICE.
func checkTrunk(t *testing.T, l Leg, lite, controlling bool) {
	t.Helper()
	r := l.Remote().Streams[0]
	if r.Keying != DTLS || !r.Mux || r.Ufrag == "" || r.Controlling != controlling || len(r.Fingerprints) == 0 {
		t.Fatalf("lite=%t: %+v", lite, r)
	}
	if r.ICELite != lite || !strings.Contains("active passive", r.Setup) || r.Setup == "" {
		t.Fatalf("%+v", r)
	}
	if r.TLSID != "" || len(r.Candidates) == 0 {
		t.Fatalf("%+v", r)
	}
}
