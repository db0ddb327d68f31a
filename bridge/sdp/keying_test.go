package sdp

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const (
	cryptoLine = "a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	dtlsLines  = "a=fingerprint:sha-384 AA:BB\r\na=fingerprint:sha-512 CC:DD\r\na=setup:actpass\r\n"
	iceLines   = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host\r\n"
)

func rtpLeg(t *testing.T, words ...string) Leg {
	t.Helper()
	return wordedLeg(t, testLeg(RTP, 'a'), words)
}

// What of an offer is agreed to, by protocol, attributes and policy.
func TestOfferedKeying(t *testing.T) {
	for _, c := range []struct {
		protocol, lines, words string
		want                   Keying
		fault                  string
	}{
		{"RTP/AVP", "", "", Plain, ""},
		{"RTP/AVP", cryptoLine, "", Plain, ""},
		{"RTP/AVP", "", "keys", Plain, ""},
		{"RTP/AVP", cryptoLine, "keys", SDES, ""},
		{"RTP/AVPF", dtlsLines, "keys", DTLS, ""},
		{"RTP/AVP", cryptoLine + dtlsLines, "keys", DTLS, ""},
		{"RTP/AVP", cryptoLine + dtlsLines, "keys sdes", SDES, ""},
		{"RTP/AVP", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n", "keys", Plain, ""},
		{"RTP/AVP", "", "keys required", Plain, "RTP/AVP without encryption is refused on this leg"},
		{"RTP/AVP", cryptoLine, "keys required", SDES, ""},
		{"RTP/AVP", "a=fingerprint:sha-256\r\n", "keys", Plain, ""},
		{"RTP/SAVP", cryptoLine, "keys", SDES, ""},
		{"RTP/SAVPF", cryptoLine + dtlsLines, "keys", DTLS, ""},
		{"RTP/SAVP", dtlsLines, "keys sdes", DTLS, ""},
		{"RTP/SAVP", "", "keys", Plain, "neither a=crypto nor a=fingerprint in RTP/SAVP"},
		{"RTP/SAVP", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n", "keys", Plain, "F8_128_HMAC_SHA1_80: the suite is not spoken"},
		{"RTP/SAVP", cryptoLine, "", Plain, "secure RTP (RTP/SAVP) is not spoken on this leg, only RTP/AVP"},
		{"UDP/TLS/RTP/SAVP", dtlsLines, "keys", DTLS, ""},
		{"UDP/TLS/RTP/SAVPF", dtlsLines + cryptoLine, "keys sdes", DTLS, ""},
		{"UDP/TLS/RTP/SAVP", cryptoLine, "keys", Plain, "no DTLS fingerprint"},
		{"UDP/TLS/RTP/SAVP", "a=fingerprint:sha-256\r\n", "keys", Plain, "algorithm and digest expected"},
		{"UDP/TLS/RTP/SAVP", "a=fingerprint:sha-1 AA:BB\r\n", "keys", Plain, "no DTLS fingerprint by SHA-256 or stronger"},
		{"RTP/SAVP", "a=fingerprint:sha-1 AA:BB\r\n" + cryptoLine, "keys", SDES, ""},
		{"RTP/AVP", "a=fingerprint:md5 AA:BB\r\n", "keys", Plain, ""},
		{"TCP/RTP/AVP", "", "keys", Plain, "TCP/RTP/AVP is not spoken on a RTP leg"},
	} {
		l := rtpLeg(t, strings.Fields(c.words)...)
		l, err := l.HearOffer([]byte(head + "m=audio 4000 " + c.protocol + " 0\r\n" + c.lines))
		name := c.protocol + " " + c.lines + c.words
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v, want %q", name, err, c.fault)
			}
			continue
		}
		if err != nil || l.Remote().Streams[0].Keying != c.want {
			t.Errorf("%s: %v, %v", name, l.Remote().Streams, err)
			continue
		}
		before := l.Remote().Streams[0]
		l, text, err := l.Answer(nil)
		if err != nil || !strings.Contains(string(text), "m=audio 20000 "+c.protocol+" 0\r\n") {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if !slices.Equal(before.Send.Key, l.Remote().Streams[0].Send.Key) || before.Setup != l.Remote().Streams[0].Setup {
			t.Errorf("%s: the answer changed what was announced: %+v %+v", name, before, l.Remote().Streams[0])
		}
		checkKeyingSaid(t, name, string(text), c.want)
	}
}

// checkKeyingSaid holds that a text has the attributes of its keying and of no other.
func checkKeyingSaid(t *testing.T, name, text string, want Keying) {
	t.Helper()
	if strings.Contains(text, "a=crypto:") != (want == SDES) || strings.Contains(text, "a=fingerprint:") != (want == DTLS) ||
		strings.Contains(text, "a=setup:") != (want == DTLS) {
		t.Errorf("%s: wanted %s\n%s", name, want, text)
	}
}

// Our own offers, and what is taken in answer to them.
func TestAnsweredKeying(t *testing.T) {
	ours := "a=crypto:2 AEAD_AES_128_GCM inline:" + key64(28) + "\r\n"
	for _, c := range []struct {
		words, offered, answered, lines string
		want                            Keying
		fault                           string
	}{
		{"", "RTP/AVP", "RTP/AVP", "", Plain, ""},
		{"keys", "RTP/AVP", "RTP/AVP", ours, Plain, ""},
		{"keys required", "RTP/AVP", "RTP/AVP", "", Plain, "RTP/AVP without our encryption"},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", ours, SDES, ""},
		{"keys sdes", "RTP/SAVP", "RTP/AVP", ours, SDES, ""},
		{"keys sdes", "RTP/SAVP", "RTP/AVP", "", Plain, "RTP/AVP without our encryption to an offer of RTP/SAVP"},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", "", Plain, "RTP/SAVP without our encryption"},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", strings.Replace(ours, ":2", ":9", 1), Plain, "a=crypto:9, a tag that was not offered"},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", strings.Replace(ours, ":2", ":1", 1), Plain,
			"a=crypto:1 AEAD_AES_128_GCM, offered under that tag was AEAD_AES_256_GCM"},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", "a=crypto:2 AEAD_AES_128_GCM inline:AAAA\r\n", Plain, "3 bytes of key and salt"},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", "a=crypto:3 AES_CM_256_HMAC_SHA1_80 inline:" + key64(46) + "\r\n", SDES, ""},
		{"keys sdes", "RTP/SAVP", "RTP/SAVP", dtlsLines, Plain, "without our encryption"},
		{"keys sdes optional", "RTP/AVP", "RTP/AVP", ours, SDES, ""},
		{"keys sdes optional", "RTP/AVP", "RTP/AVP", "", Plain, ""},
		{"keys sdes optional", "RTP/AVP", "RTP/SAVP", "", Plain, "RTP/SAVP without our encryption"},
		{"keys sdes optional required", "RTP/AVP", "RTP/AVP", "", Plain, "RTP/AVP without our encryption"},
		{"keys sdes optional", "RTP/AVP", "RTP/AVP", "a=crypto:2 AEAD_AES_128_GCM inline:AAAA\r\n", Plain, "3 bytes of key and salt"},
		{"keys dtls", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVP", dtlsLines, DTLS, ""},
		{"keys dtls", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVP", ours, Plain, "without our encryption"},
		{"keys dtls", "UDP/TLS/RTP/SAVP", "RTP/AVP", "", Plain, "RTP/AVP without our encryption"},
		{"keys dtls optional", "RTP/AVP", "RTP/AVP", dtlsLines, DTLS, ""},
		{"keys dtls optional", "RTP/AVP", "RTP/AVP", "", Plain, ""},
	} {
		name := c.words + ": " + c.answered + " " + c.lines
		l, text, err := rtpLeg(t, strings.Fields(c.words)...).Offer(nil)
		if err != nil || !strings.Contains(string(text), "m=audio 20000 "+c.offered+" ") {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		checkKeyingSaid(t, name, string(text), l.Policy.Keying)
		l, err = l.HearAnswer([]byte(head + "m=audio 4000 " + c.answered + " 0\r\n" + strings.Replace(c.lines, "actpass", "active", 1)))
		if c.fault != "" {
			if !errors.Is(err, ErrNotAcceptable) || !strings.Contains(err.Error(), c.fault) || l.Pending != SaidOffer {
				t.Errorf("%s: %v, want %q", name, err, c.fault)
			}
			continue
		}
		if err != nil || l.Remote().Streams[0].Keying != c.want {
			t.Errorf("%s: %v, %v", name, l.Remote().Streams, err)
			continue
		}
		l, text, err = roundTrip(t, l).Offer(nil)
		if err != nil || !strings.Contains(string(text), "m=audio 20000 "+c.offered+" ") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		checkKeyingSaid(t, name+", again", string(text), c.want)
	}
}

// A leg that is to use what it does not have says so.
func TestMissingKeys(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"sdes", "no SDES keys"}, {"dtls", "no certificate"}, {"ice", "no ICE credentials"},
	} {
		if l, _, err := rtpLeg(t, c.words).Offer(nil); !errors.Is(err, ErrNoState) || !strings.Contains(err.Error(), c.want) || l.Pending != Stable {
			t.Errorf("%s: %v", c.words, err)
		}
	}
	l := must(rtpLeg(t, "keys").HearOffer([]byte(head + "m=audio 4000 RTP/SAVP 0\r\n" + cryptoLine)))(t)
	l.Local.Crypto = nil
	if _, _, err := l.Answer(nil); !errors.Is(err, ErrNoState) || !strings.Contains(err.Error(), "no key for AES_CM_128_HMAC_SHA1_32") {
		t.Fatal(err)
	}
}

