package e2e

import (
	"fmt"
	"regexp"
	"strings"
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

const betweenSipps = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  callee: {members: ["sip:127.0.0.30:5060"], probe: {every: 0s}}
  caller: {members: ["sip:127.0.0.31:5060"], probe: {every: 0s}}
routes: [{from: caller, to: callee}]
`

// Two sipps have a timer each with the gateway: the caller's of 90 s after 60 were refused, the callee's of an hour, for it refused
// less. Each refreshes its own ten times, well before its time, and would fail if it heard the other's.
func TestSippsRefreshTheirOwnSessions(t *testing.T) {
	s := newPatientSite(t, betweenSipps)
	s.ladderOnFailure(t)
	callee := boundedSipp(t, "refreshing-callee", "127.0.0.30", "", 1)
	caller := boundedSipp(t, "refreshing-caller", "127.0.0.31", "127.0.0.20:5060", 1, "-s", "600")
	caller.Wait(t)
	callee.Wait(t)
	s.quiet(t)
	if n := s.ladder.count("UPDATE sip:"); n != 10 {
		t.Errorf("%d UPDATEs", n)
	}
}

// BenchmarkAsteriskSessions holds a call of each direction for ten intervals of Asterisk's own timer, which are 90 s at least, with no
// clock but the wall's: make soak. Whoever placed a call refreshes it, and both go on talking.
func BenchmarkAsteriskSessions(b *testing.B) {
	const intervals, interval = 10, 90 * time.Second
	s := newSite(b, strings.Replace(onePBX, "probe:", "session-expires: 90s, probe:", 1))
	asterisk := lab.StartAsterisk(b, "127.0.0.10", lab.AsteriskConfig{Timers: true})
	s.ladderOnFailure(b)
	p := lab.StartChromium(b).Open(b).Phone(b, lab.SIPJS, s.account("alice", aliceTone)) // has no timer of its own
	if status := p.Register(); status != 200 {
		b.Fatalf("REGISTER: %d", status)
	}
	out := p.Call("sip:600@example.com")
	out.Wait("answered", 30*time.Second)
	if _, err := asterisk.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
		b.Fatal(err)
	}
	in := p.Incoming()
	in.Answer()
	in.Wait("answered", 30*time.Second)

	start := time.Now()
	refresh := regexp.MustCompile(`(?:UDP|TCP) .* (->|<-) .* (?:UPDATE|INVITE) sip:\S+ SIP/2.0.*\[(.*)\]`)
	lab.Eventually(b, (intervals+1)*interval, "ten intervals are over", func() error {
		if out.State().State != "answered" || in.State().State != "answered" {
			b.Fatalf("a call ended after %v: %+v, %+v", time.Since(start), out.State(), in.State())
		}
		if past := time.Since(start); past < intervals*interval {
			return fmt.Errorf("%v so far", past)
		}
		return nil
	})
	times := map[string]int{}
	for _, m := range refresh.FindAllStringSubmatch(s.ladder.String(), -1) {
		times[m[2]+" "+m[1]]++
	}
	b.Logf("UPDATEs and INVITEs of each call within %v: %v", time.Since(start), times)
	refreshed := 0
	for _, n := range times {
		if n > intervals+1 { // with the INVITEs that began it
			refreshed++
		}
	}
	if refreshed != 2 {
		b.Errorf("%d of 2 calls were refreshed in each interval", refreshed)
	}
	out.Hears(aliceTone)
	in.Hears(milliwatt)
	out.Hangup()
	in.Hangup()
	out.Wait("ended", 30*time.Second)
	s.quiet(b)
}
