package route

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func named(pairs map[string][]string) func(string) []string {
	return func(name string) []string { return pairs[name] }
}

// Each condition for itself: a query that meets it, one that does not, and what is said of that.
func TestConditions(t *testing.T) {
	t.Parallel()
	office := Window{Days: 0b0111110, Hours: []Hours{{8 * 60, 18 * 60}}, Zone: time.UTC}
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) // a Friday
	table := parsed(t, "+49 pbx\n+49900 !403\n+49800 -\n+43\n")
	for _, c := range []struct {
		name    string
		rule    Rule
		yes, no Query
		says    string
	}{
		{"prefix", Rule{Prefix: []string{"0900", "+49-900"}}, Query{User: "+49900123"}, Query{User: "+4990"}, `user "+4990" does not begin with 0900`},
		{"plain prefix", Rule{Prefix: []string{"900"}}, Query{User: "%390-0(0)1;npdi"}, Query{User: "90a"}, "does not begin"},
		{"expression", Rule{User: regexp.MustCompile(`^9\d+$`)}, Query{User: "9%31"}, Query{User: "91x"}, `does not match ^9\d+$`},
		{"caller's prefix", Rule{FromPrefix: []string{"al"}}, Query{FromUser: "alice"}, Query{FromUser: "bob"}, `From user "bob"`},
		{"caller", Rule{FromUser: regexp.MustCompile(`ice$`)}, Query{FromUser: "alice"}, Query{User: "alice"}, `From user ""`},
		{"table", Rule{Table: table}, Query{User: "+4930"}, Query{User: "+4980012"}, "is not in numbers"},
		{"caller's table", Rule{FromTable: table}, Query{FromUser: "+4312"}, Query{FromUser: "+412"}, "is not in numbers"},
		{"domain below", Rule{Domain: "*.Example.com"}, Query{Domain: "a.b.example.com."}, Query{Domain: "example.com"}, "domain *.example.com"},
		{"domain beside", Rule{Domain: "*.example.com"}, Query{Domain: "a.example.com"}, Query{Domain: "badexample.com"}, "domain"},
		{"header", Rule{Headers: []Pattern{{"X-Team", regexp.MustCompile("^blue$")}}},
			Query{Header: named(map[string][]string{"X-Team": {"red", "blue"}})}, Query{}, `header X-Team [""] does not match ^blue$`},
		{"no header", Rule{Headers: []Pattern{{"X-Team", regexp.MustCompile("^$")}}},
			Query{}, Query{Header: named(map[string][]string{"X-Team": {"red"}})}, "header X-Team"},
		{"claim", Rule{Claims: []Pattern{{"role", regexp.MustCompile("^agent$")}}},
			Query{Claim: named(map[string][]string{"role": {"agent"}})}, Query{Header: named(map[string][]string{"role": {"agent"}})}, "claim role"},
		{"time", Rule{Times: []Window{office}}, Query{At: noon}, Query{At: noon.Add(24 * time.Hour)}, "Sat 12:00 UTC is not within mon,tue,wed,thu,fri 08:00-18:00 in UTC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rule.To = "pbx"
			table := New([]Rule{c.rule})
			if d := table.Route(c.yes); d.Rule != 0 {
				t.Errorf("no match: %s", d.Why())
			}
			if d := table.Route(c.no); d.Rule != -1 {
				t.Errorf("a match: %s", d.Why())
			}
			steps, _ := table.Explain(c.no)
			if len(steps) != 1 || !strings.Contains(steps[0].Says, c.says) {
				t.Errorf("explained as %+v, want %q", steps, c.says)
			}
			if steps, ds := table.Explain(c.yes); len(steps) != 1 || !steps[0].Matches || ds[0].Rule != 0 {
				t.Errorf("explained as %+v", steps)
			}
		})
	}
}

