package lab

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net/netip"
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
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it may be known already; nothing is written into its folder any more
	})
	if remote == "" {
		s.listens(t, addr, args)
	}
	return s
}

// listens waits until a callee has its socket: whoever calls it before is told that nobody is there.
func (s *Sipp) listens(t testing.TB, addr string, args []string) {
	t.Helper()
	protocol := "udp"
	if slices.Contains(args, "t1") {
		protocol = "tcp"
	}
	ip := netip.MustParseAddr(addr).As4()
	place := fmt.Sprintf(": %02X%02X%02X%02X:13C4 ", ip[3], ip[2], ip[1], ip[0])
	Eventually(t, patience, "sipp listens at "+addr, func() error {
		sockets, err := os.ReadFile("/proc/net/" + protocol)
		if err == nil && !strings.Contains(string(sockets), place) {
			err = fmt.Errorf("%s is not among\n%s", place, sockets)
		}
		return err
	})
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

// Counts are the calls until now: sipp writes five times a second, and what it wrote before is not waited with. Of one that has ended
// they are the last.
func (s *Sipp) Counts() (c SippCounts, err error) {
	for asked := time.Now(); ; <-time.After(50 * time.Millisecond) {
		names, values, written, err := s.statistics()
		if err == nil && (s.cmd.ProcessState != nil || written.After(asked)) {
			return counted(names, values)
		}
		if time.Since(asked) > patience {
			return c, errors.Join(fmt.Errorf("sipp has written nothing since %v", written), err)
		}
	}
}

// statistics is the latest line that sipp wrote of its calls, and when.
func (s *Sipp) statistics() (names, values []string, written time.Time, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "counts.csv"))
	if err != nil {
		return nil, nil, written, err
	}
	whole, _ := strings.CutSuffix(string(text[:bytes.LastIndexByte(text, '\n')+1]), "\n")
	lines := strings.Split(whole, "\n")
	names, values = strings.Split(lines[0], ";"), strings.Split(lines[len(lines)-1], ";")
	if len(lines) < 2 || len(values) < 3 {
		return nil, nil, written, fmt.Errorf("no line in sipp's statistics: %q", text)
	}
	seconds, err := strconv.ParseFloat(values[2][strings.LastIndexByte(values[2], '\t')+1:], 64) // CurrentTime: date, time, Unix time
	return names, values, time.UnixMicro(int64(seconds * 1e6)), err
}

// counted takes the numbers of a line.
func counted(names, values []string) (c SippCounts, err error) {
	for name, into := range map[string]*int{"TotalCallCreated": &c.Created, "SuccessfulCall(C)": &c.Successful, "FailedCall(C)": &c.Failed, "GenericCounter1(C)": &c.Refused} {
		at := slices.Index(names, name)
		if at < 0 && into == &c.Refused {
			continue // the scenario does not count them
		}
		if at < 0 || at >= len(values) {
			return c, fmt.Errorf("no %s in sipp's statistics: %q", name, values)
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
	before, err := s.Counts()
	if err != nil {
		t.Fatal(err)
	}
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
