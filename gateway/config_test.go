package gateway

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// least is a configuration with nothing but what must be written; in tests, lines are put behind it.
const least = `https: {listen: 127.0.0.1:0}
sip: {listen: udp://127.0.0.1:0}
pools: {pbx: {members: sip:127.0.0.2:5060}}
routes: [{from: browsers, to: pbx}, {from: pbx, to: browsers}]
`

func parse(t *testing.T, text string) (Config, error) {
	t.Helper()
	return Parse("t.yaml", []byte(text), func(name string) (string, bool) {
		value, found := map[string]string{"LEVEL": "debug", "NUMBER": "7", "EMPTY": "", "TRICK": "a: b\n- c"}[name]
		return value, found
	})
}

func TestLeastConfiguration(t *testing.T) {
	cfg, err := parse(t, least)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.rtp(); !slices.Equal(got.Address, []netip.Addr{netip.MustParseAddr("127.0.0.1")}) || got.Ports != (PortRange{20000, 29999}) {
		t.Errorf("rtp: %+v", got)
	}
	if got := cfg.mediaListen(); len(got) != 1 || got[0].String() != "0.0.0.0:40000" {
		t.Errorf("media.listen: %v", got)
	}
	if got := cfg.Pools["pbx"].sipside("pbx"); got.Order != "round-robin" || got.Probe.Every != 5*time.Second ||
		got.Probe.DownAfter != 3 || got.Probe.UpAfter != 2 || got.Members[0].Weight != 1 || got.Members[0].URI.Port != 5060 {
		t.Errorf("pool: %+v", got)
	}
	if rules := cfg.routes(nil); rules[1].Targets[0].Name != "browsers" || rules[1].Line != 4 {
		t.Errorf("rules: %+v", rules)
	}
	if m, s := cfg.Media.DSCP, cfg.SIP.DSCP; m != nil || s != nil {
		t.Errorf("dscp: %v, %v", m, s)
	}
	if cfg.node() != 1 || cfg.shutdownTimeout() != time.Minute {
		t.Errorf("node %d, shutdown %s", cfg.node(), cfg.shutdownTimeout())
	}
}

func TestValuesAreRead(t *testing.T) {
	cfg, err := parse(t, `node: ${NUMBER}
secret: "$${sixteen} characters"
shutdown-timeout: 1m30s
https:
  listen: ["http://[::1]:8080", https://127.0.0.1:8443, 127.0.0.1:9443]
  origins: https://a.example:8443
  origins-required: true
sip: {listen: [udp://10.0.0.5:5060, tcp://10.0.0.5:5060], advertise: sip.example.com}
media: {listen: [10.0.0.5:40000, "[2001:db8::1]:40000"], advertise: 203.0.113.7, tick: 0, rtp: {ports: 1024-1030, learn: any}}
pools:
  a: {order: hash, members: [sip:10.0.0.1, {uri: "sip:10.0.0.2;transport=tcp", weight: 3}], probe: off}
  c: {members: sip:10.0.0.3, probe: {down-after: 4}}
trunks: {b: {uri: sips:b.example}, d: {uri: sips:d.example, probe: {every: 30s, accept: 2xx}, drain: true}}
routes:
  - {from: browsers, domain: EXAMPLE.com, user: '^\+${NUMBER}$', to: a, register: forward, tenant: 0123}
log: {level: "${LEVEL}", format: json}
`)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Node != 7 || cfg.Secret != "${sixteen} characters" || cfg.ShutdownTimeout != 90*time.Second || cfg.Log.Level != "debug" {
		t.Errorf("%+v", cfg)
	}
	if l := cfg.HTTPS.Listen; !l[0].Plain || l[1].Plain || l[2].Plain || l[2].String() != "https://127.0.0.1:9443" || l[0].String() != "http://[::1]:8080" {
		t.Errorf("https.listen: %v", l)
	}
	if p := cfg.Pools["a"].sipside("a"); p.Probe.Every != 0 || p.Order != "hash" || p.Members[1].Weight != 3 || p.Members[0].URI.Host != "10.0.0.1" {
		t.Errorf("pool: %+v", p)
	}
	if p := cfg.Pools["c"].sipside("c").Probe; p.Every != 5*time.Second || p.DownAfter != 4 {
		t.Errorf("what a probe leaves out: %+v", p)
	}
	if unwatched, d := cfg.Trunks["b"].sipside("b"), cfg.Trunks["d"].sipside("d"); unwatched.Probe.Every != 0 || unwatched.Drain || !d.Drain ||
		d.Probe.Every != 30*time.Second || !d.Probe.Accept.Has(204) || d.Probe.Accept.Has(404) {
		t.Errorf("probes of trunks: %+v, %+v", unwatched.Probe, d.Probe)
	}
	if r := cfg.routes(nil)[0]; r.Domain != "example.com" || r.Tenant != "0123" || !r.User.MatchString("+7") || r.Line != 15 {
		t.Errorf("route: %+v", r)
	}
}

