package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/e2e/lab"
	"tandem/gateway"
	"tandem/gateway/guard"
	"tandem/wss/wsstest"
)

// An office: good users and bad ones behind one address, 127.0.0.1, which the datagrams of this configuration can ban, too.
const guardedOffice = `
https: {listen: "https://127.0.0.20:8443"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools: {pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}}
routes: {from: browsers, domain: example.com, to: browsers, register: local}
identity: {users: USERS}
guard:
  failures: {identity: 5, address: 6, within: 1m}
  bans: {first: 1s, longest: 1s, udp: true}
admin: {listen: "127.0.0.20:9090"}
`

// premises are a gateway's binary with that configuration.
type premises struct {
	*lab.Tandem
	t   *testing.T
	ctx context.Context
}

func openPremises(t *testing.T) *premises {
	folder := t.TempDir()
	users, file := filepath.Join(folder, "users"), filepath.Join(folder, "tandem.yaml")
	for name, text := range map[string]string{users: "tom:tompw\ntina:tinapw\n", file: strings.ReplaceAll(guardedOffice, "USERS", users)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop)
	o := &premises{lab.StartTandem(t, "run", "-config", file), t, ctx}
	o.Find(t, "msg=(serving)")
	return o
}

// dial opens a WebSocket of the office.
func (o *premises) dial() (*wsstest.Browser, error) {
	b, err := wsstest.Dial(o.ctx, "wss://127.0.0.20:8443/sip", wsstest.Options{})
	if err == nil {
		o.t.Cleanup(b.Close)
	}
	return b, err
}

// registers says what becomes of a user on a connection of his own: 0 for one that could not be opened.
func (o *premises) registers(user, password string) (status int) {
	b, err := o.dial()
	if err != nil {
		return 0
	}
	defer b.Close()
	return statusOf(b.Register(o.ctx, user, password))
}

func statusOf(res *sip.Response, err error) int {
	var refused *wsstest.StatusError
	switch {
	case errors.As(err, &refused):
		return refused.Response.StatusCode
	case err != nil:
		return 0
	}
	return res.StatusCode
}

// bans are those that hold.
func (o *premises) bans() (list []gateway.Ban) {
	o.t.Helper()
	res, err := http.Get("http://127.0.0.20:9090/api/bans")
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	var all struct{ Bans []gateway.Ban }
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		o.t.Fatal(err)
	}
	return all.Bans
}

// banned waits until a ban is seen; whoever it is about goes on, so that there is one now and then.
func (o *premises) banned(why, identity string) {
	o.t.Helper()
	lab.Eventually(o.t, 0, "a ban of "+why, func() error {
		for _, b := range o.bans() {
			if b.Why == why && b.Identity == identity && b.Address.String() == "127.0.0.1/32" && b.Until.After(b.Since) {
				return nil
			}
		}
		return fmt.Errorf("there are %+v", o.bans())
	})
}

// expired waits until no ban holds.
func (o *premises) expired() {
	o.t.Helper()
	lab.Eventually(o.t, 0, "the bans are over", func() error {
		if b := o.bans(); len(b) > 0 {
			return fmt.Errorf("%+v", b)
		}
		return nil
	})
}

// A scanner and a guesser of passwords by UDP, and then one by WebSocket, share their address with a good user: it is banned, he is not;
// nobody else comes in from there until the ban is over.
func TestGuard(t *testing.T) {
	o := openPremises(t)
	tom, err := o.dial()
	if err != nil {
		t.Fatal(err)
	}
	good := func(when string) {
		t.Helper()
		if status := statusOf(tom.Register(o.ctx, "tom", "tompw")); status != 200 {
			t.Errorf("%s, tom is answered %d", when, status)
		}
		if status := o.registers("tom", "tompw"); status != 200 {
			t.Errorf("%s, tom on a new connection is answered %d", when, status)
		}
	}
	refused := func(user string) {
		t.Helper()
		lab.Eventually(t, 0, user+" is kept out", func() error { // of a user that the file does not know: none can become trusted
			if status := o.registers(user, ""); status != 403 && status != 0 {
				return fmt.Errorf("answered %d", status)
			}
			return nil
		})
	}
	good("before")

	scanner := lab.StartLoad(t, "scanner", "127.0.0.1", "127.0.0.20:5060", 20)
	o.banned("scanning", "")
	refused("stranger")
	good("while a scanner's ban holds")
	scanner.Stop(t) // which fails had it heard anything
	o.expired()

	guesser := lab.StartLoad(t, "guesser", "127.0.0.1", "127.0.0.20:5060", 20, "-s", "nobody")
	o.banned("guessing", "sip:nobody@example.com")
	refused("nobody")
	good("while somebody's password is guessed")
	guesser.Stop(t)
	o.expired()
	if status := o.registers("tina", "tinapw"); status != 200 {
		t.Errorf("after the bans tina is answered %d", status)
	}

	swept := false
	for i := 0; i < 60 && !swept; i++ {
		status := o.registers(fmt.Sprintf("user%d", i), "wrong")
		swept = status == 403 || status == 0
	}
	if !swept {
		t.Error("sixty users' passwords were tried from one address")
	}
	good("while users are swept through")
	o.steered()
	o.heardByFail2ban()
}

