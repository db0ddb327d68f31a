package numbers

import (
	"regexp"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	german := Plan{Country: "49", National: "0", International: "00"}
	with := func(p Plan, f Format) Plan { p.Format = f; return p }
	american := Plan{Country: "1", National: "1", International: "011", Format: National}
	ruled := Plan{
		Format: E164,
		In:     []Rule{{regexp.MustCompile(`^9(\d+)$`), "+4930$1"}, {regexp.MustCompile(`^(\d{3})$`), "ext$1"}},
		Out:    []Rule{{regexp.MustCompile(`^\+4930(\d+)$`), "$1"}},
	}
	for _, test := range []struct {
		name                 string
		plan                 Plan
		user, heard, written string
	}{
		{"nothing is said", Plan{}, "030123456", "030123456", "030123456"},
		{"national", with(german, E164), "030123456", "+4930123456", "+4930123456"},
		{"international", with(german, E164), "0044201234567", "+44201234567", "+44201234567"},
		{"separators", with(german, Plain), "+49(30)123-45.6", "+4930123456", "4930123456"},
		{"plain", with(german, Plain), "4930123456", "+4930123456", "4930123456"},
		{"to international", with(german, International), "+4930123456", "+4930123456", "004930123456"},
		{"to national", with(german, National), "+4930123456", "+4930123456", "030123456"},
		{"abroad", with(german, National), "+44201234567", "+44201234567", "0044201234567"},
		{"a short code", with(german, E164), "112", "112", "112"},
		{"a short code that begins with the prefix", american, "112", "112", "112"},
		{"an American number", american, "12125551234", "+12125551234", "12125551234"},
		{"a name", with(german, National), "alice.b-c", "alice.b-c", "alice.b-c"},
		{"a plus alone", with(german, National), "+", "+", "+"},
		{"nothing", with(german, National), "", "", ""},
		{"parameters", with(german, National), "+4930123456;npdi;rn=+49", "+4930123456;npdi;rn=+49", "030123456;npdi;rn=+49"},
		{"a rule of theirs", ruled, "9123", "+4930123", "9123"},
		{"the second rule", ruled, "600", "ext600", "600"},
		{"a rule of ours", ruled, "+4930123456", "+4930123456", "123456"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.plan.Heard(test.user); got != test.heard {
				t.Errorf("heard %q is %q, not %q", test.user, got, test.heard)
			}
			if got := test.plan.Written(test.user); got != test.written {
				t.Errorf("%q is written %q, not %q", test.user, got, test.written)
			}
		})
	}
}

// What was written for a peer means the same when it says it.
func FuzzPlan(f *testing.F) {
	for _, user := range []string{"+4930123456", "030123456", "0044201234567", "112", "alice", "+49(30)1-2.3;isub=1", ""} {
		f.Add(user)
	}
	f.Fuzz(func(t *testing.T, user string) {
		for _, format := range []Format{E164, International, National, Plain} {
			p := Plan{Country: "49", National: "0", International: "00", Format: format}
			global := p.Heard(user)
			number, _ := cut(global)
			if len(number) < least+8 || number[0] != '+' || number[1] == '0' || strings.HasPrefix(number, "+490") {
				continue // no number of E.164
			}
			if again := p.Heard(p.Written(global)); again != global {
				t.Errorf("%s: %q is written %q and heard as %q", format, global, p.Written(global), again)
			}
		}
	})
}
