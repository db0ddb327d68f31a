package turn

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tandem/turn/ranges"
)

// Rule opens a set of peers: a prefix with all its ports, or with one.
type Rule struct {
	Prefix netip.Prefix
	Port   uint16 // 0: any
}

// ParseRule reads "public", "ADDRESS", "ADDRESS:PORT" or "ADDRESS/BITS"; IPv4-mapped forms are taken as IPv4. "public" gives two
// rules: all of IPv4 and all of IPv6.
func ParseRule(text string) ([]Rule, error) {
	if text == "public" {
		return []Rule{{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}, {Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}}, nil
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		if at.Port() == 0 {
			return nil, errors.New("port 0 is nobody's")
		}
		addr := at.Addr().Unmap().WithZone("")
		return []Rule{{netip.PrefixFrom(addr, addr.BitLen()), at.Port()}}, nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		addr = addr.Unmap().WithZone("")
		return []Rule{{Prefix: netip.PrefixFrom(addr, addr.BitLen())}}, nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return nil, fmt.Errorf("%q is not public, ADDRESS, ADDRESS:PORT or ADDRESS/BITS", text)
	}
	return []Rule{{Prefix: prefix.Masked()}}, nil
}

// Peers says whom a relay may send to and hear. The zero value denies everybody.
type Peers struct {
	Media []Media      // the gateway's own, always reached
	Own   []netip.Addr // this machine's other addresses: reached only where a rule names address and port
	Allow []Rule       // what is open beside
}

// Media is a port of the gateway's own media.
type Media struct {
	Seen netip.AddrPort // as clients name it
	At   netip.AddrPort // where it is reached from here; differs behind a NAT
}

// policy is Peers made ready for packets; it never changes. Safe for concurrent use.
type policy struct {
	Peers
	special []netip.Prefix // never reached by a rule that is wider than the entry: one inside another needs a rule for itself
}

func newPolicy(p Peers) *policy {
	out := &policy{special: ranges.Special()}
	for _, m := range p.Media {
		out.Media = append(out.Media, Media{
			Seen: netip.AddrPortFrom(plain(m.Seen.Addr()), m.Seen.Port()), At: netip.AddrPortFrom(plain(m.At.Addr()), m.At.Port()),
		})
	}
	for _, a := range p.Own {
		out.Own = append(out.Own, plain(a))
	}
	out.Allow = slices.Clone(p.Allow)
	return out
}

// plain takes an address out of its IPv4-mapped form and from its zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// allows says whether a relay may send to exactly this address and port, and where that is.
func (p *policy) allows(peer netip.AddrPort) (to netip.AddrPort, open bool) {
	peer = netip.AddrPortFrom(plain(peer.Addr()), peer.Port())
	for _, m := range p.Media {
		if m.Seen == peer {
			return m.At, true
		}
	}
	return peer, peer.Port() != 0 && p.match(peer.Addr(), peer.Port())
}

// far is where a peer that is open is for the plane: the zero AddrPort for the media's ports.
func (p *policy) far(peer netip.AddrPort) netip.AddrPort {
	for _, m := range p.Media {
		if m.Seen == peer {
			return netip.AddrPort{}
		}
	}
	return peer
}

// hears says whether a relay may hear exactly this address and port, and as whom clients know it.
func (p *policy) hears(from netip.AddrPort) (as netip.AddrPort, open bool) {
	for _, m := range p.Media {
		if m.At == from {
			return m.Seen, true
		}
	}
	return from, from.Port() != 0 && p.match(from.Addr(), from.Port())
}

// allowsSome says whether any port of the address is open: what a permission is asked for (RFC 8656 §9).
func (p *policy) allowsSome(addr netip.Addr) bool { return p.match(plain(addr), 0) }

// match looks for what opens an address and port; port 0 stands for any one of it.
func (p *policy) match(addr netip.Addr, port uint16) bool {
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	for _, m := range p.Media {
		if m.Seen.Addr() == addr && (port == 0 || m.Seen.Port() == port) {
			return true
		}
	}
	own := slices.Contains(p.Own, addr)
	least := 0 // bits that a rule needs to be about this address
	for _, s := range p.special {
		if s.Contains(addr) {
			least = max(least, s.Bits())
		}
	}
	for _, r := range p.Allow {
		named := r.Port != 0 && r.Prefix.IsSingleIP()
		if r.Prefix.Contains(addr) && r.Prefix.Bits() >= least && (!own || named) && (port == 0 || r.Port == 0 || r.Port == port) {
			return true
		}
	}
	return false
}