func TestTableDecides(t *testing.T) {
	t.Parallel()
	table := New([]Rule{{Table: parsed(t, "+49 a b\n+49900 !403\n+49800 -\n+43\n"), To: "own"}, {To: "rest"}})
	for user, want := range map[string]Decision{
		"+4930":    {Rule: 0, To: "a"},
		"+4990012": {Rule: 0, Reject: 403},
		"+49800":   {Rule: 1, To: "rest"},
		"+431":     {Rule: 0, To: "own"},
		"+1":       {Rule: 1, To: "rest"},
		"":         {Rule: 1, To: "rest"},
	} {
		if d := table.Route(Query{User: user}); d.Rule != want.Rule || d.To != want.To || d.Reject != want.Reject {
			t.Errorf("%s: %s", user, d.Why())
		}
	}
	d := table.Route(Query{User: "+4930"})
	if got := d.Order(); !reflect.DeepEqual(got, []string{"a", "b"}) || !strings.Contains(d.Why(), "longest prefix +49") || !strings.Contains(d.Why(), "a, then b") {
		t.Errorf("%v: %s", got, d.Why())
	}
}

// Targets of one priority share by weight; each is in every order, those of a lower priority first.
func TestOrder(t *testing.T) {
	t.Parallel()
	d := New([]Rule{{Targets: []Target{{"last", 2, 9}, {"a", 1, 3}, {"b", 1, 1}}}}).Route(Query{})
	first := map[string]int{}
	for range 4000 {
		got := d.Order()
		if len(got) != 3 || got[2] != "last" || got[0] == got[1] {
			t.Fatalf("order %v", got)
		}
		first[got[0]]++
	}
	if first["a"] < 2800 || first["a"] > 3200 {
		t.Errorf("shares %v of 3 to 1", first)
	}
}

func TestFallback(t *testing.T) {
	t.Parallel()
	table := New([]Rule{{Prefix: []string{"1"}, To: "a", Fallback: true}, {Prefix: []string{"2"}, To: "b"}, {To: "c", Fallback: true}})
	q := Query{User: "12"}
	var to []string
	for more := true; more; {
		d := table.Route(q)
		to = append(to, d.To)
		q, more = d.Next()
	}
	if !reflect.DeepEqual(to, []string{"a", "c", ""}) {
		t.Errorf("%v", to)
	}
	if _, ds := table.Explain(Query{User: "12"}); len(ds) != 2 || ds[1].To != "c" {
		t.Errorf("explained %+v", ds)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	night, err := ParseHours("22:00-06:00")
	if err != nil {
		t.Fatal(err)
	}
	friday, err := ParseDays("fri")
	if err != nil {
		t.Fatal(err)
	}
	w := Window{Days: friday, Hours: []Hours{night}}
	for at, want := range map[string]bool{
		"2026-11-20T21:59:59Z": false, "2026-11-20T22:00:00Z": true, "2026-11-21T05:59:59Z": true,
		"2026-11-21T06:00:00Z": false, "2026-11-21T23:00:00Z": false, "2026-11-20T01:00:00Z": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if w.Contains(when) != want {
			t.Errorf("%s: %v", at, !want)
		}
	}
	weekend, err := ParseDays("Sat-Mon")
	if err != nil || weekend != 1<<6|1<<0|1<<1 {
		t.Errorf("sat-mon: %b, %v", weekend, err)
	}
	for _, bad := range []string{"", "8-9", "08:00", "08:00-25:00", "10:00-10:00", "24:00-08:00", "8:00-9:00"} {
		if h, err := ParseHours(bad); err == nil {
			t.Errorf("%q is %v", bad, h)
		}
	}
	for _, bad := range []string{"", "monday", "mon-", "-fri"} {
		if d, err := ParseDays(bad); err == nil {
			t.Errorf("%q is %b", bad, d)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"alice": "alice", "al-ice.b": "al-ice.b", "+49-30(0)1.2": "+4930012", "%2B4930": "+4930", "9%30%30": "900",
		"900;phone-context=x": "900", "a;b": "a;b", "%0d%0a": "%0d%0a", "%25": "%25", "%2": "%2", "": "", "%zz": "%zz", "*31#": "*31#",
		"(0)900": "0900", "--": "--", "%61lice": "alice", "%+1": "%+1",
	} {
		if got := Plain(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
		if twice := Plain(Plain(in)); twice != want {
			t.Errorf("%q: %q the second time", in, twice)
		}
	}
}
