package route

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func randomNumber(r *rand.Rand) string {
	b := []byte(pick(r, "", "", "+", "0", "00"))
	for range r.IntN(7) {
		b = append(b, "01234"[r.IntN(5)])
	}
	return string(b)
}

// randomExpression has literals, classes, groups, options and repetitions, anchored or not.
func randomExpression(r *rand.Rand) *regexp.Regexp {
	var part func(depth int) string
	part = func(depth int) string {
		switch n := r.IntN(9); {
		case n < 3 || depth == 0:
			return regexp.QuoteMeta(randomNumber(r))
		case n == 3:
			return pick(r, "[0-3]", `\d`, "[^1]", ".", "[+0]", "[a-z]", "(?i)a", `\b`)
		case n == 4:
			return "(" + part(depth-1) + "|" + part(depth-1) + ")"
		case n == 5:
			return "(?:" + part(depth-1) + ")" + pick(r, "?", "*", "+", "{2}", "{1,3}", "{0,2}")
		case n == 6:
			return "(" + pick(r, "^", "") + part(depth-1) + ")"
		default:
			return part(depth-1) + part(depth-1)
		}
	}
	return regexp.MustCompile(pick(r, "^", "^", "^", "") + part(3) + pick(r, "", "$"))
}

func randomRule(t *testing.T, r *rand.Rand) Rule {
	rule := Rule{To: "pbx", From: pick(r, "", "browsers", "pbx"), Domain: pick(r, "", "", "a.example", "*.example", "*.b.example", "B.example")}
	switch r.IntN(5) {
	case 0, 1:
		rule.User = randomExpression(r)
	case 2:
		for range 1 + r.IntN(3) {
			rule.Prefix = append(rule.Prefix, randomNumber(r))
		}
	case 3:
		var text strings.Builder
		seen := map[string]bool{}
		for range r.IntN(8) {
			if n := randomNumber(r); n != "" && !seen[n] {
				seen[n] = true
				fmt.Fprintln(&text, n, pick(r, "", "a", "!404", "-"))
			}
		}
		rule.Table = parsed(t, text.String())
	}
	if r.IntN(6) == 0 {
		rule.FromUser = randomExpression(r)
	}
	rule.Fallback = r.IntN(4) == 0
	return rule
}

// The index leaves out no rule that would decide: it says what asking one after another says.
func TestIndexDecidesAsTheLinearScan(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 11))
	decided := 0
	for range 150 {
		var rules []Rule
		for range r.IntN(40) {
			rules = append(rules, randomRule(t, r))
		}
		table := New(rules)
		for range 80 {
			q := Query{
				From: pick(r, "browsers", "pbx", "trunk", ""), Domain: pick(r, "a.example", "b.example", "c.b.example", "example", "", "x.y.B.EXAMPLE."),
				User: randomNumber(r) + pick(r, "", "", "a", "\xff"), FromUser: randomNumber(r), After: max(r.IntN(10)-5, 0),
			}
			got := table.Route(q)
			_, ds := table.Explain(q)
			if want := ds[0]; got.Rule != want.Rule || got.To != want.To || got.Reject != want.Reject {
				t.Fatalf("%+v\nindex: %s\nscan:  %s", q, got.Why(), want.Why())
			}
			if got.Rule >= 0 {
				decided++
			}
		}
	}
	if decided < 1000 {
		t.Errorf("only %d queries were decided by a rule: the test tells nothing", decided)
	}
}

func TestLiteralPrefixes(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`^900`:             "900",
		`^\+49(30|40)\w+$`: "+4930 +4940",
		`^(\+|00)49[12]`:   "+491 +492 00491 00492",
		`^(?:\+49|0049)`:   "+49 0049",
		`^00?1`:            "01 001",
		`^(1|)2`:           "12 2",
		`^1+2`:             "1",
		`^a{2}b`:           "aab",
		`^[0-9]{2}`:        "0 1 2 3 4 5 6 7 8 9", // two would be too many
		`(^1)2`:            "12",
		`^1|^2`:            "1 2",
		`^1|2`:             "",
		`900`:              "",
		`(?i)^ab`:          "",
		`(?m)^1`:           "",
		`^`:                "",
		`.*`:               "",
		`^\d`:              "0 1 2 3 4 5 6 7 8 9",
		`^1*2`:             "",
		`x^1`:              "",
		"^\ufffd":          "",
	} {
		got := strings.Join(literalPrefixes(expression), " ")
		if strings.TrimSpace(got) != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}
