package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until polls for what the process does after a signal.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// `tandem run` until SIGTERM, with a SIGHUP before. Readiness comes after the signals are caught.
func TestSignals(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.87:0") // nobody else is at this address: the port stays free
	if err != nil {
		t.Fatal(err)
	}
	admin := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	config, records := filepath.Join(dir, "tandem.yaml"), filepath.Join(dir, "calls.jsonl")
	text := strings.NewReplacer("ADMIN", admin, "RECORDS", records).Replace(`https: {listen: 127.0.0.1:0}
sip: {listen: udp://127.0.0.1:0}
media: {listen: 127.0.0.1:0}
trunks: {a: {uri: "sip:127.0.0.1:9"}}
routes: {from: a, to: browsers}
admin: {listen: ADMIN}
records: {file: RECORDS}
log: {level: error}
`)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run([]string{"run", "-config", config}, &out, &errs) }()
	until(t, "ready", func() bool {
		res, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})

	if err := os.Rename(records, records+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "SIGHUP opens the records anew", func() bool { _, err := os.Stat(records); return err == nil })

	operates(t, "http://"+admin, config)

	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-code:
		if got != 0 || errs.Len() > 0 {
			t.Errorf("exit %d: %s", got, errs.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("SIGTERM did not end it")
	}
}

// operates tries the commands that steer a running gateway.
func operates(t *testing.T, admin, config string) {
	t.Helper()
	try := func(code int, prints string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if got := run(append(args, "--admin", admin), &out, &out); got != code || !strings.Contains(out.String(), prints) {
			t.Errorf("tandem %q: %d, %s", args, got, out.String())
		}
	}
	ready := func() bool {
		res, err := http.Get(admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	try(0, "empty\n", "drain", "--member", "a", "--wait")
	try(0, "", "resume", "--member", "a")
	try(exitFailed, `"b"; there are: a`, "drain", "--member", "b")
	if !ready() {
		t.Error("a member's drain is the gateway's")
	}
	try(0, "empty\n", "drain")
	if ready() {
		t.Error("ready while it is drained")
	}
	try(0, "", "resume")
	if !ready() {
		t.Error("not ready though it was resumed")
	}
	try(0, "", "reload")
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, append(text, "colour: red\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	try(exitFailed, "colour: unknown key", "reload")
	admin = "http://127.0.0.1:1"
	try(exitFailed, "connection refused", "reload")
}

// Whoever waits for a member that left the configuration waits for nobody else's calls.
func TestCallsOfAMemberThatLeft(t *testing.T) {
	r := running{Calls: 7}
	if all, left := r.callsOf(""), r.callsOf("pbx/a:5060"); all != 7 || left != 0 {
		t.Errorf("%d in all, %d of who left", all, left)
	}
}
