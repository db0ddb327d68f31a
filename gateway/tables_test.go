package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/bridge/route"
)

// A table that changes is obeyed once its writer is done; a wrong one leaves that of before, for other changes of the configuration, too.
func TestTableIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "numbers")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("+49 a\n")
	const pools = `a: {members: sip:127.0.0.2, probe: off}, b: {members: sip:127.0.0.3, probe: off}`
	rules := `{from: browsers, table: ` + file + `}, {from: browsers, reject: 480}`
	g, write, log := reloadable(t, reloadText(pools, rules))
	to := func(number string) string {
		d := g.routes.Route(route.Query{From: route.Browsers, User: number})
		return strings.Join(d.Order(), " ")
	}
	goes := func(number, where string) {
		t.Helper()
		if got := to(number); got != where {
			t.Errorf("%s goes to %q, want %q", number, got, where)
		}
	}
	goes("+491", "a")

	put("+49 b\n+43 a b\n")
	eventuallyIs(t, "the table is read anew", func() bool { g.lookAtTables(); return to("+491") == "b" })
	goes("+431", "a b")

	put("+49 nowhere\n")
	eventuallyIs(t, "the wrong table is complained of", func() bool {
		g.lookAtTables()
		return strings.Contains(log.String(), "that of before stays") && strings.Contains(log.String(), "numbers:1: ")
	})
	goes("+491", "b")
	g.lookAtTables()
	if n := strings.Count(log.String(), "that of before stays"); n != 1 {
		t.Errorf("complained of %d times", n)
	}
	g.reloading.Lock()
	err := g.obey(g.current, g.tables) // as when a pool's source names others
	g.reloading.Unlock()
	if err != nil {
		t.Error(err)
	}
	goes("+491", "b")
	write(reloadText(pools, rules+`, {from: a, to: browsers}`))
	if err := g.Reload(); err == nil || !strings.Contains(err.Error(), "numbers:1: ") {
		t.Errorf("a reload with a wrong table: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventuallyIs(t, "the missing table is complained of", func() bool {
		g.lookAtTables()
		return strings.Count(log.String(), "that of before stays") == 2
	})
	goes("+491", "b")
	put("+49 a\n")
	eventuallyIs(t, "the table is back", func() bool { g.lookAtTables(); return to("+491") == "a" })
}
