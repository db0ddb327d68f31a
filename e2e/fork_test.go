package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// elsewhere is what tells a phone that the call is no missed one (RFC 3326 §3.1).
const elsewhere = "SIP;cause=200"

// forking is a user with several phones, and how they are called.
type forking struct {
	*site
	tabs  []*lab.Phone                 // one by each library
	desk  *lab.Desk                    // the phone on the user's desk
	call  func(t *testing.T) *lab.Call // nil: the PBX itself calls
	plays float64                      // what the caller lets them hear, Hz
}

// One user's two tabs and desk phone ring together, whoever the registrar is. The first answer wins; the rest stop ringing, and
// the tabs know that it was answered elsewhere.
func TestPhonesOfOneUser(t *testing.T) {
	chromium := lab.StartChromium(t)
	for name, open := range map[string]func(*testing.T, *lab.Chromium) forking{"at the PBX": forkedByPBX, "at the gateway": forkedByGateway} {
		t.Run(name, func(t *testing.T) {
			f := open(t, chromium)
			for i, winner := range f.tabs {
				t.Run(fmt.Sprintf("tab %d answers", i), func(t *testing.T) {
					f.ladderOnFailure(t)
					caller := f.call(t)
					won, lost := winner.Incoming(), f.tabs[1-i].Incoming()
					f.rings(t)
					won.Answer()
					won.Wait("answered", 20*time.Second)
					answeredElsewhere(t, lost)
					f.rests(t)
					won.Hears(f.plays)
					if caller != nil {
						caller.Hears(aliceTone)
					}
					won.Hangup()
					f.quiet(t)
				})
			}
			t.Run("the desk phone answers", func(t *testing.T) {
				f.ladderOnFailure(t)
				caller := f.call(t)
				first, second := f.tabs[0].Incoming(), f.tabs[1].Incoming()
				f.rings(t)
				f.desk.Press(t, "a")
				f.shows(t, "ESTABLISHED", true)
				answeredElsewhere(t, first)
				answeredElsewhere(t, second)
				if caller != nil {
					caller.Hears(lab.ToneHz)
				}
				f.desk.Press(t, "b")
				f.quiet(t)
			})
		})
	}
}

func answeredElsewhere(t *testing.T, c *lab.Call) {
	t.Helper()
	if s := c.Wait("ended", 20*time.Second); !strings.HasPrefix(s.Reason, elsewhere) {
		t.Errorf("the other tab's call ended as %+v", s)
	}
}

func (f *forking) rings(t *testing.T) { f.shows(t, "INCOMING", true) }
func (f *forking) rests(t *testing.T) { f.shows(t, "INCOMING", false) }

// shows waits until the list of the desk phone's calls has a word, or not.
func (f *forking) shows(t *testing.T, word string, has bool) {
	t.Helper()
	lab.Eventually(t, 20*time.Second, fmt.Sprintf("the desk phone shows %s: %v", word, has), func() error {
		if shown := f.desk.Press(t, "l"); strings.Contains(shown, word) != has {
			return fmt.Errorf("it shows %s", shown)
		}
		return nil
	})
}

// open registers the user's tabs.
func (f *forking) open(t *testing.T, chromium *lab.Chromium, user string) {
	t.Helper()
	for _, library := range bothLibraries {
		p := chromium.Open(t).Phone(t, library, f.account(user, aliceTone))
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
		f.tabs = append(f.tabs, p)
	}
}

func forkedByPBX(t *testing.T, chromium *lab.Chromium) forking {
	f := forking{site: newSite(t, onePBX)}
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Keeping: 3})
	f.open(t, chromium, "alice")
	f.desk = lab.Baresip{Codec: "PCMA/8000/1", Registrar: "127.0.0.10:5060", User: "alice", Rings: true}.Start(t)
	lab.Eventually(t, 20*time.Second, "three phones are registered", func() error {
		if out, err := asterisk.CLI("pjsip show aor alice"); err != nil || strings.Count(out, "alice/sip:") != 3 {
			return fmt.Errorf("%v\n%s", err, out)
		}
		return nil
	})
	bob := chromium.Open(t).Phone(t, lab.JsSIP, f.account("bob", bobTone))
	bob.Register()
	f.plays, f.call = bobTone, func(*testing.T) *lab.Call { return bob.Call("sip:64alice@example.com") }
	return f
}

func forkedByGateway(t *testing.T, chromium *lab.Chromium) forking {
	f := forking{site: knowing(t, strings.Replace(knowingUsers, "pools:", `pools:
  desk: {members: ["sip:127.0.0.1:5060"], probe: {every: 0s}}`, 1)+`
routes:
  - {from: browsers, domain: example.com, to: browsers, register: local}
  - {from: desk, to: browsers, register: local}
  - {from: pbx, to: browsers}
`)}
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Peer: "127.0.0.20:5060"})
	f.open(t, chromium, "tom")
	f.desk = lab.Baresip{Codec: "PCMA/8000/1", Registrar: "127.0.0.20:5060", User: "tom", Rings: true}.Start(t)
	lab.Eventually(t, 20*time.Second, "three phones are registered", func() error {
		if n := f.Bridge().Stats().Registrations; n != 3 {
			return fmt.Errorf("%d registrations", n)
		}
		return nil
	})
	f.plays, f.call = milliwatt, func(t *testing.T) *lab.Call {
		t.Helper()
		if _, err := asterisk.CLI("channel originate PJSIP/tandem/sip:tom@127.0.0.20:5060 extension 601@lab"); err != nil {
			t.Fatal(err)
		}
		return nil
	}
	return f
}
