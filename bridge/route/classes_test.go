package route

import (
	"regexp"
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	t.Parallel()
	table, err := ParsePrefixes("table", []byte("+4915\n+4916\n+49169 -\n"), func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	classes := NewClasses([]Class{
		{Name: "national", Prefix: []string{"+49", "0"}}, {Name: "premium", Prefix: []string{"+49-900", "+882"}},
		{Name: "mobile", Table: table}, {Name: "again", Prefix: []string{"+49"}},
	})
	for user, want := range map[string]string{
		"+4930123": "national", "+49900123": "premium", "%2B49900123": "premium", "+49-900-123": "premium", "+49900;phone-context=x": "premium",
		"+4915112": "mobile", "+4916912": "national", "+88213": "premium", "0301": "national", "+1212": "", "alice": "", "": "", "+4": "",
	} {
		if got := classes.Of(user); got != want {
			t.Errorf("%q is %q, wanted %q", user, got, want)
		}
	}
}

// A rule lets through the classes that it names, of the number that goes on; other rules have nothing to say then.
func TestAllowedClasses(t *testing.T) {
	t.Parallel()
	classes := NewClasses([]Class{{Name: "national", Prefix: []string{"+49"}}, {Name: "premium", Prefix: []string{"+49900"}}})
	table := New([]Rule{
		{From: "browsers", Prefix: []string{"00"}, To: "carrier", Allowed: []string{"national"}, Classes: classes, Rewrite: Rewrite{Strip: 2, Prepend: "+"}},
		{From: "browsers", Claims: []Pattern{{"role", regexp.MustCompile("^boss$")}}, To: "carrier", Allowed: []string{"national", "premium"}, Classes: classes},
		{From: "browsers", To: "carrier", Allowed: []string{"national"}, Classes: classes, Fallback: true},
		{To: "pbx"},
	})
	for _, c := range []struct {
		user, role, method string
		rule, reject       int
	}{
		{"+4930", "", "INVITE", 2, 0}, {"+49900", "", "INVITE", 2, 403}, {"+49900", "boss", "INVITE", 1, 0}, {"+1", "boss", "INVITE", 1, 403},
		{"004930", "", "INVITE", 0, 0}, {"0049900", "boss", "INVITE", 0, 403}, {"%2B49%2D900", "", "INVITE", 2, 403},
		{"+49900", "", "MESSAGE", 2, 403}, {"", "", "REGISTER", 2, 0},
	} {
		d := table.Route(Query{From: "browsers", User: c.user, Method: c.method, Claim: func(string) []string { return []string{c.role} }})
		if d.Rule != c.rule || d.Reject != c.reject {
			t.Errorf("%+v: rule %d, status %d", c, d.Rule, d.Reject)
		}
		if _, more := d.Next(); more && d.Reject != 0 {
			t.Errorf("%+v: the next rule has its turn", c)
		}
		if why := d.Why(); d.Reject != 0 && !strings.Contains(why, "is of ") {
			t.Errorf("%+v: %s", c, why)
		}
	}
}
