package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/bridge"
)

func ended(call string) bridge.Event {
	return bridge.Event{Call: call, Record: &bridge.Record{Call: call, Status: 200, Start: time.Unix(1, 0).UTC()}}
}

// until polls for something that another goroutine does.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func calls(t *testing.T, file string) (ids []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r bridge.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		ids = append(ids, r.Call)
	}
	return ids
}

func TestRecordsAreAppendedAndTheFileIsReopened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calls.jsonl")
	for _, call := range []string{"a", "b"} {
		r, err := openRecords(file, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r.CallEvent(bridge.Event{Call: call, Started: &bridge.Started{}})                   // no record
		r.CallEvent(bridge.Event{Call: call, Record: &bridge.Record{Reason: "challenged"}}) // no call
		r.CallEvent(ended(call))
		r.close()
		r.close()
		r.CallEvent(ended("too late")) // counted, not written
		if s := r.stats(); s.Written != 1 || s.Lost["queue-full"] != 1 {
			t.Errorf("%+v", s)
		}
	}
	r, err := openRecords(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	r.CallEvent(ended("c"))
	until(t, "c is written", func() bool { return r.stats().Written == 1 })
	r.reopen()
	until(t, "the new file is there", func() bool { _, err := os.Stat(file); return err == nil })
	r.CallEvent(ended("d"))
	r.close()
	if old, fresh := calls(t, file+".1"), calls(t, file); strings.Join(old, "") != "abc" || strings.Join(fresh, "") != "d" {
		t.Errorf("%v, %v", old, fresh)
	}
}

func TestRecordsFileThatCannotBeOpened(t *testing.T) {
	if _, err := openRecords(t.TempDir(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a folder was opened for records")
	}
}

// disk fails as long as full is set, after half a line; with gate, writes wait for it.
type disk struct {
	mu   sync.Mutex
	full bool
	gate chan struct{}
	text bytes.Buffer
}

func (d *disk) Write(line []byte) (int, error) {
	if d.gate != nil {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		d.text.Write(line[:len(line)/2])
		return len(line) / 2, errors.New("no space left on device")
	}
	return d.text.Write(line)
}

func (d *disk) Close() error { return nil }

func (d *disk) set(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func TestFailingDiskIsSaidOnceAndCounted(t *testing.T) {
	var log bytes.Buffer
	d := &disk{full: true}
	r, err := startRecords("calls.jsonl", slog.New(slog.NewTextHandler(&log, nil)), func() (io.WriteCloser, error) { return d, nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r.CallEvent(ended(strconv.Itoa(i)))
	}
	until(t, "three records are lost", func() bool { return r.stats().Lost["write-failed"] == 3 })
	d.set(false)
	r.CallEvent(ended("whole"))
	r.close()
	lines := strings.Split(strings.TrimSpace(d.text.String()), "\n")
	if last := lines[len(lines)-1]; !json.Valid([]byte(last)) || !strings.Contains(last, "whole") {
		t.Errorf("the record after a torn line: %q", lines)
	}
	if n := strings.Count(log.String(), "call records are not written"); n != 1 || !strings.Contains(log.String(), "lost=3") {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

func TestCallsDoNotWaitForTheDisk(t *testing.T) {
	d := &disk{gate: make(chan struct{})}
	r, err := startRecords("calls.jsonl", slog.New(slog.DiscardHandler), func() (io.WriteCloser, error) { return d, nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range recordQueue + 10 { // the goroutine may hold one more
		r.CallEvent(ended(strconv.Itoa(i)))
	}
	if lost := r.stats().Lost["queue-full"]; lost < 9 || lost > 10 {
		t.Errorf("lost %d", lost)
	}
	close(d.gate)
	r.close()
	if s := r.stats(); s.Written+s.Lost["queue-full"] != recordQueue+10 {
		t.Errorf("%+v", s)
	}
}
