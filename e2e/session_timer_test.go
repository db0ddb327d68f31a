package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// JsSIP refreshes its session every 45 s by UPDATE; in this test's page 45 s pass in less than half a second. Ten times and more, in a
// call of either direction, while Asterisk, which has a timer of its own, hears nothing of it.
func TestSessionIsRefreshed(t *testing.T) {
	s := newSite(t, onePBX)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Timers: true})
	s.ladderOnFailure(t)
	tab := lab.StartChromium(t).Open(t)
	tab.Hurry(t, 120)
	p := tab.Phone(t, lab.JsSIP, s.account("alice", aliceTone))
	if status := p.Register(); status != 200 {
		t.Fatalf("REGISTER: %d", status)
	}
	out := p.Call("sip:600@example.com")
	out.Wait("answered", 20*time.Second)
	if _, err := asterisk.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
		t.Fatal(err)
	}
	in := p.Incoming()
	in.Answer()
	in.Wait("answered", 20*time.Second)

	update := regexp.MustCompile(`WSS .* <- .* UPDATE sip:\S+ SIP/2.0  \[(.*)\]`)
	lab.Eventually(t, 60*time.Second, "ten refreshes of each call", func() error {
		times := map[string]int{}
		for _, m := range update.FindAllStringSubmatch(s.ladder.String(), -1) {
			times[m[1]]++
		}
		for _, n := range times {
			if n < 10 {
				return fmt.Errorf("%v", times)
			}
		}
		if len(times) != 2 {
			return fmt.Errorf("%v", times)
		}
		return nil
	})
	out.Hears(aliceTone)
	in.Hears(milliwatt)
	if n := len(regexp.MustCompile(`UDP .* UPDATE `).FindAllString(s.ladder.String(), -1)); n != 0 {
		t.Errorf("%d UPDATEs at the PBX", n)
	}
	out.Hangup()
	in.Hangup()
	out.Wait("ended", 10*time.Second)
	s.quiet(t)
}
