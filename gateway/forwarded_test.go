package gateway

import (
	"net/http"
	"net/netip"
	"testing"
)

func insideProxies(a netip.Addr) bool {
	return netip.MustParsePrefix("10.0.0.0/8").Contains(a) || netip.MustParsePrefix("2001:db8:f::/48").Contains(a)
}

func TestForwardedBy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, peer, by string
		lines          []string
		want           string
	}{
		{"no proxy: nobody is asked", "192.0.2.9:5000", byForwardedFor, []string{"198.51.100.1"}, "192.0.2.9:5000"},
		{"switched off", "10.0.0.1:5000", "", []string{"198.51.100.1"}, "10.0.0.1:5000"},
		{"no header", "10.0.0.1:5000", byForwardedFor, nil, "10.0.0.1:5000"},
		{"one hop", "10.0.0.1:5000", byForwardedFor, []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"with a port", "10.0.0.1:5000", byForwardedFor, []string{"198.51.100.1:777"}, "198.51.100.1:777"},
		{"IPv6", "10.0.0.1:5000", byForwardedFor, []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		{"IPv6 in brackets", "10.0.0.1:5000", byForwardedFor, []string{"[2001:db8::1]"}, "[2001:db8::1]:0"},
		{"IPv6 with a port", "10.0.0.1:5000", byForwardedFor, []string{"[2001:db8::1]:9"}, "[2001:db8::1]:9"},
		{"a mapped address", "10.0.0.1:5000", byForwardedFor, []string{"::ffff:198.51.100.1"}, "198.51.100.1:0"},
		{"what the client made up stands left", "10.0.0.1:5000", byForwardedFor, []string{"1.1.1.1, 2.2.2.2, 198.51.100.1"}, "198.51.100.1:0"},
		{"through two proxies", "10.0.0.1:5000", byForwardedFor, []string{"1.1.1.1, 198.51.100.1, 10.0.0.7"}, "198.51.100.1:0"},
		{"in two lines", "10.0.0.1:5000", byForwardedFor, []string{"1.1.1.1, 198.51.100.1", "10.0.0.7"}, "198.51.100.1:0"},
		{"a client says that it is a proxy", "10.0.0.1:5000", byForwardedFor, []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1:0"},
		{"from inside", "10.0.0.1:5000", byForwardedFor, []string{"10.2.0.1, 10.0.0.7"}, "10.2.0.1:0"},
		{"unknown", "10.0.0.1:5000", byForwardedFor, []string{"unknown"}, "10.0.0.1:5000"},
		{"rubbish behind a proxy", "10.0.0.1:5000", byForwardedFor, []string{"198.51.100.1, <script>, 10.0.0.7"}, "10.0.0.7:0"},
		{"empty", "10.0.0.1:5000", byForwardedFor, []string{""}, "10.0.0.1:5000"},
		{"nobody's address", "10.0.0.1:5000", byForwardedFor, []string{"0.0.0.0"}, "10.0.0.1:5000"},
		{"a zone", "10.0.0.1:5000", byForwardedFor, []string{"fe80::1%eth0"}, "10.0.0.1:5000"},
		{"RFC 7239", "10.0.0.1:5000", byForwarded, []string{"for=198.51.100.1;proto=https;by=10.0.0.1"}, "198.51.100.1:0"},
		{"RFC 7239 with IPv6", "10.0.0.1:5000", byForwarded, []string{`For="[2001:db8:cafe::17]:4711"`}, "[2001:db8:cafe::17]:4711"},
		{"RFC 7239 through two", "10.0.0.1:5000", byForwarded, []string{`for=192.0.2.43, for="[2001:db8:f::2]"`}, "192.0.2.43:0"},
		{"RFC 7239 hidden", "10.0.0.1:5000", byForwarded, []string{"for=_hidden, for=10.0.0.9"}, "10.0.0.9:0"},
		{"RFC 7239 without for", "10.0.0.1:5000", byForwarded, []string{"proto=https"}, "10.0.0.1:5000"},
		{"RFC 7239 twice in one element", "10.0.0.1:5000", byForwarded, []string{"for=1.1.1.1;for=2.2.2.2"}, "10.0.0.1:5000"},
		{"a comma within quotes", "10.0.0.1:5000", byForwarded, []string{`for=1.1.1.1;host="a, for=2.2.2.2"`}, "1.1.1.1:0"},
		{"an open quote", "10.0.0.1:5000", byForwarded, []string{`for="198.51.100.1, for=2.2.2.2`}, "10.0.0.1:5000"},
	} {
		header := http.Header{http.CanonicalHeaderKey(tc.by): tc.lines}
		if got := forwardedBy(netip.MustParseAddrPort(tc.peer), header, tc.by, insideProxies); got.String() != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// Whatever a header says, the result is an address, and one that a proxy vouches for: what stands left of the client changes nothing.
func FuzzForwardedBy(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.7", "1.1.1.1")
	f.Add(`for="[2001:db8::1]:80";proto=http, for=10.0.0.2`, `for="x`)
	f.Add(`"`, `\`)
	f.Fuzz(func(t *testing.T, line, prefix string) {
		peer := netip.MustParseAddrPort("10.0.0.1:5000")
		for _, by := range []string{byForwardedFor, byForwarded} {
			name := http.CanonicalHeaderKey(by)
			got := forwardedBy(peer, http.Header{name: {line}}, by, insideProxies)
			if !got.IsValid() {
				t.Fatalf("%q: %v", line, got)
			}
			if insideProxies(got.Addr()) {
				continue
			}
			if again := forwardedBy(peer, http.Header{name: {prefix, line}}, by, insideProxies); again != got {
				t.Fatalf("%q: %s, and behind %q: %s", line, got, prefix, again)
			}
		}
	})
}
