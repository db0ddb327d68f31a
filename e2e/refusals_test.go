package e2e

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// What is wrong is refused with its own status, and a browser that lies about its certificate gets no media.
func TestRefusals(t *testing.T) {
	s := newSite(t, onePBX)
	lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library)+" wrong password", func(t *testing.T) {
			s.ladderOnFailure(t)
			account := s.account("alice", aliceTone)
			account.Password = "wrong"
			if status := chromium.Open(t).Phone(t, library, account).Register(); status != 401 && status != 403 {
				t.Errorf("REGISTER: %d", status)
			}
		})
		t.Run(string(library)+" unknown user", func(t *testing.T) {
			s.ladderOnFailure(t)
			if status := chromium.Open(t).Phone(t, library, s.account("nobody", aliceTone)).Register(); status < 400 {
				t.Errorf("REGISTER: %d", status)
			}
		})
		t.Run(string(library)+" forged fingerprint", func(t *testing.T) {
			s.ladderOnFailure(t)
			tab := chromium.Open(t)
			p := tab.Phone(t, library, s.account("alice", aliceTone))
			p.Register()
			tab.Do(t, nil, "lab.forgeFingerprint")
			c := p.Call("sip:601@example.com")
			c.Wait("ended", 20*time.Second)
			s.lastRecord(t, func(r record) error {
				if r.Reason != "dtls-fingerprint-mismatch" {
					return fmt.Errorf("record %+v", r)
				}
				for _, m := range r.Media {
					if m.Leg == "caller" && m.PacketsOut > 0 {
						return fmt.Errorf("media went to the liar: %+v", m)
					}
				}
				return nil
			})
		})
	}
}
