package sipside

import (
	"net/netip"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestValidateNamesTheKey(t *testing.T) {
	good := func() Config {
		return Config{
			Listen: []Listen{{Network: "udp", Addr: anyPort}},
			Pools:  []PoolConfig{{Name: "pbx", Members: []Member{{URI: uri(t, "sip:10.0.0.1")}}}},
			Trunks: []TrunkConfig{{Name: "carrier", URI: uri(t, "sip:sbc.example.com;transport=tcp")}},
		}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spoil func(*Config)
		want  string
	}{
		{func(c *Config) { c.Listen = nil }, "sip.listen: at least one listener is needed"},
		{func(c *Config) { c.Listen[0].Network = "sctp" }, `sip.listen[0]: unknown network "sctp": udp, tcp or tls`},
		{func(c *Config) { c.Listen[0].Network = "tls" }, "sip.listen[0]: tls needs a certificate"},
		{func(c *Config) { c.Listen[0].Addr = netip.AddrPort{} }, "sip.listen[0]: no address"},
		{func(c *Config) { c.Listen[0].Addr = netip.MustParseAddrPort("0.0.0.0:5060") },
			"sip.listen[0]: 0.0.0.0:5060 says no address that others could answer to: set sip.advertise"},
		{func(c *Config) { c.Listen[0].Network = "tcp" },
			"pools.pbx.members[0]: sip:10.0.0.1 is reached by UDP, but sip.listen has no udp listener"},
		{func(c *Config) { c.Pools[0].Order = "fancy" }, `pools.pbx.order: unknown order "fancy": one of round-robin, weighted, relative-weight, random, weighted-random, hash, priority, least-calls, lowest-latency, parallel`},
		{func(c *Config) { c.Pools[0].Members = nil }, "pools.pbx.members: at least one member is needed"},
		{func(c *Config) { c.Pools[0].Members[0].Weight = 101 }, "pools.pbx.members[0].weight: 101 is not in 1 to 100"},
		{func(c *Config) { c.Pools[0].Members[0].URI = sip.Uri{Scheme: "tel"} }, "pools.pbx.members[0]: tel:: neither a sip nor a sips URI"},
		{func(c *Config) { c.Pools[0].Members = append(c.Pools[0].Members, c.Pools[0].Members[0]) },
			"pools.pbx.members[1]: pbx/10.0.0.1:5060 is listed twice"},
		{func(c *Config) { c.Pools[0].Probe.Every = -time.Second }, "pools.pbx.probe: negative values make no sense"},
		{func(c *Config) { c.Trunks[0].Name = "pbx" }, "trunks.pbx: the name is used twice"},
		{func(c *Config) { c.Trunks[0].Name = "" }, "trunks.: a name without slashes and spaces is needed"},
		{func(c *Config) { c.Trunks[0].URI = sip.Uri{} }, "trunks.carrier.uri: sip:: no host"},
	} {
		cfg := good()
		c.spoil(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
		if e, err := Open(cfg); err == nil {
			t.Errorf("opened what should be refused: %s", c.want)
			_ = e.Close()
		}
	}
}
