package sipside

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
)

func TestZones(t *testing.T) {
	t.Parallel()
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatal("no links:", err)
	}
	first, number := links[0].Name, strconv.Itoa(links[0].Index)
	for from, to := range map[string]string{
		"[fe80::1%" + first + "]:5060":  "[fe80::1%" + number + "]:5060",
		"[fe80::1%" + number + "]:5060": "[fe80::1%" + number + "]:5060",
		"[fe80::1%no-such-link]:5060":   "[fe80::1%no-such-link]:5060",
		"[fe80::1]:5060":                "[fe80::1]:5060",
		"192.0.2.1:5060":                "192.0.2.1:5060",
	} {
		if got := byIndex(netip.MustParseAddrPort(from)); got.String() != to {
			t.Errorf("%s becomes %s, want %s", from, got, to)
		}
	}
}
