// Package lab starts the real peers of the end-to-end tests: Asterisk, Chromium with JsSIP and SIP.js, sipp, baresip. All run
// inside a network namespace of its own; what is missing fails the test with the command that installs it.
package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Dir is where e2e/lab/install put the peers.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TANDEM_LAB")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, ".cache/tandem-lab")
	}
	if _, err := os.Stat(filepath.Join(dir, "page/libs.out.js")); err != nil {
		t.Fatalf("the tests' peers are not installed (%v): run e2e/lab/install, or make test", err)
	}
	return dir
}

// Program finds an installed command.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run e2e/lab/install, or make test", name)
	}
	return path
}

// Eventually polls a condition, quickly first and then twice a second, until it gives nil; the test fails with its last error. However
// short the time, it is patience at least: machines are busy, and what works costs nothing.
func Eventually(t testing.TB, within time.Duration, what string, condition func() error) {
	t.Helper()
	within = max(within, patience)
	deadline := time.Now().Add(within)
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 500*time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", within, what, err)
		}
		<-time.After(pause)
	}
}
