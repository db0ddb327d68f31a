package e2e

import (
	"net"
	"testing"
	"time"

	"tandem/e2e/lab"
)

const withSharedPort = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", workers: 1, rtp: {ports: 30000-30003, shared: true}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
  phone: {members: ["sip:127.0.0.1:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, user: baresip, to: phone}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`

// Calls with Asterisk in both directions and one with baresip, all at once; but one pair of ports is free.
func TestSharedPort(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.20:30002")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newSite(t, withSharedPort)
	s.ladderOnFailure(t)
	asterisk := lab.StartAsterisk(t, "127.0.0.10")
	lab.Baresip{Codec: "opus/48000/2"}.Start(t)
	chromium := lab.StartChromium(t)
	alice := chromium.Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone))
	if status := alice.Register(); status != 200 {
		t.Fatalf("REGISTER: %d", status)
	}
	if _, err := asterisk.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
		t.Fatal(err)
	}
	from := alice.Incoming()
	from.Answer()
	from.Wait("answered", 10*time.Second)
	bob := chromium.Open(t).Phone(t, lab.SIPJS, s.account("bob", bobTone))
	to := bob.Call("sip:614@example.com")
	to.Wait("answered", 10*time.Second)
	dave := chromium.Open(t).Phone(t, lab.JsSIP, s.account("carol", aliceTone))
	phone := dave.Call("sip:baresip@example.com")
	phone.Wait("answered", 10*time.Second)
	from.Hears(1004)
	phone.Hears(lab.ToneHz)
	for _, c := range []*lab.Call{from, to, phone} {
		c.Hangup()
		c.Wait("ended", 5*time.Second)
	}
	s.quiet(t)
}
