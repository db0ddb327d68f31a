package gateway

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"tandem/bridge/admission"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("t.yaml", []byte(least+`limits: {calls: 2000, rate: 50, user: {calls: 5, rate: 0.5}, source: {calls: 100, rate: 20, except: 10.0.0.0/8},
  cpu: 90%, memory: 85.5%, ports: 5%, full: 486, emergency: "112"}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := admission.Limits{
		Process: admission.Cap{Calls: 2000, Rate: 50}, User: admission.Cap{Calls: 5, Rate: 0.5}, Source: admission.Cap{Calls: 100, Rate: 20},
		Except: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, CPU: 0.9, Memory: 0.855, Ports: 0.05, Status: 486, Emergency: []string{"112"},
	}
	if got := cfg.Limits.bridge(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestFaultsOfLimits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"limits: {calls: -1}":              `t.yaml:5:10: limits.calls: -1 calls are none`,
		"limits: {user: {calls: -1}}":      `limits.user.calls: -1 calls are none`,
		"limits: {source: {calls: -1}}":    `limits.source.calls: -1 calls are none`,
		"limits: {rate: 0}":                `t.yaml:5:16: limits.rate: "0" is not a number a second`,
		"limits: {cpu: 90}":                `limits.cpu: "90" is not a share, such as 90%`,
		"limits: {memory: 101%}":           `limits.memory: "101%" is not a share`,
		"limits: {ports: 0%}":              `limits.ports: "0%" is not a share`,
		"limits: {full: 500}":              `limits.full: 500 is not one of 503, 480, 486`,
		"limits: {emergency: [112, help]}": `limits.emergency[1]: "help" is not a number`,
		"limits: {source: {except: ten}}":  `limits.source.except[0]: "ten" is neither an address nor a range`,
		"limits: {users: {calls: 1}}":      `limits.users: unknown key; did you mean user?`,
	} {
		if _, err := Parse("t.yaml", []byte(least+text+"\n"), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwanted %s", text, err, want)
		}
	}
	for with, want := range map[string]string{
		"members: {uri: sip:a, max-calls: -1}": `pools.pbx.members[0].max-calls: -1 calls are none`,
		"members: sip:a, max-rate: x":          `pools.pbx.max-rate: "x" is not`,
		"members: sip:a, full: 404":            `pools.pbx.full: 404 is not one of`,
	} {
		text := strings.Replace(least, "members: sip:127.0.0.2:5060", with, 1)
		if _, err := Parse("t.yaml", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwanted %s", with, err, want)
		}
	}
}
