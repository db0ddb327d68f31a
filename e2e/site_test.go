package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/bridge"
	"tandem/e2e/lab"
	"tandem/gateway"
	"tandem/sipside/transaction"
)

type record = bridge.Record

// onePBX, twoPBXes and withSipp are complete configurations.
const (
	onePBX = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
admin: {listen: "127.0.0.20:0"}
`
	twoPBXes = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {order: round-robin, members: ["sip:127.0.0.10:5060", "sip:127.0.0.11:5060"], probe: {every: 1s, down-after: 2, up-after: 1}}
routes:
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
registration: {max-expires: 20s}
`
	withSipp = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
  sipp-udp: {members: ["sip:127.0.0.30:5060"], probe: {every: 0s}}
  sipp-tcp: {members: ["sip:127.0.0.30:5060;transport=tcp"], probe: {every: 0s}}
routes:
  - {from: browsers, domain: udp.example, to: sipp-udp}
  - {from: browsers, domain: tcp.example, to: sipp-tcp}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`
)

// site is a gateway in this process with what the tests look at.
type site struct {
	*gateway.Gateway
	ladder   ladder
	answered chan string // ids of calls as they are answered
	alarms   chan bridge.Alarm
	records  string        // file
	asterisk *lab.Asterisk // where a test keeps one
}

// newSite runs a gateway by a configuration until the test ends.
func newSite(t testing.TB, text string) *site {
	t.Helper()
	return newSiteWith(t, text, "", 0)
}

// newPatientSite repeats nothing within two seconds: a sipp knows a message again only while it has heard no other, and fails.
func newPatientSite(t testing.TB, text string) *site {
	t.Helper()
	return newSiteWith(t, text, "", 2*time.Second)
}

// newSiteWith has more keys among those of records, and another T1 than SIP's.
func newSiteWith(t testing.TB, text, keys string, t1 time.Duration) *site {
	t.Helper()
	if keys != "" {
		keys = ", " + keys
	}
	s := &site{records: filepath.Join(t.TempDir(), "calls.jsonl"), answered: make(chan string, 1000), alarms: make(chan bridge.Alarm, 10)}
	text += "\nrecords: {file: " + s.records + keys + "}\nshutdown-timeout: 1s\n"
	cfg, err := gateway.Parse("e2e.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatalf("configuration: %v", err)
	}
	log := &testLog{}
	s.Gateway, err = gateway.New(cfg, gateway.Options{Trace: s.ladder.add, Events: s, LogTo: log, Timers: transaction.Config{T1: t1}})
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("gateway: %v", err)
		}
		if t.Failed() {
			t.Logf("gateway's log:\n%s", log)
			records, _ := os.ReadFile(s.records)
			t.Logf("call records:\n%s", records)
		}
	})
	return s
}

var (
	_ transaction.Trace = (*ladder)(nil).add
	_ bridge.Events     = (*site)(nil)
)

// CallEvent notes the calls that are answered, and alarms.
func (s *site) CallEvent(e bridge.Event) {
	if e.Answered != nil {
		s.answered <- e.Call
	}
	if e.Alarm != nil {
		s.alarms <- *e.Alarm
	}
}

// url is that of the WebSocket.
func (s *site) url() string { return strings.Replace(s.URLs()[0], "https://", "wss://", 1) + "/sip" }

// account is that of a user of the lab's Asterisk.
func (s *site) account(user string, tone float64) lab.Account {
	return lab.Account{URL: s.url(), URI: "sip:" + user + "@example.com", Password: user + "pw", Tone: tone}
}

// quiet waits until no call is left.
func (s *site) quiet(t testing.TB) {
	t.Helper()
	lab.Eventually(t, 10*time.Second, "no call is left", func() error {
		if n := s.Bridge().Stats().Calls; n != 0 {
			return fmt.Errorf("%d calls", n)
		}
		return nil
	})
}

// lastRecord waits until the newest call record satisfies a condition.
func (s *site) lastRecord(t testing.TB, is func(record) error) {
	t.Helper()
	lab.Eventually(t, 10*time.Second, "the call's record is written", func() error {
		text, err := os.ReadFile(s.records)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		var r record
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
			return fmt.Errorf("%w in %q", err, lines[len(lines)-1])
		}
		return is(r)
	})
}

// ladderOnFailure prints the SIP messages of a failed test.
func (s *site) ladderOnFailure(t testing.TB) {
	s.ladder.reset()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("SIP:\n%s", s.ladder.String())
		}
	})
}

// alive says what the probes think of a backend.
func (s *site) alive(backend string) bool {
	for _, b := range s.Backends() {
		if b.Name == backend {
			return b.Alive
		}
	}
	return false
}