// ICE on an RTP leg is agreed to where both sides have it and nobody changed the address on the way.
func TestICEOnRTPLegs(t *testing.T) {
	lite := strings.Replace(head, "t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n", 1)
	for _, c := range []struct {
		name, head, lines, words string
		agreed, mismatch, lite   bool
	}{
		{"offered", head, iceLines, "keys", true, false, false},
		{"no credentials of ours", head, iceLines, "", false, false, false},
		{"not offered", head, "", "keys", false, false, false},
		{"no password", head, strings.Replace(iceLines, "ice-pwd", "x-pwd", 1), "keys", false, false, false},
		{"another address in c=", strings.Replace(head, "IN IP4 192.0.2.1\r\nt", "IN IP4 198.51.100.1\r\nt", 1), iceLines, "keys", false, true, false},
		{"the same of an ICE-lite peer", strings.Replace(lite, "IN IP4 192.0.2.1\r\nt", "IN IP4 198.51.100.1\r\nt", 1), iceLines, "keys", true, false, true},
		{"the peer found a mismatch", head, iceLines + "a=ice-mismatch\r\n", "keys", false, true, false},
		{"no candidate at the address", head, strings.Replace(iceLines, "192.0.2.1", "host.local", 1), "keys", false, true, false},
		{"trickled", strings.Replace(head, "IN IP4 192.0.2.1\r\nt", "IN IP4 0.0.0.0\r\nt", 1), iceLines[:strings.Index(iceLines, "a=cand")], "keys", true, false, false},
		{"ICE-lite without candidates", lite, iceLines[:strings.Index(iceLines, "a=cand")], "keys", false, false, false},
	} {
		l := must(rtpLeg(t, strings.Fields(c.words)...).HearOffer([]byte(c.head + "m=audio 4000 RTP/AVP 0\r\n" + c.lines)))(t)
		r := l.Remote().Streams[0]
		if (r.Ufrag == "abcd") != c.agreed || r.ICELite != c.lite || r.Controlling != c.lite {
			t.Errorf("%s: %+v", c.name, r)
		}
		_, answer, err := l.Answer(nil)
		text := string(answer)
		if err != nil || strings.Contains(text, "a=ice-ufrag:n1w0a1\r\n") != c.agreed || strings.Contains(text, "a=ice-mismatch\r\n") != c.mismatch ||
			strings.Contains(text, "a=candidate:") != c.agreed || strings.Contains(text, "a=ice-lite") {
			t.Errorf("%s: %v\n%s", c.name, err, text)
		}
	}
}

