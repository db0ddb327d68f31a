package gateway

import (
	"net/http"
	"net/netip"
	"strings"
)

// The ways in which a proxy may say whom it forwards; ClientAddress names those that are believed.
const (
	byProxyProtocol = "proxy-protocol"
	byForwardedFor  = "x-forwarded-for"
	byForwarded     = "forwarded" // RFC 7239
)

// maxHops bounds the proxies that a request is followed through.
const maxHops = 32

// forwardedBy is who a request comes from that peer has sent: peer itself, or, where that is a proxy, the last address in the header
// that is none; the addresses before that one are hearsay. What cannot be read ends the search at the last proxy. The port is 0
// where the header names none. Pure.
func forwardedBy(peer netip.AddrPort, header http.Header, by string, isProxy func(netip.Addr) bool) netip.AddrPort {
	if by == "" || !isProxy(peer.Addr()) {
		return peer
	}
	var hops []string
	for _, line := range header[http.CanonicalHeaderKey(by)] {
		hops = append(hops, splitOutsideQuotes(line, ',')...)
	}
	client := peer
	for i := len(hops) - 1; i >= 0 && i >= len(hops)-maxHops; i-- {
		text := hops[i]
		if by == byForwarded {
			text = forParameter(text)
		}
		at, ok := parseNode(text)
		if !ok {
			break
		}
		client = at
		if !isProxy(at.Addr()) {
			break
		}
	}
	return client
}

// forParameter is the value of for= in one forwarded-element (RFC 7239 §4), without its quotes; "" where there is none, or more than one.
func forParameter(element string) string {
	value, found := "", false
	for _, pair := range splitOutsideQuotes(element, ';') {
		name, text, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !ok || !strings.EqualFold(name, "for") {
			continue
		}
		if found {
			return ""
		}
		value, found = text, true
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1] // no address needs a quoted pair
	}
	return value
}

// parseNode reads an address, with or without a port, IPv6 in brackets or bare; not ok for "unknown" and hidden names.
func parseNode(text string) (netip.AddrPort, bool) {
	text = strings.Trim(text, " \t")
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		if len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
			text = text[1 : len(text)-1]
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.AddrPort{}, false
		}
		at = netip.AddrPortFrom(addr, 0)
	}
	if at.Addr().Zone() != "" || at.Addr().IsUnspecified() {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true
}

// splitOutsideQuotes cuts a list where the separator stands outside quoted strings (RFC 9110 §5.6.4).
func splitOutsideQuotes(text string, separator byte) []string {
	var items []string
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			items = append(items, text[start:i])
			start = i + 1
		}
	}
	return append(items, text[start:])
}
