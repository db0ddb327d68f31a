package sdp

import (
	"slices"
	"strings"
	"testing"
)

// A new key of the peer's is taken by a re-offer, an unchanged one stays; ours changes with Local alone.
func TestRekeying(t *testing.T) {
	offer := func(key string) []byte {
		return []byte(head + "m=audio 4000 RTP/SAVP 0\r\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:" + key + "\r\n")
	}
	say := func(l Leg) (Leg, RemoteStream, string) {
		t.Helper()
		l, text, err := l.Answer(nil)
		if err != nil || !strings.Contains(string(text), "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:") {
			t.Fatalf("%v\n%s", err, text)
		}
		return roundTrip(t, l), l.Remote().Streams[0], string(text)
	}
	first := must(rtpLeg(t, "keys").HearOffer(offer(key64(30))))(t)
	if first.Rekeyed(*first.Before) {
		t.Fatal("the first key counts as renewed")
	}
	first, was, text := say(first)

	same := must(first.HearOffer(offer(key64(30))))(t)
	if same.Rekeyed(first) || same.Alters(first) {
		t.Fatal("the same key counts as renewed")
	}
	if _, _, again := say(same); again != text {
		t.Fatalf("a refresh changed our answer:\n%s", again)
	}

	other := strings.Repeat("B", 40)
	renewed := must(first.HearOffer(offer(other)))(t)
	if !renewed.Rekeyed(first) || renewed.Alters(first) || renewed.Restarted(first) {
		t.Fatal("the new key is not seen, or counts as more")
	}
	renewed.Local = withKeys(renewed.Local, 'a', 2)
	renewed, is, _ := say(renewed)
	if slices.Equal(is.Receive.Key, was.Receive.Key) || slices.Equal(is.Send.Key, was.Send.Key) || is.Receive.Tag != 4 {
		t.Fatalf("%v %v", is.Receive, is.Send)
	}
	renewed, text2, err := renewed.Offer(nil) // our re-offer lists all our suites with the keys that are in use
	if err != nil || !strings.Contains(string(text2), strings.Replace(is.Send.line(), "4 ", "a=crypto:5 ", 1)+"\r\n") {
		t.Fatalf("%v\n%s", err, text2)
	}
	renewed = must(renewed.HearAnswer([]byte(head + "m=audio 4000 RTP/SAVP 0\r\na=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:" + key64(30) + "\r\n")))(t)
	if now := renewed.Remote().Streams[0]; !slices.Equal(now.Receive.Key, was.Receive.Key) || !slices.Equal(now.Send.Key, is.Send.Key) {
		t.Fatalf("%v %v", now.Receive, now.Send)
	}
}

// The DTLS role is decided once; media hears of the peer's, never of actpass.
func TestSetupOnRTPLegs(t *testing.T) {
	offer := func(setup string) []byte {
		return []byte(head + "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 AA:BB\r\n" + setup)
	}
	for _, c := range []struct{ offered, answered, peer string }{
		{"a=setup:actpass\r\n", "passive", "active"},
		{"a=setup:active\r\n", "passive", "active"},
		{"a=setup:passive\r\n", "active", "passive"},
		{"", "passive", "active"},
	} {
		l := must(rtpLeg(t, "keys").HearOffer(offer(c.offered)))(t)
		if l.Remote().Streams[0].Setup != c.peer {
			t.Errorf("%s: heard %+v", c.offered, l.Remote().Streams[0])
		}
		l, text, err := l.Answer(nil)
		if err != nil || !strings.Contains(string(text), "a=setup:"+c.answered+"\r\n") {
			t.Fatalf("%s: %v\n%s", c.offered, err, text)
		}
		l, text, err = must(l.HearOffer(offer("a=setup:actpass\r\n")))(t).Answer(nil)
		if err != nil || !strings.Contains(string(text), "a=setup:"+c.answered+"\r\n") || l.Remote().Streams[0].Setup != c.peer {
			t.Errorf("%s, then actpass: %v\n%s", c.offered, err, text)
		}
		if _, text, err = l.Offer(nil); err != nil || !strings.Contains(string(text), "a=setup:"+c.answered+"\r\n") {
			t.Errorf("%s, then ours: %v\n%s", c.offered, err, text)
		}
	}
	for _, peer := range []string{"active", "passive"} {
		l, text, err := rtpLeg(t, "keys", "dtls").Offer(nil)
		if err != nil || !strings.Contains(string(text), "a=setup:actpass\r\n") {
			t.Fatalf("%v\n%s", err, text)
		}
		l = must(l.HearAnswer(offer("a=setup:" + peer + "\r\n")))(t)
		if l.Remote().Streams[0].Setup != peer || l.role(Audio) != peerSetup(peer) {
			t.Errorf("answered %s: %q %+v", peer, l.role(Audio), l.Remote())
		}
	}
}

