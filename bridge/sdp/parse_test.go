package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

func TestMalformed(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"only blank lines", "\r\n\r\n", "empty"},
		{"a SIP message", "INVITE sip:bob@example.com SIP/2.0\r\n", "line 1: not of the form x=value"},
		{"JSON", `{"type":"offer"}`, "line 1: not of the form"},
		{"no version", "o=- 1 1 IN IP4 192.0.2.1\r\n", "line 1: v=0 expected"},
		{"another version", "v=1\r\n", "line 1: v=0 expected"},
		{"no origin", "v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n", "no o= line"},
		{"NUL", head + "a=x:\x00\r\n", "line 6: control character"},
		{"lone CR, a second line to some", head + "m=audio 4000 RTP/AVP 0\ra=inactive\r\n", "line 6: control character"},
		{"m-line cut short", head + "m=audio 4000\r\n", "line 6: m=audio 4000: kind, port and protocol expected"},
		{"port not a number", head + "m=audio x RTP/AVP 0\r\n", "no such port"},
		{"port too large", head + "m=audio 65536 RTP/AVP 0\r\n", "no such port"},
		{"negative port", head + "m=audio -1 RTP/AVP 0\r\n", "no such port"},
		{"payload type not a number", head + "m=audio 4000 RTP/AVP 0 x\r\n", `line 6: "x" is no payload type`},
		{"payload type too large", head + "m=audio 4000 RTP/AVP 128\r\n", "is no payload type"},
		{"rtpmap without clock", head + "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 opus\r\n", "line 7: a=rtpmap:96 opus: name/clock expected"},
		{"rtpmap with clock 0", head + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/0/2\r\n", "no such clock"},
		{"rtpmap with clock too large", head + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/99999999999/2\r\n", "no such clock"},
		{"rtpmap with no channel", head + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/0\r\n", "no such number of channels"},
		{"c= cut short", head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4\r\n", "line 7: c=IN IP4: IN, IP4 or IP6 and an address expected"},
		{"no c= at all", "v=0\no=- 1 1 IN IP4 h\nm=audio 4000 RTP/AVP 0\n", "line 3: no c= line"},
		{"too long", head + "a=" + strings.Repeat("x", maxText), "more than 65536"},
		{"too many lines", head + strings.Repeat("a=x\n", maxLines), "more than 4096 lines"},
		{"too many m-lines", head + strings.Repeat("m=audio 0 RTP/AVP 0\n", maxMedia+1), "more than 32 m-lines"},
		{"too many formats", head + "m=audio 4000 RTP/AVP" + strings.Repeat(" 0", maxFormats+1), "more than 128 formats"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := testLeg(RTP, 'a')
			got, err := l.HearOffer([]byte(c.text))
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if got.Pending != Stable || got.Heard != nil {
				t.Fatalf("the leg remembers it: %+v", got)
			}
		})
	}
}

func TestMalformedTransport(t *testing.T) {
	good := string(rtcText(1, "sendrecv", "actpass"))
	for _, c := range []struct {
		name, old, new string
		class          error
		want           string
	}{
		{"setup unknown", "setup:actpass", "setup:holdconn", ErrMalformed, "a=setup:holdconn: active, passive or actpass expected"},
		{"fingerprint without digest", "sha-256 AA:BB", "sha-256", ErrMalformed, "algorithm and digest expected"},
		{"no fingerprint", "a=fingerprint:sha-256 AA:BB\r\n", "", ErrNotAcceptable, "no DTLS fingerprint"},
		{"no ufrag", "a=ice-ufrag:abcd\r\n", "", ErrNotAcceptable, "no ICE credentials"},
		{"no password", "a=ice-pwd:abcdefghijklmnopqrstuv\r\n", "", ErrNotAcceptable, "no ICE credentials"},
		{"neither mux nor bundle", "a=rtcp-mux\r\n", "", nil, ""},
		{"no codec of ours", "0 8\r\n", "18 4\r\n", ErrNotAcceptable, "no codec that is relayed: G729/8000, G723/8000"},
		{"events alone", "0 8\r\n", "101 13\r\na=rtpmap:101 telephone-event/8000\r\n", ErrNotAcceptable, "telephone-event/8000, CN/8000"},
		{"plain RTP", "UDP/TLS/RTP/SAVPF", "RTP/AVP", ErrNotAcceptable, "RTP/AVP is not spoken on a WebRTC leg"},
		{"rejected", "m=audio 9", "m=audio 0", ErrNotAcceptable, "m=audio: rejected"},
		{"fax", "m=audio 9 UDP/TLS/RTP/SAVPF 0 8", "m=image 9 udptl t38", ErrNotAcceptable, "m=image: not relayed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatal("nothing replaced")
			}
			_, err := testLeg(WebRTC, 'a').HearOffer([]byte(text))
			if !errors.Is(err, c.class) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
		})
	}
	text := strings.NewReplacer("a=rtcp-mux\r\n", "", "a=group:BUNDLE 0\r\n", "").Replace(good)
	if _, err := testLeg(WebRTC, 'a').HearOffer([]byte(text)); !errors.Is(err, ErrNotAcceptable) ||
		!strings.Contains(err.Error(), "neither rtcp-mux nor BUNDLE") {
		t.Fatal(err)
	}
	if _, err := testLeg(RTP, 'a').HearOffer([]byte(good)); !errors.Is(err, ErrNotAcceptable) {
		t.Fatalf("DTLS on an RTP leg: %v", err)
	}
	if _, err := testLeg(RTP, 'a').HearOffer([]byte(head)); !errors.Is(err, ErrNotAcceptable) ||
		!strings.Contains(err.Error(), "no m-line") {
		t.Fatalf("no m-line: %v", err)
	}
}

