package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside"
)

// WebListen is an address of the browsers' listener: "ADDRESS:PORT" or "https://ADDRESS:PORT" with TLS,
// "http://ADDRESS:PORT" without, which has to be written out.
type WebListen struct {
	Plain bool
	Addr  netip.AddrPort
}

// UnmarshalText reads the form above.
func (w *WebListen) UnmarshalText(text []byte) error {
	scheme, rest, found := strings.Cut(string(text), "://")
	if !found {
		scheme, rest = "https", string(text)
	}
	if scheme != "https" && scheme != "http" {
		return fmt.Errorf("the scheme %q is not https or http", scheme)
	}
	addr, err := parseAddrPort(strings.TrimSuffix(rest, "/"))
	if err != nil {
		return err
	}
	*w = WebListen{Plain: scheme == "http", Addr: addr}
	return nil
}

// String is the form that UnmarshalText reads.
func (w WebListen) String() string {
	if w.Plain {
		return "http://" + w.Addr.String()
	}
	return "https://" + w.Addr.String()
}

// SIPListen is an address towards the SIP world: "udp://ADDRESS:PORT", tcp or tls.
type SIPListen struct {
	Network string // "udp", "tcp", "tls"
	Addr    netip.AddrPort
}

// UnmarshalText reads the form above.
func (s *SIPListen) UnmarshalText(text []byte) error {
	network, rest, found := strings.Cut(string(text), "://")
	if !found {
		return errors.New("say how: udp://, tcp:// or tls:// before the address")
	}
	if network != "udp" && network != "tcp" && network != "tls" {
		return fmt.Errorf("the scheme %q is not udp, tcp or tls", network)
	}
	addr, err := parseAddrPort(rest)
	if err != nil {
		return err
	}
	*s = SIPListen{Network: network, Addr: addr}
	return nil
}

// String is the form that UnmarshalText reads.
func (s SIPListen) String() string { return s.Network + "://" + s.Addr.String() }

// parseAddrPort says what to write where netip only says what is wrong.
func parseAddrPort(text string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(text)
	if err == nil {
		return addr, nil
	}
	if strings.HasPrefix(text, ":") {
		return addr, fmt.Errorf("%q has no address; 0.0.0.0%s means all of IPv4, [::]%s all", text, text, text)
	}
	return addr, fmt.Errorf("%q is not an IP address with a port, such as 10.0.0.5:5060 or [::1]:5060", text)
}

// PortRange is "LOW-HIGH", inclusive.
type PortRange struct{ Low, High uint16 }

// UnmarshalText reads the form above.
func (p *PortRange) UnmarshalText(text []byte) error {
	low, high, found := strings.Cut(string(text), "-")
	l, errLow := strconv.ParseUint(low, 10, 16)
	h, errHigh := strconv.ParseUint(high, 10, 16)
	if !found || errLow != nil || errHigh != nil {
		return fmt.Errorf("%q is not a range of ports, such as 20000-29999", text)
	}
	*p = PortRange{Low: uint16(l), High: uint16(h)}
	return nil
}

// URI is a SIP URI without a user: host, port, transport.
type URI struct{ sip.Uri }

// UnmarshalText reads "sip:HOST[:PORT][;transport=udp|tcp|tls]" or sips.
func (u *URI) UnmarshalText(text []byte) error {
	if lower := strings.ToLower(string(text)); !strings.HasPrefix(lower, "sip:") && !strings.HasPrefix(lower, "sips:") {
		return fmt.Errorf("%q is not a SIP URI, such as sip:10.0.0.10:5060", text)
	}
	var uri sip.Uri
	if err := sip.ParseUri(string(text), &uri); err != nil {
		return fmt.Errorf("%q is not a SIP URI: %w", text, err)
	}
	if uri.Host == "" {
		return fmt.Errorf("%q has no host", text)
	}
	if uri.User != "" {
		return fmt.Errorf("%q names a user; a backend is a host", text)
	}
	if uri.UriParams != nil {
		transport, found := uri.UriParams.Get("transport")
		if lower := strings.ToLower(transport); found && lower != "udp" && lower != "tcp" && lower != "tls" {
			return fmt.Errorf("the transport %q is not udp, tcp or tls", transport)
		}
	}
	u.Uri = uri
	return nil
}

// UnmarshalText reads the short form: a plain URI.
func (m *Member) UnmarshalText(text []byte) error {
	m.Weight = 1
	return m.URI.UnmarshalText(text)
}

// Statuses are SIP statuses: "503", or the class "5xx".
type Statuses struct{ sipside.StatusRange }

// UnmarshalText reads the forms above.
func (s *Statuses) UnmarshalText(text []byte) error {
	class, isClass := strings.CutSuffix(strings.ToLower(string(text)), "xx")
	n, err := strconv.Atoi(class)
	switch {
	case err == nil && isClass && n >= 1 && n <= 6:
		s.Low, s.High = n*100, n*100+99
	case err == nil && !isClass && n >= 100 && n <= 699:
		s.Low, s.High = n, n
	default:
		return fmt.Errorf("%q is neither a SIP status nor a class such as 5xx", text)
	}
	return nil
}

// Toggle is a feature that is on unless it is switched off.
type Toggle struct{ Off bool }

// UnmarshalText takes "on" and "off", or YAML's true and false.
func (t *Toggle) UnmarshalText(text []byte) error {
	switch string(text) {
	case "on", "true":
		t.Off = false
	case "off", "false":
		t.Off = true
	default:
		return fmt.Errorf("%q is not on or off", text)
	}
	return nil
}

// UnmarshalText takes "off" as no probing.
func (p *Probe) UnmarshalText(text []byte) error {
	if string(text) != "off" && string(text) != "false" {
		return fmt.Errorf("%q is not off, nor {every, down-after, up-after}", text)
	}
	*p = Probe{Every: new(time.Duration)}
	return nil
}

// Network is a range of addresses; a plain address is a range of one.
type Network struct{ netip.Prefix }

// UnmarshalText reads "ADDRESS" or "ADDRESS/BITS".
func (n *Network) UnmarshalText(text []byte) error {
	if addr, err := netip.ParseAddr(string(text)); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		n.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither an address nor a range such as 203.0.113.16/28", text)
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("%s has bits behind its length; the range is %s", prefix, prefix.Masked())
	}
	n.Prefix = prefix
	return nil
}