// A tls-id is ours as long as the association, and is said to those alone who know what it is (RFC 8842).
func TestTLSID(t *testing.T) {
	id := func(text []byte) string {
		_, rest, _ := strings.Cut(string(text), "a=tls-id:")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	offer := func(id string) []byte {
		return []byte(head + "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n" + id)
	}
	answer := func(l Leg, text []byte) (Leg, string) {
		t.Helper()
		l, said, err := must(l.HearOffer(text))(t).Answer(nil)
		if err != nil {
			t.Fatal(err)
		}
		return roundTrip(t, l), id(said)
	}
	l, none := answer(rtpLeg(t, "keys"), offer(""))
	_, said, err := l.Offer(nil)
	if err != nil || none != "" || id(said) != "" {
		t.Fatalf("%v: %q, then %q to a peer without", err, none, id(said))
	}
	l, first := answer(rtpLeg(t, "keys"), offer("a=tls-id:one\r\n"))
	if len(first) < 20 || l.Remote().Streams[0].TLSID != "one" {
		t.Fatalf("%q to %+v", first, l.Remote())
	}
	l, same := answer(l, offer("a=tls-id:one\r\n"))
	again, said, err := l.Offer(nil)
	if err != nil || same != first || id(said) != first {
		t.Fatalf("%v: %q %q %q", err, first, same, id(said))
	}
	l, second := answer(again.Rollback(), offer("a=tls-id:two\r\n"))
	if second == first || len(second) < 20 {
		t.Fatalf("%q to a new association", second)
	}
	l.Local.Fingerprint.Value = "BB:AA"
	if _, said, err = l.Offer(nil); err != nil || id(said) == second || id(said) == first {
		t.Fatalf("%v: %q with another certificate", err, id(said))
	}
}

// Packets are as long as the peer wants them and no longer than it can take, and the far leg is told so.
func TestPtime(t *testing.T) {
	for _, c := range []struct {
		lines, said string
		want        int
	}{
		{"", "", 0},
		{"a=ptime:30\r\n", "a=ptime:30\r\n", 30},
		{"a=ptime:40\r\na=maxptime:30\r\n", "a=ptime:30\r\na=maxptime:30\r\n", 30},
		{"a=maxptime:60\r\n", "a=maxptime:60\r\n", 0},
		{"a=maxptime:10\r\n", "a=ptime:10\r\na=maxptime:10\r\n", 10},
		{"a=ptime:2000\r\na=maxptime:x\r\n", "", 0},
	} {
		a := must(rtpLeg(t).HearOffer([]byte(head + "m=audio 4000 RTP/AVP 0\r\n" + c.lines)))(t)
		if a.Remote().Streams[0].Ptime != c.want {
			t.Errorf("%q: %d", c.lines, a.Remote().Streams[0].Ptime)
		}
		for _, profile := range []Profile{RTP, WebRTC} {
			_, text, err := testLeg(profile, 'b').Offer(a.Heard)
			if err != nil || !strings.Contains(string(text), c.said+"a=sendrecv\r\n") || strings.Count(string(text), "ptime") != strings.Count(c.said, "ptime") {
				t.Errorf("%q: %v\n%s", c.lines, err, text)
			}
		}
	}
}

// Alternatives of address (ANAT, RFC 4091; a=altc, RFC 6947) are passed over: the first m-line is taken, the other refused.
func TestAddressAlternatives(t *testing.T) {
	anat := strings.Replace(head, "t=0 0\r\n", "t=0 0\r\na=group:ANAT 1 2\r\n", 1) +
		"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=mid:1\r\nm=audio 4002 RTP/AVP 0\r\na=mid:2\r\n"
	l, text, err := must(rtpLeg(t, "keys").HearOffer([]byte(anat)))(t).Answer(nil)
	if err != nil || l.Remote().Streams[0].RTP.String() != "[2001:db8::1]:4000" || !strings.Contains(string(text), "m=audio 0 RTP/AVP 0\r\na=mid:2\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	l = must(rtpLeg(t).HearOffer([]byte(head + "m=audio 4000 RTP/AVP 0\r\na=altc:1 IP6 2001:db8::1 4000\r\na=altc:2 IP4 192.0.2.1 4000\r\n")))(t)
	if l.Remote().Streams[0].RTP.String() != "192.0.2.1:4000" {
		t.Fatal(l.Remote())
	}
}