// What real peers send against the letter of the grammar costs nobody a call.
func TestTolerated(t *testing.T) {
	audio := "m=audio 4000 RTP/AVP 0 8\r\n"
	for _, c := range []struct{ name, text string }{
		{"LF only", strings.ReplaceAll(head+audio, "\r\n", "\n")},
		{"no newline at the end", head + "m=audio 4000 RTP/AVP 0"},
		{"blank lines", "\r\n" + head + "\r\n" + audio + "\r\n\r\n"},
		{"trailing spaces", head + "m=audio 4000 RTP/AVP 0 8  \r\na=sendrecv \r\n"},
		{"no s= and t=", "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\n" + audio},
		{"a= before c= and t=", "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\na=sendrecv\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" + audio},
		{"odd origin", "v=0\r\no=CiscoSystemsSIP-GW-UserAgent 1f0c x9 IN IP4 h\r\ns=SIP Call\r\nc=IN IP4 192.0.2.1\r\n" + audio},
		{"bandwidth of any kind", head + "b=ABC:1\r\n" + audio + "b=TIAS:x\r\n"},
		{"unknown kinds and protocols", head + "m=wormhole 1 A/B/C x y\r\n" + audio + "m=image 4002 udptl t38\r\n"},
		{"Latin-1", "v=0\r\no=caf\xe9 1 1 IN IP4 192.0.2.1\r\ns=caf\xe9\r\nc=IN IP4 192.0.2.1\r\n" + audio},
		{"number of ports", head + "m=audio 4000/1 RTP/AVP 0 8\r\n"},
		{"TTL in c=", strings.Replace(head, "192.0.2.1\r\nt", "192.0.2.1/127\r\nt", 1) + audio},
		{"rtpmap of a format that is not listed", head + audio + "a=rtpmap:99 x\r\na=rtpmap:zz y\r\na=fmtp:\r\n"},
		{"payload type twice", head + "m=audio 4000 RTP/AVP 0 0 8 8\r\n"},
		{"noise", head + audio + "a=\r\na=silenceSupp:off - - - -\r\na=ptime:x\r\na=rtcp:y\r\na=ssrc:z\r\na=X-nat:1\r\n"},
		{"channel of mono", head + audio + "a=rtpmap:0 pcmu/8000/1\r\na=rtpmap:8 PCMA/8000/\r\n"},
		{"an m-line without formats that is refused anyway", head + audio + "m=video 0 RTP/AVP\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := must(testLeg(RTP, 'a').HearOffer([]byte(c.text)))(t)
			if at := l.Remote().Streams[0].RTP; at != netip.MustParseAddrPort("192.0.2.1:4000") {
				t.Fatalf("remote %s", at)
			}
			l, text, err := roundTrip(t, l).Answer(nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := len(l.Heard.Streams); strings.Count(string(text), "\r\nm=") != want {
				t.Fatalf("want %d m-lines:\n%s", want, text)
			}
		})
	}
}

