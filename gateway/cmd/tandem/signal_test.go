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
	limit := time.After(10 * time.Second)
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
	free, err := net.Listen("tcp", "127.0.0.1:0")
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

	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-code:
		if got != 0 || errs.Len() > 0 {
			t.Errorf("exit %d: %s", got, errs.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("SIGTERM did not end it")
	}
}
