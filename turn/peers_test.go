package turn

import (
	"net/netip"
	"testing"
)

func TestPeers(t *testing.T) {
	rules := func(texts ...string) (list []Rule) {
		for _, text := range texts {
			r, err := ParseRule(text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, r...)
		}
		return list
	}
	base := Peers{
		Media: []Media{same("203.0.113.7:40000"), same("[2001:db8::7]:40000"),
			{Seen: netip.MustParseAddrPort("198.51.100.1:40000"), At: netip.MustParseAddrPort("10.0.0.5:40000")}},
		Own: []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("8.8.4.4"), netip.MustParseAddr("10.0.0.5")},
	}
	for _, test := range []struct {
		allow []Rule
		peer  string
		want  bool
	}{
		{nil, "203.0.113.7:40000", true},
		{nil, "[2001:db8::7]:40000", true},
		{nil, "[::ffff:203.0.113.7]:40000", true},
		{nil, "198.51.100.1:40000", true},
		{nil, "10.0.0.5:40000", false}, // clients know it by the address outside
		{nil, "203.0.113.7:5060", false},
		{nil, "203.0.113.7:3478", false},
		{nil, "203.0.113.7:20000", false},
		{nil, "[::ffff:203.0.113.7]:5060", false},
		{nil, "8.8.8.8:53", false},
		{nil, "127.0.0.1:40000", false},
		{rules("public"), "8.8.8.8:53", true},
		{rules("public"), "[2606:4700::1]:443", true},
		{rules("public"), "8.8.8.8:0", false},
		{rules("public"), "8.8.4.4:53", false}, // own
		{rules("public"), "[::ffff:8.8.4.4]:53", false},
		{rules("public"), "203.0.113.7:5060", false},
		{rules("public"), "127.0.0.1:80", false},
		{rules("public"), "[::1]:80", false},
		{rules("public"), "[::ffff:127.0.0.1]:80", false},
		{rules("public"), "[::127.0.0.1]:80", false},
		{rules("public"), "[64:ff9b::7f00:1]:80", false},
		{rules("public"), "[2002:7f00:1::]:80", false},
		{rules("public"), "10.1.2.3:80", false},
		{rules("public"), "172.31.2.3:80", false},
		{rules("public"), "192.168.1.1:80", false},
		{rules("public"), "100.64.0.1:80", false},
		{rules("public"), "169.254.169.254:80", false},
		{rules("public"), "[::ffff:169.254.169.254]:80", false},
		{rules("public"), "[fd00:ec2::254]:80", false},
		{rules("public"), "[fe80::1%eth0]:80", false},
		{rules("public"), "[fc00::1]:80", false},
		{rules("public"), "224.0.0.1:80", false},
		{rules("public"), "[ff02::1]:80", false},
		{rules("public"), "0.0.0.0:80", false},
		{rules("public"), "255.255.255.255:80", false},
		{rules("224.0.0.0/4"), "224.0.0.1:80", false},
		{rules("10.0.0.0/8"), "10.1.2.3:80", true},
		{rules("10.0.0.0/8"), "10.0.0.5:80", false}, // own
		{rules("10.0.0.5"), "10.0.0.5:5060", false}, // own: needs the port
		{rules("10.0.0.5:7000"), "10.0.0.5:7000", true},
		{rules("10.0.0.5:7000"), "10.0.0.5:5060", false},
		{rules("169.254.0.0/16"), "169.254.1.1:80", true},
		{rules("169.254.0.0/16"), "169.254.169.254:80", false},
		{rules("169.254.169.254"), "169.254.169.254:80", true},
		{rules("::ffff:192.168.1.1"), "192.168.1.1:80", true},
	} {
		p := base
		p.Allow = test.allow
		if _, got := newPolicy(p).allows(netip.MustParseAddrPort(test.peer)); got != test.want {
			t.Errorf("%v allows %s: %v", test.allow, test.peer, got)
		}
	}
	for _, bad := range []string{"", "private", "10.0.0.0/33", "10.0.0.1:0", "::ffff:10.0.0.0/104", "example.com"} {
		if _, err := ParseRule(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func same(at string) Media {
	a := netip.MustParseAddrPort(at)
	return Media{Seen: a, At: a}
}

// Behind a NAT a relay reaches the media where that is, and the client hears it from where it knows it.
func TestMediaBehindNAT(t *testing.T) {
	seen, at := netip.MustParseAddrPort("198.51.100.1:40000"), netip.MustParseAddrPort("10.0.0.5:40000")
	p := newPolicy(Peers{Media: []Media{{Seen: seen, At: at}}})
	if to, ok := p.allows(seen); to != at || !ok {
		t.Error(to, ok)
	}
	if as, ok := p.hears(at); as != seen || !ok {
		t.Error(as, ok)
	}
	if _, ok := p.hears(netip.MustParseAddrPort("10.0.0.5:5060")); ok {
		t.Error("another port is heard")
	}
}
