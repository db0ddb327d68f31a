package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tandem/bridge"
	"tandem/bridge/identity"
)

// hostile are texts that would begin a line, a field or an object of their own where they are written as they are.
func hostile() []string {
	return []string{
		"a\r\nb", "a\nlevel=WARN msg=\"wrong credentials\" remote=192.0.2.1", `a","call":"forged`, `a"},{"call":"forged"}`, `a\`,
		"a\x00b", "a\x1b[2Jb", "a\u2028b", "a\xffb", `a" level=ERROR`,
	}
}

// What peers write stays one value of one line in the log, in the records of calls, and in what a callback is asked.
func TestHostileTextsStayOneValue(t *testing.T) {
	for _, text := range hostile() {
		logged(t, text)
		recorded(t, text)
		asked(t, text)
	}
}

// logged has hostile values in a log line of either form.
func logged(t *testing.T, text string) {
	t.Helper()
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		newLogger(Log{Format: format}, slog.LevelInfo, &out).Info("call", "from", text, "error", errors.New(text))
		line := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsAny(line, "\r\n\x00\x1b\u2028") {
			t.Errorf("%s log of %q: %q", format, text, line)
		}
		if format == "json" {
			var got map[string]string
			if err := json.Unmarshal([]byte(line), &got); err != nil || len(got) != 5 || got["from"] != whole(text) || got["error"] != whole(text) {
				t.Errorf("log of %q: %v: %q", text, err, line)
			}
			continue
		}
		_, values, _ := strings.Cut(line, " msg=call from=")
		value, err := strconv.QuotedPrefix(values)
		if err != nil {
			value, _, _ = strings.Cut(values, " ")
		} else if got, _ := strconv.Unquote(value); got != text {
			t.Errorf("log of %q: %s", text, value)
		}
		if values != value+" error="+value {
			t.Errorf("log of %q: %q", text, line)
		}
	}
}

// recorded writes a record whose texts are hostile.
func recorded(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "calls.jsonl")
	r, err := openRecords(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.CallEvent(bridge.Event{Call: "one", Record: &bridge.Record{Call: "one", From: text, To: text, Reason: text, Client: text, Subject: text}})
	r.close()
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got bridge.Record
	if err := json.Unmarshal(written, &got); err != nil || bytes.Count(written, []byte("\n")) != 1 {
		t.Fatalf("record of %q: %v\n%q", text, err, written)
	}
	if got.Call != "one" || got.From != whole(text) || got.Reason != whole(text) {
		t.Errorf("record of %q: %+v", text, got)
	}
}

// asked has a callback judge a user with a hostile name.
func asked(t *testing.T, text string) {
	t.Helper()
	heard := make(chan identity.Login, 1)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var l identity.Login
		d := json.NewDecoder(r.Body)
		if err := d.Decode(&l); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			t.Errorf("%q: more than one object", text)
		}
		heard <- l
		w.WriteHeader(http.StatusNotFound)
	}))
	defer service.Close()
	callback := identity.NewCallback(service.URL, 30*time.Second)
	defer callback.Close()
	if _, _, err := callback.HA1(context.Background(), identity.Login{User: text, Realm: "example.com", AOR: text}); !errors.Is(err, identity.ErrWrong) {
		t.Errorf("%q: %v", text, err)
	}
	if l := <-heard; l.User != whole(text) || l.AOR != whole(text) || l.Realm != "example.com" || l.Response != "" {
		t.Errorf("of %q the callback heard %+v", text, l)
	}
}

// whole is a text as JSON can have it.
func whole(text string) string { return strings.ToValidUTF8(text, string(utf8.RuneError)) }
