package gateway

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/gateway/guard"
)

func TestGuardOfTheConfiguration(t *testing.T) {
	standard := Guard{}.guard()
	if standard.Off || standard.Requests.Rate == 0 || standard.Failures.Identity == 0 || standard.Bans.First == 0 || standard.Bans.UDP ||
		standard.Answer || len(standard.Scanners) == 0 {
		t.Errorf("by default: %+v", standard)
	}
	for text, change := range map[string]func(*guard.Config){
		"guard: on":  func(*guard.Config) {},
		"guard: off": func(c *guard.Config) { *c = guard.Config{Off: true} },
		"guard: {requests: off, identity: {rate: 0.5, burst: 2}}": func(c *guard.Config) {
			c.Requests, c.Identity = guard.Limit{}, guard.Limit{Rate: 0.5, Burst: 2}
		},
		"guard: {handshakes: {burst: 7}}": func(c *guard.Config) { c.Handshakes.Burst = 7 },
		"guard: {failures: {identity: 0, within: 1m}, bans: {first: 1m, udp: true}}": func(c *guard.Config) {
			c.Failures.Identity, c.Failures.Within, c.Bans.First, c.Bans.UDP = 0, time.Minute, time.Minute, true
		},
		"guard: {scanners: [], strangers: refuse, allow: 192.0.2.0/24}": func(c *guard.Config) {
			c.Scanners, c.Answer, c.Allow = []string{}, true, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		},
	} {
		cfg, err := Parse("t.yaml", []byte(reloadText(onePool, oneRoute)+text+"\n"), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want := standard
		change(&want)
		if got := cfg.Guard.guard(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v, want\n%+v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"guard: maybe":                                  `is not on or off, nor {requests`,
		"guard: {requests: on}":                         `guard.requests: "on" is not off, nor {rate, burst}`,
		"guard: {requests: {burst: -1}}":                `guard.requests.burst: -1 is not between`,
		"guard: {requests: {rate: -1}}":                 `guard.requests.rate: "-1" is not a number a second`,
		"guard: {strangers: shout}":                     `guard.strangers: "shout" is not one of silent, refuse`,
		"guard: {failures: {address: -3}}":              `guard.failures.address: -3 is not between`,
		"guard: {failures: {within: 1ms}}":              `guard.failures.within: 1ms is not between`,
		"guard: {bans: {first: 2h, longest: 1h}}":       `guard.bans.longest: 1h0m0s is less than first`,
		"guard: {scanners: [a]}":                        `guard.scanners[0]: "a" is in too many User-Agents`,
		"guard: {allow: 192.0.2.1/24}":                  `guard.allow[0]: 192.0.2.1/24 has bits behind`,
		"guard: {limit: 1}":                             `guard.limit: unknown key`,
		"guard: {requests: {rate: 5, burst: 10000000}}": `guard.requests.burst: 10000000 is not between`,
	} {
		_, err := Parse("t.yaml", []byte(reloadText(onePool, oneRoute)+text+"\n"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v, want\n%s", text, err, want)
		}
	}
}

// An operator sees, makes and lifts bans; a page of another site does not. A reload of `guard` keeps them.
func TestOperatorBansAndLifts(t *testing.T) {
	t.Parallel()
	g, write, _ := reloadable(t, reloadText(onePool, oneRoute))
	eventuallyIs(t, "ready", g.isReady)
	ask := func(method, query string, headers ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, g.AdminURL()+"/api/bans?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			req.Header.Set("Sec-Fetch-Site", h)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body) // an empty one fails the test below
		return res.StatusCode, string(text)
	}
	const alice = "sip:alice@example.com"
	for _, c := range []struct {
		method, query string
		status        int
		want          string
	}{
		{"GET", "", 200, `{"bans":[]}`},
		{"POST", "address=192.0.2.1&for=1h", 200, `"address":"192.0.2.1/32","why":"operator"`},
		{"POST", "address=2001:db8::5&for=90m&identity=" + url.QueryEscape(alice), 200, `"address":"2001:db8::/64","identity":"` + alice + `"`},
		{"POST", "address=nobody&for=1h", 400, "not an IP address"},
		{"POST", "address=192.0.2.1&for=ever", 400, "not a duration"},
		{"POST", "address=192.0.2.1&for=-1h", 400, "not a duration"},
		{"DELETE", "address=192.0.2.2", 404, "no such ban"},
		{"DELETE", "", 400, "not an IP address"},
		{"DELETE", "address=2001:db8::77&identity=" + url.QueryEscape(alice), 200, `{"lifted": 1}`},
	} {
		if status, text := ask(c.method, c.query); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.query, status, text)
		}
	}
	for _, method := range []string{"POST", "DELETE"} {
		if status, _ := ask(method, "address=192.0.2.1&for=1h", "cross-site"); status != 403 {
			t.Errorf("%s of another site: %d", method, status)
		}
	}
	write(reloadText(onePool, oneRoute) + "guard: {bans: {first: 1m}}\n")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	_, text := ask("GET", "")
	var listed struct{ Bans []Ban }
	if err := json.Unmarshal([]byte(text), &listed); err != nil || len(listed.Bans) != 1 || g.guard.Connection(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("after a reload: %v %s", err, text)
	}
	write(reloadText(onePool, oneRoute) + "guard: off\n")
	if err := g.Reload(); err != nil || !g.guard.Connection(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("a guard that is off keeps somebody out: %v", err)
	}
}

// A scanner's HTTP request is answered with nothing, and the next one does not connect; the members of pools are never kept out.
func TestScannersSeeNoPage(t *testing.T) {
	t.Parallel()
	g, _, _ := reloadable(t, reloadText(onePool, oneRoute))
	eventuallyIs(t, "ready", g.isReady)
	get := func(agent string) (int, error) {
		req, err := http.NewRequest(http.MethodGet, g.URLs()[0]+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", agent)
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		res.Body.Close()
		return res.StatusCode, nil
	}
	if status, err := get("Mozilla/5.0"); status != 200 {
		t.Fatalf("a browser: %d %v", status, err)
	}
	if status, err := get("Mozilla/5.0 zgrab/0.x"); err == nil {
		t.Errorf("a scanner: %d", status)
	}
	if status, err := get("Mozilla/5.0"); err == nil {
		t.Errorf("from a scanner's address: %d", status)
	}
	if s := g.guard.Stats(); s.Banned["scanning"] != 1 || s.Refused["scanner"] != 1 || s.Refused["banned-address"] == 0 {
		t.Errorf("%+v", s)
	}
	if !g.guard.Connection(netip.MustParseAddr("127.0.0.3")) || !g.spared(netip.MustParseAddr("127.0.0.3")) {
		t.Error("a member is not spared")
	}
}
