package location

import (
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func openFile(t *testing.T, path string, now func() time.Time) *File {
	t.Helper()
	f, err := OpenFile(path, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFileKeepsBindingsOverARestart(t *testing.T) {
	at := time.Now()
	now := func() time.Time { return at }
	path := filepath.Join(t.TempDir(), "bindings.db")
	f := openFile(t, path, now)
	browser := Binding{
		AOR: "sip:alice@example.com", Token: "a", Contact: "sip:x@y.invalid;transport=ws", Instance: "urn:uuid:1", RegID: "1", Flow: "f1",
		Tenant: "acme", Expires: at.Add(time.Minute).UTC(), CallID: "c", CSeq: 7,
	}
	phone := Binding{
		AOR: "sip:alice@example.com", Token: "b", Contact: "sip:alice@10.0.0.7", Behind: true, Backend: "pbx/10.0.0.1:5060",
		Path: "<sip:edge;lr>\n<sip:inner;lr>", Expires: at.Add(time.Hour).UTC(),
	}
	f.Put(browser)
	f.Put(phone)
	f.Put(Binding{AOR: "sip:bob@example.com", Token: "gone", Expires: at.Add(time.Hour)})
	f.Put(Binding{AOR: "sip:bob@example.com", Token: "short", Expires: at.Add(time.Second)})
	f.Remove("gone")
	f.Close()

	at = at.Add(2 * time.Second)
	f = openFile(t, path, now)
	if f.Len() != 2 {
		t.Errorf("%d bindings", f.Len())
	}
	browser.Flow, browser.LastFlow = "", "f1" // dormant
	if got, ok := f.ByToken("a"); !ok || got != browser {
		t.Errorf("got  %+v\nwant %+v", got, browser)
	}
	if got, ok := f.ByToken("b"); !ok || got != phone {
		t.Errorf("got  %+v\nwant %+v", got, phone)
	}
}

func TestFileForgetsWhatExpired(t *testing.T) {
	start := time.Now()
	var later atomic.Int64
	path := filepath.Join(t.TempDir(), "bindings.db")
	now := func() time.Time { return start.Add(time.Duration(later.Load())) }
	f := openFile(t, path, now)
	f.Put(Binding{AOR: "sip:a@b", Token: "t", Expires: start.Add(time.Second)})
	f.flush()
	later.Store(int64(2 * sweepEvery))
	f.flush()
	f.Close()
	later.Store(0) // were it still in the file, it would come back
	if f = openFile(t, path, now); f.Len() != 0 {
		t.Error("what had expired was kept")
	}
}

func TestFileIsOneProcesss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindings.db")
	openFile(t, path, time.Now)
	if _, err := OpenFile(path, time.Now, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second one opens it: %v", err)
	}
}
