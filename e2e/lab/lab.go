// Package lab starts the real peers of the end-to-end tests: Asterisk, Chromium with JsSIP and SIP.js, sipp, baresip. All run
// inside a network namespace of its own; what is missing fails the test with the command that installs it.
package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const inside = "TANDEM_LAB_NAMESPACE"

// Isolate runs the tests of a package again inside a network namespace with nothing but loopback, and gives their exit
// code; it is for TestMain. Without root it takes a user namespace.
func Isolate(m *testing.M) int {
	if os.Getenv(inside) != "" {
		return m.Run()
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	// an empty resolv.conf keeps Asterisk from opening DNS sockets on all addresses
	script := `mount --make-rprivate / && ip link set lo up && mount --bind /dev/null /etc/resolv.conf && exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", self}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() > 0 {
			return exit.ExitCode()
		}
		fmt.Fprintln(os.Stderr, "lab: no network namespace for the end-to-end tests:", err)
		return 1
	}
	return 0
}

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

// Eventually polls a condition, quickly first and then twice a second, until it gives nil; the test fails with its last error.
func Eventually(t testing.TB, within time.Duration, what string, condition func() error) {
	t.Helper()
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