// Candidates of the second component are there only where RTCP has a port of its own; a role stays until ICE restarts.
func TestICEComponentsAndRoles(t *testing.T) {
	second := strings.NewReplacer("1 1 UDP", "1 2 UDP", " 4000 ", " 4001 ").Replace(iceLines[strings.Index(iceLines, "a=cand"):])
	text := head + "m=audio 4000 RTP/AVP 0\r\n" + iceLines + second
	for mux, want := range map[string]int{"": 2, "a=rtcp-mux\r\n": 1} {
		l, said, err := must(rtpLeg(t, "keys").HearOffer([]byte(text + mux)))(t).Answer(nil)
		if err != nil || len(l.Remote().Streams[0].Candidates) != want || strings.Count(string(said), "a=candidate:") != want {
			t.Errorf("mux %q: %v\n%s", mux, err, said)
		}
	}
	l, offer, err := rtpLeg(t, "keys", "ice").Offer(nil)
	if err != nil || !strings.Contains(string(offer), "a=rtcp-mux\r\n") || strings.Count(string(offer), "a=candidate:") != 2 {
		t.Fatalf("%v\n%s", err, offer)
	}
	l = must(l.HearAnswer([]byte(text)))(t)
	if r := l.Remote().Streams[0]; !r.Controlling || r.Mux || r.Candidates[1].Addr != netip.MustParseAddrPort("192.0.2.1:4001") {
		t.Fatalf("%+v", r)
	}
	again := must(l.HearOffer([]byte(text)))(t)
	if !again.Remote().Streams[0].Controlling || again.Restarted(l) {
		t.Fatal("a re-offer changed the role")
	}
	again = must(l.HearOffer([]byte(strings.Replace(text, "abcd", "dcba", 1))))(t)
	if again.Remote().Streams[0].Controlling || !again.Restarted(l) {
		t.Fatal("a restart by the peer is not seen")
	}
}
