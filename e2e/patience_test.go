package e2e

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// holdTime is longer than the 60 s after which a leg that ought to send counts as dead.
const holdTime = 90 * time.Second

// Two tabs are closed in mid-call: their calls end once the browsers' ICE checks have been missing for 30 s. Beside them a call
// is held by both sides without music, so that nobody sends: it survives and is resumed.
func TestClosedTabsAndALongHold(t *testing.T) {
	s := newSite(t, onePBX+"call: {flow-grace: 2s}")
	lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	s.ladderOnFailure(t)
	answered := func(user string, library lab.Library) (*lab.Tab, *lab.Call) {
		tab := chromium.Open(t)
		p := tab.Phone(t, library, s.account(user, aliceTone))
		p.Register()
		c := p.Call("sip:600@example.com")
		c.Wait("answered", 10*time.Second)
		c.Hears(aliceTone)
		return tab, c
	}
	_, held := answered("dave", lab.JsSIP)
	held.Hold()
	held.HearsNothing()
	resume := time.After(holdTime)

	for user, library := range map[string]lab.Library{"alice": lab.JsSIP, "bob": lab.SIPJS} {
		tab, _ := answered(user, library)
		tab.Close()
	}
	lab.Eventually(t, 60*time.Second, "the calls of the closed tabs end", func() error {
		if n := s.Bridge().Stats().Calls; n != 1 {
			return fmt.Errorf("%d calls", n)
		}
		return nil
	})
	s.lastRecord(t, func(r record) error {
		if r.Reason != "orphaned" || r.By != "gateway" || r.Answer.IsZero() {
			return fmt.Errorf("record %+v", r)
		}
		return nil
	})

	<-resume
	held.Resume()
	held.Hears(aliceTone)
	held.Hangup()
	s.quiet(t)
}
