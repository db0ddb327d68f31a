package sdp

import (
	"slices"
	"strings"
	"testing"
)

const (
	videoLines = "a=rtpmap:97 VP8/90000\r\n"
	audioVideo = head + "m=audio 4000 RTP/SAVP 0\r\nA" + "m=video 4002 RTP/SAVP 97\r\n" + videoLines + "V"
)

// keyedPair is audio and video with attributes of their own.
func keyedPair(audio, video string) []byte {
	return []byte(strings.NewReplacer("\r\nA", "\r\n"+audio, "\r\nV", "\r\n"+video).Replace(audioVideo))
}

// Each stream of an RTP leg has keys of its own, ours and the peer's.
func TestKeysOfEachSlot(t *testing.T) {
	video := "a=crypto:1 AEAD_AES_256_GCM inline:" + key64(44) + "\r\n"
	l := must(rtpLeg(t, "keys", "video").HearOffer(keyedPair(cryptoLine, video)))(t)
	l, text, err := l.Answer(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := l.Remote().Streams
	if len(r) != 2 || r[Audio].Receive.Suite != "AES_CM_128_HMAC_SHA1_32" || r[Video].Receive.Suite != "AEAD_AES_256_GCM" {
		t.Fatalf("%+v", r)
	}
	for slot, s := range r {
		mine, ok := own(l.Local.Crypto[slot], s.Send.Suite)
		if !ok || !slices.Equal(mine.Key, s.Send.Key) || !strings.Contains(string(text), "a=crypto:"+s.Send.line()+"\r\n") {
			t.Errorf("slot %d: %+v\n%s", slot, s, text)
		}
	}
	again := must(l.HearOffer(keyedPair(cryptoLine, strings.Replace(video, key64(44)[:4], "AAAA", 1))))(t)
	if !again.Rekeyed(l) {
		t.Fatal("the video's new key is not seen")
	}
	_, offer, err := l.Offer(nil)
	if err != nil || strings.Count(string(offer), "a=crypto:") != len(suites()) {
		t.Fatalf("%v\n%s", err, offer)
	}
}

// A video that cannot be keyed is refused beside the audio, which can.
func TestUnkeyedVideo(t *testing.T) {
	for _, video := range []string{"", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n", "a=fingerprint:sha-1 AA:BB\r\n"} {
		l, text, err := must(rtpLeg(t, "keys", "video").HearOffer(keyedPair(cryptoLine, video)))(t).Answer(nil)
		if err != nil || l.Heard.Carries(Video) || !strings.Contains(string(text), "m=video 0 RTP/SAVP 97\r\n") {
			t.Errorf("%s: %v\n%s", video, err, text)
		}
	}
}

// Each stream is an association of its own: roles and tls-ids may differ, and a re-offer keeps them.
func TestAssociationOfEachSlot(t *testing.T) {
	side := func(setup, id string) string {
		return "a=fingerprint:sha-256 AA:BB\r\na=setup:" + setup + "\r\na=tls-id:" + id + "\r\n"
	}
	l, text, err := must(rtpLeg(t, "keys", "video").HearOffer(keyedPair(side("active", "a"), side("passive", "v"))))(t).Answer(nil)
	if err != nil || l.Remote().Streams[Audio].Setup != "active" || l.Remote().Streams[Video].Setup != "passive" {
		t.Fatalf("%v\n%s", err, text)
	}
	ids := func(d *Description) [2]string { return [2]string{d.at(Audio).ICE.TLSID, d.at(Video).ICE.TLSID} }
	first := ids(l.Said)
	if first[0] == "" || first[0] == first[1] {
		t.Fatalf("%q", first)
	}
	again, text, err := l.Offer(l.Heard)
	if err != nil || ids(again.Said) != first || again.Said.at(Audio).ICE.Setup != "passive" || again.Said.at(Video).ICE.Setup != "active" {
		t.Fatalf("%v, %q\n%s", err, first, text)
	}
	l, _, err = must(l.HearOffer(keyedPair(side("actpass", "a"), side("actpass", "w"))))(t).Answer(nil)
	if now := ids(l.Said); err != nil || now[0] != first[0] || now[1] == first[1] {
		t.Fatalf("%v: %q after %q", err, now, first)
	}
	if l.Said.at(Audio).ICE.Setup != "passive" || l.Said.at(Video).ICE.Setup != "active" {
		t.Fatal("a role was lost")
	}
}

// A restart of ICE on one stream renews the leg's credentials, and so all.
func TestRestartOfOneSlot(t *testing.T) {
	video := strings.Replace(iceLines, " 4000 ", " 4002 ", 1)
	l := must(rtpLeg(t, "keys", "video").HearOffer(keyedPair(cryptoLine+iceLines, cryptoLine+video)))(t)
	l, text, err := l.Answer(nil)
	if err != nil || !strings.Contains(string(text), "10.0.0.5 20002 typ host") {
		t.Fatalf("%v\n%s", err, text)
	}
	again := must(l.HearOffer(keyedPair(cryptoLine+iceLines, cryptoLine+strings.Replace(video, "abcd", "dcba", 1))))(t)
	if !again.Restarted(l) {
		t.Fatal("the video's restart is not seen")
	}
}

// A fax is in the clear: where encryption is required it is neither taken nor offered.
func TestFaxWhereEncryptionIsRequired(t *testing.T) {
	fax := "m=image 4004 udptl t38\r\na=T38FaxVersion:0\r\n"
	if _, err := rtpLeg(t, "keys", "ports", "required").HearOffer([]byte(head + fax)); err == nil ||
		!strings.Contains(err.Error(), "m=image: udptl without encryption is refused on this leg") {
		t.Fatal(err)
	}
	open := must(rtpLeg(t, "keys", "ports").HearOffer([]byte(head + "m=audio 4000 RTP/AVP 0\r\n" + fax)))(t)
	for words, want := range map[string]int{"keys ports": 1, "keys ports sdes required": 0} {
		_, text, err := rtpLeg(t, strings.Fields(words)...).Offer(open.Heard)
		if err != nil || strings.Count(string(text), "m=image 20004 ") != want {
			t.Errorf("%s: %v\n%s", words, err, text)
		}
	}
}

// What of ICE and DTLS an RTP leg's text has but was not agreed to stays out of what the media engine is told.
func TestRemoteTellsWhatWasAgreed(t *testing.T) {
	l := must(rtpLeg(t).HearOffer([]byte(head + "m=audio 4000 RTP/AVP 0\r\n" + dtlsLines + iceLines)))(t)
	r := l.Remote()
	if r.Ufrag != "" || len(r.Fingerprints) > 0 || r.Streams[0].Ufrag != "" || len(r.Streams[0].Fingerprints) > 0 || len(r.Streams[0].Candidates) > 0 {
		t.Fatalf("%+v", r)
	}
}
