package route

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// sample is the routes of the sample configuration.
func sample() *Table {
	return New([]Rule{
		{From: Browsers, Domain: "example.com", To: "pbx", Register: "forward", Line: 31},
		{From: "pbx", To: Browsers, Line: 32},
		{From: "pbx", User: regexp.MustCompile(`^\+`), To: "carrier", Line: 33},
		{From: Browsers, User: regexp.MustCompile(`^900`), Reject: 403, Line: 34},
	})
}

// numbersFirst is the same set with the numbers before the catch-all, and tenants.
func numbersFirst() *Table {
	return New([]Rule{
		{From: Browsers, User: regexp.MustCompile(`^900`), Reject: 403, To: "pbx", Tenant: "acme"},
		{From: "pbx", User: regexp.MustCompile(`^\+`), To: "carrier"},
		{From: Browsers, Domain: "EXAMPLE.com.", To: "pbx", Tenant: "acme"},
		{From: Browsers, Domain: "vouched.example", To: "pbx", Register: Vouch},
		{From: "pbx", To: Browsers},
	})
}

func TestRoute(t *testing.T) {
	tests := []struct {
		name  string
		table *Table
		query Query
		want  Decision // what is said of it
		why   []string // parts of the sentence
	}{
		{"browser registers", sample(), Query{From: Browsers, Domain: "example.com", Method: "REGISTER"},
			Decision{Rule: 0, To: "pbx", Register: Forward, Tenant: "example.com"}, []string{"Rule 1 (line 31)", "from browsers", "domain example.com", "leaves its registration to pbx"}},
		{"case and trailing dot of the domain", sample(), Query{From: Browsers, Domain: "Example.COM.", User: "600", Method: "INVITE"},
			Decision{Rule: 0, To: "pbx", Register: Forward, Tenant: "example.com"}, nil},
		{"the first match decides, not the best", sample(), Query{From: Browsers, Domain: "example.com", User: "9001", Method: "INVITE"},
			Decision{Rule: 0, To: "pbx", Register: Forward, Tenant: "example.com"}, nil},
		{"a backend calls a browser", sample(), Query{From: "pbx", Domain: "10.0.0.5", User: "abc", Method: "INVITE"},
			Decision{Rule: 1, To: Browsers, Register: Forward, Tenant: "10.0.0.5"}, []string{"from pbx", "to browsers"}},
		{"rejected number", sample(), Query{From: Browsers, Domain: "other.example", User: "900123", Method: "INVITE"},
			Decision{Rule: 3, Reject: 403, Tenant: "other.example"}, []string{"user matches ^900", "rejects it with 403"}},
		{"foreign domain", sample(), Query{From: Browsers, Domain: "other.example", Method: "REGISTER"},
			Decision{Rule: -1, Reject: 404, Tenant: "other.example"}, []string{"No rule of 4", "REGISTER", "browsers", `"other.example"`}},
		{"unknown origin", sample(), Query{From: "carrier", Domain: "example.com", Method: "INVITE"},
			Decision{Rule: -1, Reject: 404, Tenant: "example.com"}, nil},
		{"reject wins over to", numbersFirst(), Query{From: Browsers, Domain: "example.com", User: "900", Method: "INVITE"},
			Decision{Rule: 0, Reject: 403, Tenant: "acme"}, nil},
		{"a number to the carrier", numbersFirst(), Query{From: "pbx", Domain: "10.0.0.5", User: "+4930", Method: "INVITE"},
			Decision{Rule: 1, To: "carrier", Register: Forward, Tenant: "10.0.0.5"}, []string{"Rule 2 is"}},
		{"tenant of the rule", numbersFirst(), Query{From: Browsers, Domain: "example.com", Method: "REGISTER"},
			Decision{Rule: 2, To: "pbx", Register: Forward, Tenant: "acme"}, nil},
		{"a REGISTER has no user, so a user rule passes it by", numbersFirst(), Query{From: Browsers, Domain: "vouched.example", Method: "REGISTER"},
			Decision{Rule: 3, To: "pbx", Register: Vouch, Tenant: "vouched.example"}, []string{"vouches for it and registers it at pbx"}},
		{"the gateway is the registrar", New([]Rule{{To: "pbx", Register: Local}}), Query{From: Browsers, Method: "REGISTER"},
			Decision{Rule: 0, To: "pbx", Register: Local}, []string{"it registers it here."}},
		{"no rules at all", New(nil), Query{From: Browsers, Domain: "example.com"},
			Decision{Rule: -1, Reject: 404, Tenant: "example.com"}, []string{"No rule of 0"}},
		{"a rule without conditions", New([]Rule{{To: "pbx"}}), Query{From: "x"},
			Decision{Rule: 0, To: "pbx", Register: Forward}, []string{"it has no conditions"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.table.Route(tt.query)
			why := got.Why()
			if !strings.HasSuffix(why, ".") || strings.Contains(why, "\n") {
				t.Errorf("Why is not a sentence: %q", why)
			}
			for _, part := range tt.why {
				if !strings.Contains(why, part) {
					t.Errorf("Why lacks %q: %q", part, why)
				}
			}
			if d := (Decision{Rule: got.Rule, To: got.To, Reject: got.Reject, Register: got.Register, Tenant: got.Tenant}); !reflect.DeepEqual(d, tt.want) {
				t.Errorf("got  %+v\nwant %+v", d, tt.want)
			}
		})
	}
}

func TestTableKeepsNoCallersSlice(t *testing.T) {
	rules := []Rule{{From: Browsers, To: "pbx"}}
	table := New(rules)
	rules[0].To = "elsewhere"
	if d := table.Route(Query{From: Browsers}); d.To != "pbx" {
		t.Errorf("the table changed under its user: %s", d.To)
	}
}
