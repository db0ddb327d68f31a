package e2e

import (
	"testing"
	"time"

	"tandem/e2e/lab"
)

// withProofs is a gateway whose trunks have to prove themselves, and a phone whom they call.
const withProofs = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  phone: {members: ["sip:127.0.0.1:5060"], probe: {every: 0s}}
trunks:
  asterisk: {uri: "sip:127.0.0.10:5060", authenticate: {username: lab, password: labpw}}
  sipp: {uri: "sip:127.0.0.30:5060", authenticate: {username: lab, password: labpw, algorithms: [MD5]}}
routes:
  - {from: asterisk, to: phone}
  - {from: sipp, to: phone}
`

// An Asterisk that knows one algorithm alone picks that one of three; sipp, which knows MD5 and reads the first challenge only, is offered
// nothing else. A baresip is called.
func TestTrunksProveThemselves(t *testing.T) {
	s := newSite(t, withProofs)
	lab.Baresip{Codec: "PCMA/8000/1"}.Start(t)
	for _, algorithm := range []string{"SHA-512-256", "SHA-256", "MD5"} {
		t.Run("Asterisk "+algorithm, func(t *testing.T) {
			s.ladderOnFailure(t)
			asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{
				Peer: "127.0.0.20:5060", PeerAuth: "labpw", PeerHash: algorithm, Trunk: lab.AsteriskMedia{Allow: "alaw"},
			})
			defer asterisk.Kill()
			if _, err := asterisk.CLI("channel originate PJSIP/baresip@tandem extension 600@lab"); err != nil {
				t.Fatal(err)
			}
			s.wasAnswered(t)
			if _, err := asterisk.CLI("channel request hangup all"); err != nil {
				t.Fatal(err)
			}
			s.quiet(t)
			if n := s.ladder.count("SIP/2.0 401"); n != 1 {
				t.Errorf("challenged %d times", n)
			}
		})
	}
	t.Run("sipp", func(t *testing.T) {
		s.ladderOnFailure(t)
		sipp := lab.StartSipp(t, "proving-caller", "127.0.0.30", "127.0.0.20:5060", 1, "-s", "baresip", "-au", "lab", "-ap", "labpw", "-d", "500")
		s.wasAnswered(t)
		sipp.Wait(t)
		s.quiet(t)
	})
}

// wasAnswered waits for a call's answer.
func (s *site) wasAnswered(t *testing.T) {
	t.Helper()
	select {
	case <-s.answered:
	case <-time.After(30 * time.Second):
		t.Fatal("no call is answered")
	}
}
