package gateway

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// many is a configuration with two pools, two trunks and one route.
const many = `https: {listen: 127.0.0.1:0}
sip: {listen: "udp://127.0.0.1:0"}
pools: {pbx: {members: ["sip:127.0.0.2"]}, other: {members: ["sip:127.0.0.3"]}}
trunks: {a: {uri: "sip:127.0.0.4"}, b: {uri: "sip:127.0.0.5"}}
identity: {tokens: {secret: 01234567890123456789012345678901}}
routes:
  - {ROUTE}
`

// tableFiles are files of prefixes; DIR in a route is their folder.
func tableFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good": "+49 a b\n+43 b\n+41 !404\n+42 -\n", "silent": "+49\n", "pools": "+49 pbx\n",
		"bad": "+49 a\n+43 carrier\n+49 b\n+4\x01 a\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFaultsOfRoutes(t *testing.T) {
	t.Parallel()
	dir := tableFiles(t)
	for route, want := range map[string]string{
		"to: [a, nobody]":                                       `t.yaml:7:14: routes[0].to[1]: "nobody" is not one of browsers`,
		"to: [a, a]":                                            `routes[0].to[1]: a is listed twice`,
		"to: {priority: 1}":                                     `routes[0].to.name: is missing`,
		"to: {name: a, weight: -1}":                             `routes[0].to.weight: -1 is not between 1 and 1000`,
		"to: {name: a, priority: 1001}":                         `routes[0].to.priority: 1001 is not between`,
		"to: browsers, register: vouch":                         `routes[0].register: vouch needs a route from browsers to a pool or trunk`,
		"reject: 403, fallback: true":                           `routes[0].fallback: is for targets that cannot be reached`,
		"domain: '*.'":                                          `routes[0].domain: "*." is not a domain`,
		"prefix: '', to: a":                                     `routes[0].prefix[0]: "" is not a prefix`,
		"from-prefix: ['1', 'a b'], to: a":                      `routes[0].from-prefix[1]: "a b" is not a prefix`,
		"from-user: '(', to: a":                                 `routes[0].from-user: error parsing regexp`,
		"header: {'X Y': 'a'}, to: a":                           `routes[0].header.X Y: "X Y" is not the name of a header`,
		"header: {X-A: '('}, to: a":                             `routes[0].header.X-A: error parsing regexp`,
		"from: a, claim: {x: 'y'}, to: b":                       `routes[0].claim: only browsers have tokens`,
		"time: {zone: UTC}, to: a":                              `routes[0].time[0]: has neither days nor hours`,
		"time: {zone: Moon/Dark}, to: a":                        `routes[0].time[0].zone: "Moon/Dark" is not a time zone`,
		"time: {days: monday}, to: a":                           `routes[0].time[0].days[0]: "monday" is not a day`,
		"time: {hours: 8-9}, to: a":                             `routes[0].time[0].hours[0]: "8-9" is not a time of the day`,
		"table: DIR/none, to: a":                                `routes[0].table: open DIR/none: no such file`,
		"table: DIR/bad, to: a":                                 `t.yaml:7:6: routes[0].table: DIR/bad:2: "carrier" is no pool or trunk`,
		"from-table: DIR/bad":                                   `routes[0].from-table: DIR/bad:4: "+4\x01" is not a prefix`,
		"table: DIR/silent":                                     `routes[0]: has neither to nor reject, and its table has prefixes`,
		"to: a, rewrite: {strip: 65}":                           `routes[0].rewrite.strip: 65 is not between`,
		"to: a, rewrite: {user: 1, strip: 1}":                   `routes[0].rewrite.user: stands beside strip or prepend`,
		"to: a, rewrite: {user: 'a$1'}":                         `routes[0].rewrite.user: $1 is a group that the expression has not (0)`,
		"to: a, rewrite: {user: 'a b'}":                         `routes[0].rewrite.user: "a b" cannot be a user`,
		"to: a, rewrite: {user: \"a\\r\\nb\"}":                  `routes[0].rewrite.user: "a\r\nb" has control characters`,
		"to: a, rewrite: {prepend: \"a\\nb\"}":                  `routes[0].rewrite.prepend: "a\nb" cannot be a user`,
		"to: a, rewrite: {domain: 'a b'}":                       `routes[0].rewrite.domain: "a b" is not a domain`,
		"to: a, rewrite: {from-domain: 'x@y'}":                  `routes[0].rewrite.from-domain: "x@y" is not a domain`,
		"to: a, rewrite: {from-user: '$1'}":                     `routes[0].rewrite.from-user: $1 is a group`,
		"to: a, headers: {set: {Via: x}}":                       `routes[0].headers.set.Via: Via is made by each leg for itself`,
		"to: a, headers: {add: {t: x}}":                         `routes[0].headers.add.t: "t" is a short form`,
		"to: a, headers: {set: {X-A: \"a\\r\\nX-B: 1\"}}":       `routes[0].headers.set.X-A: "a\r\nX-B: 1" has control characters`,
		"to: a, headers: {set: {\"X-A\\r\\nB\": 1}}":            `is not the name of a header`,
		"to: a, headers: {remove: Contact}":                     `routes[0].headers.remove[0]: Contact is made by each leg`,
		"from: browsers, to: pbx, rewrite: {domain: x.example}": `routes[0].rewrite: a browser's password check at pbx covers the Request-URI`,
		"from: browsers, table: DIR/pools, rewrite: {strip: 1}": `routes[0].rewrite: a browser's password check at pbx`,
	} {
		_, err := Parse("t.yaml", []byte(strings.ReplaceAll(strings.Replace(many, "ROUTE", route, 1), "DIR", dir)), os.LookupEnv)
		if want = strings.ReplaceAll(want, "DIR", dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwant %s", route, err, want)
		}
	}
	for _, route := range []string{
		"from: browsers, to: pbx, register: vouch, rewrite: {domain: x.example}", "from: browsers, to: [a, b], rewrite: {strip: 1}",
		"from: browsers, to: pbx, rewrite: {from-user: alice}", "from: browsers, to: [pbx, a], register: vouch", "table: DIR/good", "table: DIR/silent, reject: 403",
		"from: a, domain: '*.example.com', to: [browsers, pbx]", "claim: {a.b: 'x'}, to: a", "time: [{days: sat-sun}, {hours: 18:00-08:00}], to: a",
	} {
		if _, err := Parse("t.yaml", []byte(strings.ReplaceAll(strings.Replace(many, "ROUTE", route, 1), "DIR", dir)), os.LookupEnv); err != nil {
			t.Errorf("%s: %v", route, err)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(strings.Replace(many, "{ROUTE}", `{from: browsers, user: '^900', reject: 403}
  - {from: browsers, table: DIR/good, time: {days: mon-fri, zone: UTC}, fallback: true, rewrite: {strip: 1, prepend: "00", from-domain: own.example}, headers: {set: {X-A: '$0'}, remove: X-B}}
  - {from: browsers, claim: {role: '^agent$'}, header: {x-team: blue}, to: [{name: a, weight: 3, priority: 1}, {name: b, priority: 1}, pbx], register: vouch}
  - {from: pbx, from-user: '^alice$', to: browsers}`, 1), "DIR", tableFiles(t))
	cfg, err := Parse("t.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		q    Question
		want []string
	}{
		{Question{Origin: "browsers", To: "9%300"}, []string{"rule 1 (line 7) yes: ", "Rule 1 (line 7) is the first", "rejects it with 403"}},
		{Question{Origin: "browsers", To: "tel:+49-30-1", At: friday}, []string{"rule 1 (line 7) no:  user \"+49301\" does not match ^900", "longest prefix +49", "a, then b",
			"  user: 0049301\n", "  From domain: own.example\n", "  set X-A: +49301\n", "  remove: X-B\n", "rule 4 (line 10) no:"}},
		{Question{Origin: "browsers", To: "+411@example.com", At: friday}, []string{"Rule 2 (line 8)", "rejects it with 404"}},
		{Question{Origin: "browsers", To: "+49", At: friday.Add(24 * time.Hour)}, []string{"Sat 12:00 UTC is not within", "No rule of 4 matches a request of INVITE from browsers"}},
		{Question{Origin: "browsers", To: "x", Claims: map[string][]string{"role": {"agent"}}, Headers: map[string][]string{"X-TEAM": {"blue"}}},
			[]string{"Rule 3 (line 9)", "sends it to a (weight 3) or b, then pbx"}},
		{Question{Origin: "pbx", To: "sip:600@example.com", From: "alice@pbx.example"}, []string{"Rule 4 (line 10)", "sends it to browsers"}},
		{Question{Origin: "pbx", To: "sip:600@example.com", From: "alice@pbx.example", Method: "REGISTER"}, []string{"Rule 4 (line 10)", "sends it to browsers"}},
		{Question{Origin: "browsers", To: "900@example.com", Method: "REGISTER"}, []string{`rule 1 (line 7) no:  user "" does not match ^900`,
			"a request of REGISTER from browsers"}},
		{Question{Origin: "pbx", To: "alice@example.com", Method: "REGISTER"}, []string{"From user matches ^alice$"}},
		{Question{Origin: "pbx", To: "600@example.com", From: "bob"}, []string{`From user "bob" does not match ^alice$`, `for user "600" at domain "example.com"`}},
	} {
		var out bytes.Buffer
		if err := cfg.Explain(c.q, &out); err != nil {
			t.Errorf("%+v: %v", c.q, err)
		}
		for _, part := range c.want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%+v: no %q in\n%s", c.q, part, out.String())
			}
		}
	}
	for _, q := range []Question{{Origin: "nobody", To: "1"}, {Origin: "pbx", To: "sip:"}, {Origin: "pbx", To: "1", From: "sip:@"}, {Origin: "pbx"}} {
		if err := cfg.Explain(q, &bytes.Buffer{}); err == nil {
			t.Errorf("%+v: no error", q)
		}
	}
}