// A variable's value is a value, never YAML of its own.
func TestVariableIsNoYAML(t *testing.T) {
	cfg, err := parse(t, least+"secret: ${TRICK} 0123456789\n")
	if err != nil || cfg.Secret != "a: b\n- c 0123456789" {
		t.Errorf("%q, %v", cfg.Secret, err)
	}
}

func TestFaultsOfTheText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", least + "colour: red", `t.yaml:5:1: colour: unknown key`},
		{"nearly a key", least + "admin:\n  lisen: 127.0.0.1:0", `t.yaml:6:3: admin.lisen: unknown key; did you mean listen?`},
		{"underscore", least + "call: {try_timeout: 1s}", `t.yaml:5:8: call.try_timeout: unknown key; did you mean try-timeout?`},
		{"deep key", least + "trunks:\n  a:\n    uri: sip:a.example\n    port: 1", `t.yaml:8:5: trunks.a.port: unknown key; known here: addresses, authenticate, ca, caller, certificate, domain, drain, dtmf, emergency, expires, failover, full, hide, ice, key, learn, max-calls, max-rate, media, numbers, password, probe, redirect, refer, register, reliable, server-name, session-expires, shared, srtp, stir, strip, transcode, trust, try-timeout, uri, username, video`},
		{"key of a list", strings.Replace(least, "to: pbx", "two: pbx, to: pbx", 1), `t.yaml:4:27: routes[0].two: unknown key; did you mean to?`},
		{"twice", least + "log: {level: info}\nlog: {level: info}", `t.yaml:6:1: log: stands here a second time, after line 5`},
		{"name twice", strings.Replace(least, "pbx: {", "pbx: {members: sip:127.0.0.3}, pbx: {", 1), `pools.pbx: stands here a second time, after line 3`},
		{"name for an address", least + "admin: {listen: 'localhost:9090'}", `t.yaml:5:17: admin.listen: "localhost:9090" is not an IP address with a port`},
		{"port alone", least + "admin: {listen: ':9090'}", `admin.listen: ":9090" has no address; 0.0.0.0:9090 means all of IPv4`},
		{"name for an IP address", least + "media: {advertise: gw.example}", `media.advertise[0]: "gw.example" is not an IP address`},
		{"word for number", least + "node: one", `t.yaml:5:7: node: "one" is not a number from 0 to 65535`},
		{"quoted number", least + `node: "1"`, `t.yaml:5:7: node: "1" is not a number`},
		{"too great", least + "node: 65536", `t.yaml:5:7: node: "65536" is not a number from 0 to 65535`},
		{"word for bool", least + "media: {workers: many}", `t.yaml:5:18: media.workers: "many" is not a whole number`},
		{"yes for true", strings.Replace(least, ":0}", ":0, origins-required: yes}", 1), `t.yaml:1:48: https.origins-required: "yes" is not true or false`},
		{"number for duration", least + "shutdown-timeout: 5", `t.yaml:5:19: shutdown-timeout: "5" is not a duration`},
		{"negative duration", least + "shutdown-timeout: -5s", `is not a duration`},
		{"word for mapping", least + "log: info", `t.yaml:5:6: log: is the word info; wanted a mapping`},
		{"list for mapping", least + "log: [info]", `t.yaml:5:6: log: is a list; wanted a mapping`},
		{"mapping for word", least + "log:\n  level: {a: b}", `log.level: is a mapping; wanted a word`},
		{"list for word", least + "log:\n  level: [a, b]", `t.yaml:6:10: log.level: is a list; wanted a word`},
		{"list in list", strings.Replace(least, "127.0.0.1:0", "[[127.0.0.1:0]]", 1), `https.listen[0]: is a list`},
		{"no value", least + "log:\n", `t.yaml:5:6: log: has no value`},
		{"anchor", least + "log: &a {level: info}", `log: anchors, aliases and tags are not taken here`},
		{"merge", least + "log:\n  <<: {level: info}", `log: the key has to be a plain word`},
		{"two documents", least + "---\nlog: {level: info}", `a second document`},
		{"empty", "# nothing\n", `t.yaml: the configuration is empty`},
		{"syntax", least + "log: {level: info", `t.yaml:`},
		{"tab", least + "log:\n\tlevel: info", `t.yaml:6:`},
		{"variable", least + "\nlog: {level: \"${NOWHERE}\"}", `t.yaml:6:14: log.level: the environment variable NOWHERE is not set`},
		{"no variable", least + "\nlog: {level: \"${LEVEL:-info}\"}", `${LEVEL:-info} is not a variable`},
		{"no port", strings.Replace(least, "listen: 127.0.0.1:0", "listen: 127.0.0.1", 1), `t.yaml:1:17: https.listen[0]: "127.0.0.1" is not an IP address with a port`},
		{"no address", strings.Replace(least, "listen: 127.0.0.1:0", `listen: ":443"`, 1), `0.0.0.0:443 means all of IPv4`},
		{"host name", strings.Replace(least, "listen: 127.0.0.1:0", "listen: localhost:443", 1), `https.listen[0]: "localhost:443" is not an IP address with a port`},
		{"ws scheme", strings.Replace(least, "listen: 127.0.0.1:0", "listen: wss://127.0.0.1:0", 1), `the scheme "wss" is not https or http`},
		{"sip without scheme", strings.Replace(least, "udp://127.0.0.1:0", "127.0.0.1:5060", 1), `sip.listen[0]: say how: udp://`},
		{"sip scheme", strings.Replace(least, "udp://127.0.0.1:0", "sctp://127.0.0.1:5060", 1), `the scheme "sctp" is not udp`},
		{"ports", least + "media: {rtp: {ports: 20000}}", `t.yaml:5:22: media.rtp.ports: "20000" is not a range`},
		{"ports too great", least + "media: {rtp: {ports: 20000-70000}}", `is not a range`},
		{"regular expression", strings.Replace(least, "to: pbx", "user: '(', to: pbx", 1), `routes[0].user: error parsing regexp`},
		{"uri", strings.Replace(least, "sip:127.0.0.2:5060", "127.0.0.2:5060", 1), `pools.pbx.members[0]: "127.0.0.2:5060" is not a SIP URI`},
		{"uri with user", strings.Replace(least, "sip:127.0.0.2:5060", "sip:a@127.0.0.2:5060", 1), `names a user`},
		{"uri transport", strings.Replace(least, "sip:127.0.0.2:5060", `"sip:a;transport=ws"`, 1), `the transport "ws" is not udp`},
		{"address", least + "media: {advertise: phone.example.com}", `t.yaml:5:20: media.advertise[0]:`},
		{"toggle", least + "media: {tcp: maybe}", `t.yaml:5:14: media.tcp: "maybe" is not on or off`},
		{"two at once", least + "colour: red\nnode: one", "t.yaml:5:1: colour: unknown key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			var problems Problems
			if !errors.As(err, &problems) {
				t.Errorf("not Problems: %T", err)
			}
		})
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	_, err := parse(t, "colour: red\n"+least+"node: one\nlog: {level: 5}\n")
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "t.yaml:1:1: colour") || !strings.HasPrefix(lines[1], "t.yaml:6:7: node") {
		t.Errorf("%v", err)
	}
}

// Keys and values of later versions are refused by name, never passed over.
func TestLaterFeaturesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"networks: {inside: {sip: 1}}":                         "t.yaml:5:1: networks: networks are not in this version",
		"pools: {p: {members: sip:p, network: inside}}":        "pools.p.network: networks are not in this version",
		"https: {listen: 127.0.0.1:0, acme: {domains: [a.b]}}": "https.acme: acme is not in this version",
	} {
		key, _, _ := strings.Cut(text, ":")
		var rest []string
		for _, line := range strings.Split(least, "\n") {
			if !strings.HasPrefix(line, key+":") {
				rest = append(rest, line)
			}
		}
		if len(rest) == 5 { // the key is not in least
			text = least + text
		} else {
			text = strings.Join(rest, "\n") + text
		}
		if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tandem.yaml")
	if _, err := Load(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte(least+"node: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.HasPrefix(err.Error(), file+":5:1: node: 0 is not") {
		t.Errorf("%v", err)
	}
}
