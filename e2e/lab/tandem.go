package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Tandem is the gateway as a process of its own.
type Tandem struct {
	Output *Output
	cmd    *exec.Cmd
}

// buildTandem builds the command.
func buildTandem(file string) error {
	if out, err := exec.Command("go", "build", "-o", file, "tandem/gateway/cmd/tandem").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// StartTandem runs the command until the test ends; it builds it where that was not done for all tests.
func StartTandem(t testing.TB, args ...string) *Tandem {
	t.Helper()
	binary := os.Getenv(built)
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "tandem")
		if err := buildTandem(binary); err != nil {
			t.Fatal(err)
		}
	}
	s := &Tandem{Output: &Output{}, cmd: exec.Command(binary, args...)}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = write, write
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("tandem: %v", err)
	}
	write.Close()
	go s.Output.read(bufio.NewScanner(read))
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// Command runs the same binary with other arguments to its end, and gives what it printed.
func (s *Tandem) Command(args ...string) (string, error) {
	out, err := exec.Command(s.cmd.Path, args...).CombinedOutput()
	return string(out), err
}

// Hangup sends SIGHUP.
func (s *Tandem) Hangup() error { return s.cmd.Process.Signal(syscall.SIGHUP) }

// Pid is the process's id.
func (s *Tandem) Pid() int { return s.cmd.Process.Pid }

// Terminate sends SIGTERM.
func (s *Tandem) Terminate() error { return s.cmd.Process.Signal(syscall.SIGTERM) }

// Stop ends it by two SIGTERMs (the second one means at once) and waits. Safe to call twice.
func (s *Tandem) Stop(t testing.TB) {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.Terminate()
	_ = s.Terminate()
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("tandem: %v\n%s", err, s.Output)
	}
}

// Find waits for a line that matches and gives its first group.
func (s *Tandem) Find(t testing.TB, pattern string) (group string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	Eventually(t, 20*time.Second, "tandem prints "+pattern, func() error {
		m := re.FindStringSubmatch(s.Output.String())
		if m == nil {
			return fmt.Errorf("it printed:\n%s", s.Output)
		}
		group = strings.TrimSpace(m[len(m)-1])
		return nil
	})
	return group
}
