package watched

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	name := filepath.Join(t.TempDir(), "file")
	f := New(name, func(text []byte) (string, error) {
		if bytes.Contains(text, []byte("bad")) {
			return "", errors.New("it is bad")
		}
		return string(text), nil
	}, slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Now()
	for _, step := range []struct {
		text  string // "": nothing is written
		after time.Duration
		want  string
		err   bool
		says  string // the log
	}{
		{"", 0, "", true, ""},
		{"bad one", LookEvery, "", true, ""},
		{"one", LookEvery, "one", false, "read anew"},
		{"another", LookEvery / 2, "one", false, ""},
		{"", LookEvery, "another", false, "read anew"},
		{"bad again", LookEvery, "another", false, "it is bad"},
		{"", LookEvery, "another", false, ""},
		{"the third", LookEvery, "the third", false, "read anew"},
	} {
		if step.text != "" {
			if err := os.WriteFile(name, []byte(step.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(step.after)
		log.Reset()
		got, err := f.Get(now)
		if got != step.want || (err != nil) != step.err || !strings.Contains(log.String(), step.says) || (step.says == "") != (log.Len() == 0) {
			t.Errorf("%q: got %q, %v, log %q", step.text, got, err, log.String())
		}
	}
}
