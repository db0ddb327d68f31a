package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// ofSipps is a pool of sipps for the calls of another; %s are its members.
const ofSipps = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: "udp://127.0.0.20:5060"}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-31999}}
pools: {far: {order: weighted, members: [%s], probe: off}}
trunks: {load: {uri: "sip:127.0.0.30:5060"}}
routes: [{from: load, to: far}]
admin: {listen: "127.0.0.20:9090"}
shutdown-timeout: 1s
`

// fleet is a gateway as a process of its own under load, with the sipps behind it.
type fleet struct {
	t      *testing.T
	file   string
	tandem *lab.Tandem
	load   *lab.Sipp
	far    map[string]*lab.Sipp // by member
}

const operator = "http://127.0.0.20:9090"

// Members and the whole gateway are drained and resumed, and the configuration is read anew, by command and by SIGHUP, while calls come in:
// none is lost, as those count who make and take them.
func TestDrainAndReloadUnderLoad(t *testing.T) {
	f := startFleet(t, "sip:127.0.0.31:5060, sip:127.0.0.32:5060")
	first, second, third := "far/127.0.0.31:5060", "far/127.0.0.32:5060", "far/127.0.0.33:5060"
	f.takes(first, second)

	f.does("empty", "drain", "--member", second, "--wait")
	f.becomes(second, "drained", 1)
	f.tandem.Find(t, `backend is drained: it has no calls" backend=(far/127.0.0.32:5060)`)
	f.rests(second)
	f.does("", "resume", "--member", second)
	f.takes(second)

	f.write(`{uri: "sip:127.0.0.32:5060", weight: 9}, sip:127.0.0.33:5060`)
	f.does("", "reload")
	f.becomes(second, "up", 9)
	f.becomes(first, "", 0)
	f.rests(first)
	f.shares(second, third)

	f.write("{uri: sip:127.0.0.31:5060, weight: heavy}")
	if out, err := f.command("reload"); err == nil || !strings.Contains(out, "pools.far.members[0].weight") {
		t.Errorf("a wrong file: %v, %s", err, out)
	}
	f.hangup("the configuration is not taken, the one of before stays")
	f.becomes(second, "up", 9)
	f.takes(second, third)

	f.write("sip:127.0.0.31:5060, sip:127.0.0.32:5060")
	f.hangup("the configuration was read anew")
	f.becomes(third, "", 0)
	f.takes(first, second)

	f.drainAll()
	for member, sipp := range f.far {
		if counts := sipp.Stop(t); counts.Failed != 0 {
			t.Errorf("calls to %s were lost: %+v", member, counts)
		}
	}
}

// drainAll drains the whole gateway, and ends the load.
func (f *fleet) drainAll() {
	f.t.Helper()
	if counts := f.counts(f.load); counts.Refused != 0 {
		f.t.Errorf("refused before the gateway was drained: %+v", counts)
	}
	f.does("empty", "drain", "--wait")
	f.tandem.Find(f.t, `(gateway is drained: it has no calls)`)
	res, err := http.Get(operator + "/readyz")
	must(f.t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		f.t.Errorf("ready while it is drained: %d", res.StatusCode)
	}
	lab.Eventually(f.t, 30*time.Second, "calls are refused", func() error {
		if counts := f.counts(f.load); counts.Refused < loadRate {
			return fmt.Errorf("%+v", counts)
		}
		return nil
	})
	f.does("", "resume")
	f.takes("far/127.0.0.31:5060", "far/127.0.0.32:5060")
	counts := f.load.Stop(f.t)
	if counts.Failed != 0 || counts.Successful != counts.Created {
		f.t.Errorf("calls were lost: %+v", counts)
	}
	f.t.Logf("%+v", counts)
}

func startFleet(t *testing.T, members string) *fleet {
	t.Helper()
	f := &fleet{t: t, file: filepath.Join(t.TempDir(), "tandem.yaml"), far: map[string]*lab.Sipp{}}
	f.write(members)
	for _, addr := range []string{"127.0.0.31", "127.0.0.32", "127.0.0.33"} {
		f.far["far/"+addr+":5060"] = lab.StartSipp(t, "brief-callee", addr, "", lab.Many)
	}
	f.tandem = lab.StartTandem(t, "run", "-config", f.file)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("gateway:\n%s", f.tandem.Output)
		}
	})
	lab.Eventually(t, 30*time.Second, "the gateway listens", func() error { return lab.DialTCP("127.0.0.20:9090") })
	f.load = lab.StartLoad(t, "patient-caller", "127.0.0.30", "127.0.0.20:5060", loadRate, "-s", "600")
	return f
}

func (f *fleet) write(members string) {
	f.t.Helper()
	must(f.t, os.WriteFile(f.file, fmt.Appendf(nil, ofSipps, members), 0o600))
}

func (f *fleet) command(args ...string) (string, error) {
	return f.tandem.Command(append(args, "--admin", operator)...)
}

// does runs a command, which has to go well and print something.
func (f *fleet) does(prints string, args ...string) {
	f.t.Helper()
	if out, err := f.command(args...); err != nil || strings.TrimSpace(out) != prints {
		f.t.Errorf("%v: %v: %q", args, err, out)
	}
}

// hangup sends SIGHUP and waits for what the log says of it.
func (f *fleet) hangup(logged string) {
	f.t.Helper()
	before := strings.Count(f.tandem.Output.String(), logged)
	must(f.t, f.tandem.Hangup())
	lab.Eventually(f.t, 30*time.Second, "SIGHUP: "+logged, func() error {
		if strings.Count(f.tandem.Output.String(), logged) == before {
			return fmt.Errorf("the log:\n%s", f.tandem.Output)
		}
		return nil
	})
}

// becomes waits for a member's state and weight; "" and 0: it is gone.
func (f *fleet) becomes(member, state string, weight int) {
	f.t.Helper()
	lab.Eventually(f.t, 30*time.Second, member+" is "+state, func() error {
		if is := stateOf(operator, member); is.State != state || is.Weight != weight {
			return fmt.Errorf("%+v", is)
		}
		return nil
	})
}

func (f *fleet) counts(sipp *lab.Sipp) lab.SippCounts {
	f.t.Helper()
	c, err := sipp.Counts()
	must(f.t, err)
	return c
}

// takes waits until each member gets more calls.
func (f *fleet) takes(members ...string) {
	f.t.Helper()
	for _, member := range members {
		f.far[member].More(f.t, 1)
	}
}

// rests looks whether a member gets no more calls; its sipp's figures are a fifth of a second old.
func (f *fleet) rests(member string) {
	f.t.Helper()
	f.load.More(f.t, loadRate/2)
	before := f.counts(f.far[member])
	f.load.More(f.t, loadRate/2)
	if now := f.counts(f.far[member]); now.Created != before.Created {
		f.t.Errorf("%s gets calls: %+v, before %+v", member, now, before)
	}
}

// shares looks whether one member gets more than thrice as many calls as another.
func (f *fleet) shares(much, little string) {
	f.t.Helper()
	more, less := f.counts(f.far[much]), f.counts(f.far[little])
	f.far[little].More(f.t, 4)
	a, b := f.counts(f.far[much]).Created-more.Created, f.counts(f.far[little]).Created-less.Created
	if a <= 3*b {
		f.t.Errorf("%s got %d calls and %s %d", much, a, little, b)
	}
}
