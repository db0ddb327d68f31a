package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/bridge"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// page is what a GET gives, "" where nobody answers.
func page(url string) string {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

// A route that says record, in a process that ends while its call runs: the file is whole, and the call record names it.
func TestRecordingByRoute(t *testing.T) {
	dir, loopback := t.TempDir(), netip.MustParseAddr("127.0.0.1")
	pbx, err := siptest.NewPBX(siptest.PBXConfig{Listen: netip.AddrPortFrom(loopback, 0), AnyUser: true, RTPAddr: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer pbx.Close()
	log, records := &logLines{}, Records{File: filepath.Join(dir, "calls.jsonl"), Recordings: dir}
	g, err := onFreePorts(demoPorts{out: io.Discard, any: true}, func(ports *demoPorts) (*Gateway, error) {
		cfg, err := demoConfig(loopback, pbx.Addr(), ports)
		if err != nil {
			return nil, err
		}
		cfg.Records = records
		cfg.Routes[0].Record, cfg.Routes[0].Consent, cfg.Routes[0].Tenant = "wav", true, "example"
		return New(cfg, Options{LogTo: log})
	})
	if err != nil {
		t.Fatal(err)
	}
	g.cfg.ShutdownTimeout = 10 * time.Millisecond // nobody reads it before drain
	drain, ended := running(t, g)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	b, err := wsstest.Dial(ctx, "ws"+strings.TrimPrefix(g.URLs()[0], "http")+"/sip", wsstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Register(ctx, "alice", "whatever"); err != nil {
		t.Fatal(err)
	}
	call, err := b.Invite(ctx, "600", wsstest.InviteOptions{})
	if err == nil {
		err = call.Wait(ctx, wsstest.Confirmed)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	until(t, "a second of sound in the file", func() bool {
		var all []bridge.CallStatus
		return json.Unmarshal([]byte(page(g.AdminURL()+"/api/calls")), &all) == nil && len(all) == 1 &&
			all[0].Recording != nil && all[0].Recording.Bytes > 64000
	})
	if !strings.Contains(page(g.AdminURL()+"/metrics"), "tandem_recordings_lost_packets_total 0\n") {
		t.Error("the lost packets are not counted")
	}
	drain()
	if err := inTime(t, ended, "shutdown"); err != nil {
		t.Error(err)
	}
	checkRecorded(t, records)
}

// checkRecorded reads the one call record and its recording.
func checkRecorded(t *testing.T, r Records) {
	t.Helper()
	line, err := os.ReadFile(r.File)
	if err != nil {
		t.Fatal(err)
	}
	var record bridge.Record
	if err := json.Unmarshal(line, &record); err != nil || record.Recording == nil || len(record.Recording.Files) != 1 {
		t.Fatalf("%v: %s", err, line)
	}
	got := record.Recording
	if got.End != "complete" || !got.Consent || got.Format != "wav" || filepath.Dir(got.Files[0]) != filepath.Join(r.Recordings, "example") {
		t.Errorf("%s", line)
	}
	sound, err := os.ReadFile(got.Files[0])
	if err != nil || int64(len(sound)) != got.Bytes || fmt.Sprintf("%s", sound[8:12]) != "WAVE" || len(bytes.Trim(sound[44:], "\x00")) < 16000 {
		t.Errorf("%v: %d bytes of %+v", err, len(sound), got)
	}
}
