// Package ranges knows the addresses that are not the public network's.
package ranges

import "net/netip"

// Special lists the ranges that are for special purposes (RFC 6890 and its registry), those that hide an IPv4 address within an IPv6
// one, and the addresses at which clouds tell a machine its secrets. An entry may stand inside another.
func Special() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "100.100.100.200/32", "127.0.0.0/8", "169.254.0.0/16", "169.254.169.254/32",
		"169.254.170.2/32", "168.63.129.16/32", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "::1/128", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
		"fc00::/7", "fd00:ec2::254/128", "fe80::/10", "fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Public says whether an address is one of the public network, of one host: IPv4-mapped forms are taken as IPv4.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() {
		return false
	}
	for _, p := range Special() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
