package e2e

import (
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

const withBaresip = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  phone: {members: ["sip:127.0.0.1:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: phone}
`

// Each codec that passes through, against a phone that speaks nothing else.
func TestCodecsPassThrough(t *testing.T) {
	s := newSite(t, withBaresip)
	chromium := lab.StartChromium(t)
	for _, codec := range []string{"opus/48000/2", "G722/16000/1", "PCMU/8000/1", "PCMA/8000/1"} {
		t.Run(codec, func(t *testing.T) {
			s.ladderOnFailure(t)
			lab.Baresip{Codec: codec}.Start(t)
			c := chromium.Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone)).Call("sip:baresip@example.com")
			c.Wait("answered", 10*time.Second)
			c.Hears(lab.ToneHz)
			name, _, _ := strings.Cut(codec, "/")
			if got := c.Codec(); !strings.EqualFold(got, "audio/"+name) {
				t.Errorf("the browser receives %s", got)
			}
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
	}
}
