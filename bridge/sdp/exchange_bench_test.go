package sdp

import (
	"strings"
	"testing"
)

// benchText is sipp's description, as an offer and as the answer to it.
const benchText = "v=0\r\no=- 1 1 IN IP4 127.0.0.30\r\ns=-\r\nc=IN IP4 127.0.0.30\r\nt=0 0\r\nm=audio 16000 RTP/AVP 8 101\r\n" +
	"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"

// BenchmarkExchange is what one call asks of this package: the caller's offer is heard, offered to the callee, answered, and planned.
func BenchmarkExchange(b *testing.B) {
	_, sections := readTxtar(b, "testdata/chrome-calls-g711-phone.txtar")
	texts := map[string]string{"trunks": benchText}
	for _, s := range sections {
		if strings.HasPrefix(s.name, "a hears offer") {
			texts["chrome"] = crlf(s.text)
		}
	}
	for name, offer := range texts {
		near := RTP
		if name == "chrome" {
			near = WebRTC
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				exchange(b, testLeg(near, 'a'), testLeg(RTP, 'b'), []byte(offer), []byte(benchText))
			}
		})
	}
}

func exchange(b *testing.B, caller, callee Leg, offer, answer []byte) {
	caller, err := caller.HearOffer(offer)
	if err != nil {
		b.Fatal(err)
	}
	callee, _, err = callee.Offer(caller.Heard)
	if err != nil {
		b.Fatal(err)
	}
	if callee, err = callee.HearAnswer(answer); err != nil {
		b.Fatal(err)
	}
	if caller, _, err = caller.Answer(callee.Heard); err != nil {
		b.Fatal(err)
	}
	if _, err = Join(caller, callee); err != nil {
		b.Fatal(err)
	}
}