// opus/48000 is meant as opus/48000/2 (RFC 7587 §7), and answered as that under the peer's number.
func TestOpusWithoutChannels(t *testing.T) {
	for _, rtpmap := range []string{"opus/48000", "OPUS/48000/", "opus/48000/2"} {
		l := must(testLeg(RTP, 'a').HearOffer([]byte(head + "m=audio 4000 RTP/AVP 116 0\r\na=rtpmap:116 " + rtpmap + "\r\n")))(t)
		_, text, err := l.Answer(&Description{Streams: []Stream{{Kind: "audio", Relayed: true, Direction: SendRecv, Codecs: everything()}}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "RTP/AVP 116 0\r\n") || !strings.Contains(strings.ToLower(string(text)), "a=rtpmap:116 opus/48000/2\r\n") {
			t.Errorf("%s:\n%s", rtpmap, text)
		}
	}
	l := must(testLeg(RTP, 'a').HearOffer([]byte(head + "m=audio 4000 RTP/AVP 116 0\r\na=rtpmap:116 opus/48000/1\r\n")))(t)
	if c := l.Heard.main().Codecs[0]; c.voice() {
		t.Errorf("%s is taken for stereo", c)
	}
}

func TestRTCPAddress(t *testing.T) {
	for _, c := range []struct{ line, rtp, rtcp string }{
		{"m=audio 4000 RTP/AVP 0", "192.0.2.1:4000", "192.0.2.1:4001"},
		{"m=audio 4000 RTP/AVP 0\r\na=rtcp:5000", "192.0.2.1:4000", "192.0.2.1:5000"},
		{"m=audio 4000 RTP/AVP 0\r\na=rtcp:5000 IN IP4 192.0.2.9", "192.0.2.1:4000", "192.0.2.9:5000"},
		{"m=audio 4000 RTP/AVP 0\r\na=rtcp:5000 IN IP4 0.0.0.0", "192.0.2.1:4000", "192.0.2.1:5000"},
		{"m=audio 4000 RTP/AVP 0\r\na=rtcp:0", "192.0.2.1:4000", "192.0.2.1:4001"},
		{"m=audio 4000 RTP/AVP 0\r\na=rtcp:5000\r\na=rtcp-mux", "192.0.2.1:4000", "192.0.2.1:4000"},
		{"m=audio 65535 RTP/AVP 0", "192.0.2.1:65535", "invalid AddrPort"},
		{"m=audio 9 RTP/AVP 0", "invalid AddrPort", "invalid AddrPort"},
		{"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1", "[2001:db8::1]:4000", "[2001:db8::1]:4001"},
		{"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::ffff:192.0.2.3", "192.0.2.3:4000", "192.0.2.3:4001"},
		{"m=audio 4000 RTP/AVP 0\r\nc=IN IP4 pbx.example.com", "invalid AddrPort", "invalid AddrPort"},
	} {
		l := must(testLeg(RTP, 'a').HearOffer([]byte(head + c.line + "\r\n")))(t)
		r := l.Remote().Streams[0]
		if r.RTP.String() != c.rtp || r.RTCP.String() != c.rtcp {
			t.Errorf("%s: %s %s", c.line, r.RTP, r.RTCP)
		}
	}
}

// The work on a text is linear: a text at every limit costs a few milliseconds at most, and is not remembered.
func TestHostileTextCostsLittle(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range maxMedia {
		fmt.Fprintf(&b, "m=audio %d RTP/AVP", 4000+i)
		for pt := range maxFormats {
			fmt.Fprintf(&b, " %d", pt)
		}
		b.WriteString("\n" + strings.Repeat("a=rtpmap:96 opus/48000/2\na=candidate:1 1 udp 1 192.0.2.1 4000 typ host\n", 20))
	}
	text := []byte(b.String())[:min(b.Len(), maxText)]
	text = text[:strings.LastIndexByte(string(text), '\n')]
	allocs := testing.AllocsPerRun(3, func() {
		if _, err := testLeg(RTP, 'a').HearOffer(text); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 20000 {
		t.Fatalf("%.0f allocations for %d bytes", allocs, len(text))
	}
	l := must(testLeg(RTP, 'a').HearOffer(text))(t)
	if _, _, err := l.Answer(nil); err != nil {
		t.Fatal(err)
	}
}
