package lab

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
	file := s.file(t, scenario+".xml", strings.ReplaceAll(tenTimes(string(text)), "@TONE@", filepath.Join(s.dir, "tone.alaw")))
	words := []string{"-sf", file, "-i", addr, "-p", "5060", "-mi", addr, "-m", strconv.Itoa(calls), "-nostdin",
		"-trace_stat", "-stf", filepath.Join(s.dir, "counts.csv"), "-fd", "200ms", "-trace_err", "-error_file", filepath.Join(s.dir, "errors")}
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

// tenTimes writes out what a scenario marks so, with @N@ from 0 to 9: sipp's own loops send each message with the same branch.
func tenTimes(scenario string) string {
	before, rest, marked := strings.Cut(scenario, "<!-- ten times -->")
	if !marked {
		return scenario
	}
	again, after, _ := strings.Cut(rest, "<!-- end -->")
	for n := range 10 {
		before += strings.ReplaceAll(again, "@N@", strconv.Itoa(n))
	}
	return before + after
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

// StartLoad has sipp place a number of calls a second, each half a second long, until Stop.
func StartLoad(t testing.TB, scenario, addr, remote string, rate int, args ...string) *Sipp {
	t.Helper()
	words := []string{"-r", strconv.Itoa(rate), "-l", "10000", "-d", "500"}
	return StartSipp(t, scenario, addr, remote, Many, append(words, args...)...)
}

// Many is the number of a load's calls: there is no end to them before Stop.
const Many = 1_000_000

// SippCounts are calls as sipp counts them.
type SippCounts struct {
	Created, Successful, Failed int
	Refused                     int // of the successful: with 503 (patient-caller)
}

// Counts is what sipp wrote last, five times a second.
func (s *Sipp) Counts() (c SippCounts, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "counts.csv"))
	if err != nil {
		return c, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	names, values := strings.Split(lines[0], ";"), strings.Split(lines[len(lines)-1], ";")
	for name, into := range map[string]*int{"TotalCallCreated": &c.Created, "SuccessfulCall(C)": &c.Successful, "FailedCall(C)": &c.Failed, "GenericCounter1(C)": &c.Refused} {
		at := slices.Index(names, name)
		if at < 0 && into == &c.Refused {
			continue // the scenario does not count them
		}
		if at < 0 || at >= len(values) || len(lines) < 2 {
			return c, fmt.Errorf("no %s in sipp's statistics: %q", name, text)
		}
		if *into, err = strconv.Atoi(values[at]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// More waits until so many more calls have been successful.
func (s *Sipp) More(t testing.TB, calls int) {
	t.Helper()
	before, _ := s.Counts() // none before the first second
	Eventually(t, 30*time.Second, strconv.Itoa(calls)+" more calls", func() error {
		now, err := s.Counts()
		if err == nil && now.Successful < before.Successful+calls {
			err = fmt.Errorf("%+v, before %+v", now, before)
		}
		return err
	})
}

// Stop places no more calls, waits for those that run, and gives the counts.
func (s *Sipp) Stop(t testing.TB) SippCounts {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatalf("sipp: %v", err)
	}
	s.Wait(t)
	c, err := s.Counts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
