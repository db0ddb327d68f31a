package gateway

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/bridge"
	"tandem/gateway/guard"
)

// openedState is a guard and tolls over a state file.
func openedState(t *testing.T, path string) (*guard.Guard, *guard.Tolls, *stateFile, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	g, tolls := guard.New(guard.Config{}, guard.Options{Keep: true}), guard.NewTolls(logger, nil)
	s, err := openState(path, g, tolls, logger)
	if err != nil {
		t.Fatal(err)
	}
	return g, tolls, s, &log
}

func TestStateOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	g, _, s, _ := openedState(t, path)
	g.BanFor(netip.MustParseAddr("192.0.2.1"), "sip:alice@example.com", time.Hour)
	s.flush()
	written, err := os.Stat(path)
	if err != nil || written.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", written, err)
	}
	s.flush()
	if again, err := os.Stat(path); err != nil || !os.SameFile(written, again) {
		t.Errorf("written without a change: %v", err)
	}
	g, _, _, log := openedState(t, path)
	if bans := g.Bans(); len(bans) != 1 || bans[0].Identity != "sip:alice@example.com" || log.Len() > 0 {
		t.Errorf("bans %+v, log %s", bans, log)
	}
	if all, _ := filepath.Glob(path + "*"); len(all) != 1 {
		t.Errorf("files %q", all)
	}
}

// A file that cannot be read is set aside, and the gateway starts.
func TestBrokenState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path, []byte(`{"guard": {"bans": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	g, _, _, log := openedState(t, path)
	if len(g.Bans()) != 0 || !strings.Contains(log.String(), "set aside") || !strings.Contains(log.String(), path) {
		t.Errorf("log %s", log)
	}
	if text, err := os.ReadFile(path + brokenSuffix); err != nil || len(text) == 0 {
		t.Errorf("it is not there: %v", err)
	}
}

// A folder that is not there is an error at the start; one that goes away later costs the file alone.
func TestStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	if _, err := openState(filepath.Join(t.TempDir(), "nowhere", "state.json"), guard.New(guard.Config{}, guard.Options{}), guard.NewTolls(logger, nil), logger); err == nil {
		t.Error("no error")
	}
	folder := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	g, _, s, log := openedState(t, filepath.Join(folder, "state.json"))
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	g.BanFor(netip.MustParseAddr("192.0.2.1"), "", time.Hour)
	s.flush()
	if !strings.Contains(log.String(), "not written") {
		t.Errorf("log %q", log)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.flush(); len(g.Bans()) != 1 {
		t.Error("the ban is gone")
	}
	if _, err := os.Stat(filepath.Join(folder, "state.json")); err != nil {
		t.Errorf("not written again: %v", err)
	}
}

// A gateway that takes another's place knows whom it stopped and banned.
func TestGatewayRestoresItsState(t *testing.T) {
	t.Parallel()
	text := reloadText(onePool, oneRoute) + "state: " + filepath.Join(t.TempDir(), "state.json") + "\nfraud: {spending: {all: {user: {calls: 1}}}}\n"
	call := func(g *Gateway) (refused bool) {
		m, no := tollGuard{g.tolls}.Place(bridge.Toll{User: "sip:mallory@example.com", Number: "+53", Via: "pbx"}, func(string) {})
		if no == nil {
			m.Answered()
			m.Ended()
		}
		return no != nil
	}
	g, _, _ := reloadable(t, text)
	call(g)
	call(g)
	g.guard.BanFor(netip.MustParseAddr("192.0.2.1"), "", time.Hour)
	g.Close()
	g, _, _ = reloadable(t, text)
	if bans := g.guard.Bans(); len(bans) != 1 || !call(g) {
		t.Errorf("bans %+v; the stop is forgotten: %t", bans, !call(g))
	}
}
