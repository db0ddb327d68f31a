package sipside

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// transport is a transport as Via spells it.
type transport string

const (
	udp  transport = "UDP"
	tcp  transport = "TCP"
	tlsT transport = "TLS"
)

func (t transport) defaultPort() uint16 {
	if t == tlsT {
		return 5061
	}
	return 5060
}

// target is where a request goes, before names are looked up.
type target struct {
	transport transport
	host      string // a name in lower case, or an address without brackets
	port      uint16
	// what RFC 3263 leaves to the name server: neither of them
	fixedPort, fixedTransport bool
}

func (t target) hostPort() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// literal gives the address where the host is one.
func (t target) literal() (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(t.host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), t.port), true
}

// targetOf reads a URI by RFC 3263 §4.1 and §4.2: scheme, transport, maddr, port. Transport and port are the defaults where
// the URI leaves them to the name server (names.locate).
func targetOf(uri sip.Uri) (target, error) {
	t := target{transport: udp, host: uri.Host}
	switch strings.ToLower(uri.Scheme) {
	case "sip", "":
	case "sips":
		t.transport = tlsT
	default:
		return t, fmt.Errorf("%s: neither a sip nor a sips URI", uri.String())
	}
	if name, ok := param(uri.UriParams, "transport"); ok {
		t.fixedTransport = true
		asked := transport(strings.ToUpper(name))
		switch {
		case asked == tcp && t.transport == tlsT: // RFC 3261 §26.2.2: sips over TCP is TLS
		case asked == tlsT, asked == tcp, asked == udp && t.transport == udp:
			t.transport = asked
		default:
			return t, fmt.Errorf("%s: transport %q is not supported", uri.String(), name)
		}
	}
	if maddr, ok := param(uri.UriParams, "maddr"); ok && maddr != "" {
		t.host = maddr
	}
	t.host = strings.ToLower(strings.Trim(t.host, "[]"))
	if t.host == "" || uri.Wildcard {
		return t, fmt.Errorf("%s: no host", uri.String())
	}
	if uri.Port < 0 || uri.Port > 65535 {
		return t, fmt.Errorf("%s: port %d is out of range", uri.String(), uri.Port)
	}
	t.port, t.fixedPort = uint16(uri.Port), uri.Port != 0
	if t.port == 0 {
		t.port = t.transport.defaultPort()
	}
	return t, nil
}

// param finds a parameter whatever its case (RFC 3261 §7.3.1).
func param(params sip.HeaderParams, name string) (string, bool) {
	for _, kv := range params {
		if strings.EqualFold(kv.K, name) {
			return kv.V, true
		}
	}
	return "", false
}

// inDialog says whether To has a tag.
func inDialog(req *sip.Request) bool {
	to := req.To()
	if to == nil {
		return false
	}
	_, ok := param(to.Params, "tag")
	return ok
}

// nextHop finds the target of a request and, where the topmost Route is a strict router, rewrites the request for it.
// home is the backend's own URI.
func nextHop(out transaction.Outbound, home sip.Uri) (transaction.Outbound, target, error) {
	if top := topRoute(out.Request); top != nil {
		if _, loose := param(top.Address.UriParams, "lr"); !loose {
			out.Request = shallowCopy(out.Request)
			out = routeStrictly(out, top.Address)
			t, err := targetOf(out.Recipient)
			return out, t, err
		}
		t, err := targetOf(top.Address)
		return out, t, err
	}
	if inDialog(out.Request) {
		t, err := targetOf(out.Recipient)
		return out, t, err
	}
	t, err := targetOf(home)
	return out, t, err
}

// astray says of a remote target that it leads nowhere from here: an address of a private network, or none, in the Contact of a
// backend whose servers are all in the public one. A NAT lies between, and nobody has mended the Contact; the server knows the way.
func (t target) astray(servers []place) bool {
	at, literal := t.literal()
	return literal && len(servers) > 0 && !public(at.Addr()) &&
		!slices.ContainsFunc(servers, func(p place) bool { return !public(p.addr.Addr()) })
}

// public says whether an address means the same host everywhere.
func public(addr netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !shared.Contains(addr)
}

func topRoute(req *sip.Request) *sip.RouteHeader {
	if transaction.First(req, "Route") == nil { // sipgo would look for one under each name
		return nil
	}
	return req.Route()
}

// routeStrictly moves the first Route into the Request-URI and the Request-URI behind the last Route
// (RFC 3261 §12.2.1.1).
func routeStrictly(out transaction.Outbound, first sip.Uri) transaction.Outbound {
	last := out.Recipient
	if out.RequestURI != "" {
		var parsed sip.Uri
		if err := sip.ParseUri(out.RequestURI, &parsed); err == nil {
			last = parsed
		}
	}
	routes := out.GetHeaders("Route")
	for out.RemoveHeader("Route") {
	}
	for _, route := range routes[1:] {
		out.AppendHeader(route)
	}
	out.AppendHeader(&sip.RouteHeader{Address: last})
	out.Recipient = requestURIOf(first)
	out.RequestURI = ""
	return out
}

// requestURIOf strips what a Request-URI may not have (RFC 3261 §19.1.1, table 1).
func requestURIOf(uri sip.Uri) sip.Uri {
	stripped := *uri.Clone()
	stripped.Headers = nil
	stripped.UriParams = nil
	for _, kv := range uri.UriParams {
		if !strings.EqualFold(kv.K, "method") {
			stripped.UriParams = append(stripped.UriParams, kv)
		}
	}
	return stripped
}