// steered has an operator ban and lift.
func (o *premises) steered() {
	o.t.Helper()
	const admin = "--admin=http://127.0.0.20:9090"
	for _, c := range []struct {
		args, want string
		fails      bool
	}{
		{"bans --ban 127.0.0.77 --for 1h", "", false}, {"bans", "127.0.0.77", false}, {"bans --lift 127.0.0.77", "1 lifted", false},
		{"bans --lift 127.0.0.77", "no such ban", true}, {"bans --lift nobody", "not an IP address", true},
	} {
		out, err := o.Command(append(strings.Fields(c.args), admin)...)
		if !strings.Contains(out, c.want) || (err != nil) != c.fails {
			o.t.Errorf("tandem %s: %v\n%s", c.args, err, out)
		}
	}
}

// heardByFail2ban has the real fail2ban read the log by our filter.
func (o *premises) heardByFail2ban() {
	o.t.Helper()
	log := filepath.Join(o.t.TempDir(), "tandem.log")
	if err := os.WriteFile(log, []byte(o.Output.String()), 0o600); err != nil {
		o.t.Fatal(err)
	}
	bans, failures, all := fail2ban(o.t, log, "bans"), fail2ban(o.t, log, "failures"), fail2ban(o.t, log, "aggressive")
	if bans["127.0.0.1"] == 0 || failures["127.0.0.1"] < 6 || all["127.0.0.1"] <= failures["127.0.0.1"] || len(all) != 1 {
		o.t.Errorf("fail2ban finds %v bans, %v failures, %v with those of datagrams\n%s", bans, failures, all, o.Output)
	}
}

// The real fail2ban reads both forms of the log, in a file and as syslog writes it, and what a stranger writes into his name is no line.
func TestFail2banReadsBothForms(t *testing.T) {
	for form, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(handler(&out))
		g := guard.New(guard.Config{
			Failures: guard.Failures{Identity: 3, Address: 3, Within: time.Hour}, Bans: guard.Bans{First: time.Minute, Longest: time.Hour},
			Scanners: guard.ScannerAgents(),
		}, guard.Options{Log: log})
		sweeper, forger, six := g.Visit(netip.MustParseAddr("192.0.2.1")), g.Visit(netip.MustParseAddr("192.0.2.2")), netip.MustParseAddr("2001:db8::9")
		for _, user := range []string{"sip:a@b", "sip:b@b", "sip:c@b"} {
			sweeper.Judged(user, false)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			forged := strings.ReplaceAll(line, "192.0.2.1", "198.51.100.1")
			forger.Judged("\n"+forged, false)
			log.Info("request", "error", forged)
			log.Warn(forged)
		}
		g.Page(six, "zgrab")
		g.Stranger(netip.MustParseAddrPort("192.0.2.4:5060"), "udp", []byte("OPTIONS sip:a SIP/2.0\r\nUser-Agent: sipvicious\r\n\r\n"))
		g.BanFor(netip.MustParseAddr("192.0.2.5"), "", time.Hour)
		text := out.String()
		text += strings.ReplaceAll("Nov 21 15:14:36 host tandem[123]: "+strings.Split(text, "\n")[3]+"\n", "192.0.2.1", "192.0.2.6") // the sweeper's ban
		file := filepath.Join(t.TempDir(), form)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for mode, want := range map[string]map[string]int{
			"bans":       {"192.0.2.1": 1, "192.0.2.2": 1, "2001:db8::9": 1, "192.0.2.6": 1},
			"failures":   {"192.0.2.1": 3, "192.0.2.2": 5, "2001:db8::9": 1},
			"aggressive": {"192.0.2.1": 3, "192.0.2.2": 5, "2001:db8::9": 1, "192.0.2.4": 1},
		} {
			if got := fail2ban(t, file, mode); !maps.Equal(got, want) {
				t.Errorf("%s, %s: %v, want %v in\n%s", form, mode, got, want, text)
			}
		}
	}
}

// fail2ban gives how often each address is found in a log.
func fail2ban(t *testing.T, log, mode string) map[string]int {
	t.Helper()
	filter, err := filepath.Abs("../gateway/guard/fail2ban/tandem.conf")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(lab.Program(t, "fail2ban-regex"), "-o", "ip", log, filter+"[mode="+mode+"]").CombinedOutput()
	if err != nil {
		t.Fatalf("fail2ban-regex: %v\n%s", err, out)
	}
	found := map[string]int{}
	for _, ip := range strings.Fields(string(out)) {
		found[ip]++
	}
	return found
}
