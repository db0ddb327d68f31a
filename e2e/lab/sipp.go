package lab

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

//go:embed sipp
var sippFiles embed.FS

// Sipp is a running sipp with one scenario of sipp/.
type Sipp struct {
	cmd *exec.Cmd
	dir string
}

// StartSipp runs a scenario from addr:5060 for a number of calls; remote may be "" for a callee.
func StartSipp(t testing.TB, scenario, addr, remote string, calls int, args ...string) *Sipp {
	t.Helper()
	s := &Sipp{dir: t.TempDir()}
	text, err := sippFiles.ReadFile("sipp/" + scenario + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	s.file(t, "tone.alaw", string(toneALaw()))
	file := s.file(t, scenario+".xml", strings.ReplaceAll(string(text), "@TONE@", filepath.Join(s.dir, "tone.alaw")))
	words := []string{"-sf", file, "-i", addr, "-p", "5060", "-mi", addr, "-m", strconv.Itoa(calls), "-nostdin", "-trace_err", "-error_file", filepath.Join(s.dir, "errors")}
	words = append(words, args...)
	if remote != "" {
		words = append(words, remote)
	}
	s.cmd = exec.Command(Program(t, "sipp"), words...)
	s.cmd.Dir = s.dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("sipp: %v", err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

func (s *Sipp) file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Wait waits for its end; the test fails unless every call went by the scenario.
func (s *Sipp) Wait(t testing.TB) {
	t.Helper()
	if err := s.cmd.Wait(); err != nil {
		text, _ := os.ReadFile(filepath.Join(s.dir, "errors"))
		t.Errorf("sipp: %v: %s", err, text)
	}
}
