package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The command asks the operator's listener and shows its answer, line by line.
func TestAlarms(t *testing.T) {
	const answer = `[{"id":3,"at":"2026-01-02T03:04:05Z","spending":"exotic","user":"sip:alice@example.com","minutes":61.04,"calls":3,` +
		`"limit":"60 minutes in 24h0m0s","action":"stop","active":true},` +
		`{"id":2,"at":"2026-01-02T03:04:05Z","spending":"all","minutes":1,"calls":9,"limit":"8 calls in 1h0m0s","action":"alarm","active":false}]`
	var asked []string
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		if r.URL.Query().Get("alarm") == "9" {
			http.Error(w, "no stop of that alarm", http.StatusNotFound)
			return
		}
		io.WriteString(w, answer)
	}))
	defer listener.Close()
	for _, c := range []struct {
		args  []string
		asked string
		code  int
		says  []string
	}{
		{nil, "GET /api/alarms", 0, []string{"sip:alice@example.com  61.0 minutes, 3 calls  of 60 minutes in 24h0m0s  stopped until it is released", "all users", "over"}},
		{[]string{"--release", "3"}, "POST /api/release?alarm=3", 0, []string{"exotic"}},
		{[]string{"--release-all"}, "POST /api/release", 0, []string{"exotic"}},
		{[]string{"--release", "9"}, "POST /api/release?alarm=9", exitFailed, []string{"no stop of that alarm"}},
	} {
		var out strings.Builder
		asked = nil
		code := run(append([]string{"alarms", "--admin", listener.URL}, c.args...), &out, &out)
		if code != c.code || len(asked) != 1 || asked[0] != c.asked {
			t.Errorf("%v: %d, asked %q", c.args, code, asked)
		}
		for _, text := range c.says {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%v says\n%s\nwithout %q", c.args, out.String(), text)
			}
		}
	}
}
