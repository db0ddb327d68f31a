package gateway

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"tandem/bridge/identity"
	"tandem/turn"
)

// The defaults of the relay that no package of its own holds.
const (
	turnPort       = 3478
	turnRealm      = "tandem"
	defaultCredits = 12 * time.Hour
	defaultTURNLow = 49152
)

// TURNListen is an address of the relay: "udp://ADDRESS:PORT", tcp, tls or dtls.
type TURNListen struct {
	Network string // "udp", "tcp", "tls", "dtls"
	Addr    netip.AddrPort
}

// UnmarshalText reads the form above.
func (l *TURNListen) UnmarshalText(text []byte) error {
	network, rest, found := strings.Cut(string(text), "://")
	if !found {
		return errors.New("say how: udp://, tcp://, tls:// or dtls:// before the address")
	}
	if !slices.Contains([]string{"udp", "tcp", "tls", "dtls"}, network) {
		return fmt.Errorf("the scheme %q is not udp, tcp, tls or dtls", network)
	}
	addr, err := parseAddrPort(rest)
	*l = TURNListen{Network: network, Addr: addr}
	return err
}

// TURNPeers is a set of peers that is opened by its name: "public", "ADDRESS", "ADDRESS:PORT" or "ADDRESS/BITS".
type TURNPeers struct{ Rules []turn.Rule }

// UnmarshalText reads the form above.
func (p *TURNPeers) UnmarshalText(text []byte) (err error) {
	p.Rules, err = turn.ParseRule(string(text))
	return err
}

// UnmarshalText takes "on" as all defaults, and "off".
func (t *TURN) UnmarshalText(text []byte) error {
	var is Toggle
	if err := is.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, nor {listen, secret, …}", err)
	}
	*t = TURN{off: is.Off}
	return nil
}

// openTURN opens the relay; nil where the configuration has none. The media engine is open: its ports are the relay's peers.
func (g *Gateway) openTURN(certs *certificates, secret []byte) (*turn.Server, error) {
	t := g.cfg.TURN
	if t == nil || t.off {
		return nil, nil
	}
	relay := t.relayAddresses(g.media.Addrs(), g.cfg.Media.Advertise)
	cfg := turn.Config{
		TLS: modern(certs.config()), Realm: t.realm(), Secrets: t.Secret, Relay: relay,
		LowPort: t.Relay.Ports.Low, HighPort: t.Relay.Ports.High, Virtual: g.cfg.virtualPorts(),
		Plane: g.media, Quota: turn.Quota(t.Quota), Guard: g.guard, Log: g.log,
		Peers: turn.Peers{Media: mediaPeers(g.media.Addrs(), g.cfg.Media.Advertise, relay), Own: g.cfg.ownAddresses()},
	}
	for _, conn := range g.media.Clients() {
		cfg.Listen = append(cfg.Listen, turn.Listen{Network: "udp", Conn: conn})
	}
	for _, l := range t.listen() {
		if l.Network != "udp" {
			cfg.Listen = append(cfg.Listen, turn.Listen{Network: l.Network, Addr: l.Addr})
		}
	}
	for _, p := range t.Peers {
		cfg.Peers.Allow = append(cfg.Peers.Allow, p.Rules...)
	}
	if len(cfg.Secrets) == 0 {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("credentials for the relay"))
		cfg.Secrets = []string{hex.EncodeToString(mac.Sum(nil))}
	}
	if t.Users != "" {
		users, err := identity.OpenUsers(t.Users, os.LookupEnv, g.log)
		if err != nil {
			return nil, err
		}
		cfg.Users = longTerm(users)
	}
	return turn.Open(cfg)
}

// longTerm gives the keys of users: HA1 is the key of STUN's long-term credentials (RFC 8489 §9.2.2).
func longTerm(users *identity.Users) func(username, realm string) ([]byte, bool) {
	return func(username, realm string) ([]byte, bool) {
		ha1, _, err := users.HA1(context.Background(), identity.Login{User: username, Realm: realm})
		if err != nil {
			return nil, false
		}
		key, err := hex.DecodeString(ha1)
		return key, err == nil
	}
}

func (t *TURN) realm() string { return cmp.Or(t.Realm, turnRealm) }

func (t *TURN) listen() []TURNListen {
	if len(t.Listen) > 0 {
		return t.Listen
	}
	all := netip.AddrPortFrom(netip.IPv4Unspecified(), turnPort)
	return []TURNListen{{"udp", all}, {"tcp", all}}
}

// clients are the UDP ports that the media engine opens for the relay's clients. Each is of one family.
func (t *TURN) clients() []netip.AddrPort {
	if t == nil || t.off {
		return nil
	}
	var list []netip.AddrPort
	for _, l := range t.listen() {
		if l.Network != "udp" {
			continue
		}
		list = append(list, l.Addr)
		if four := netip.AddrPortFrom(netip.IPv4Unspecified(), l.Addr.Port()); l.Addr.Addr() == netip.IPv6Unspecified() && four.Port() != 0 &&
			!slices.ContainsFunc(t.listen(), func(o TURNListen) bool { return o.Network == "udp" && o.Addr == four }) {
			list = append(list, four)
		}
	}
	return list
}

// relayAddresses are where allocations are: for each family of the media an address of this machine.
func (t *TURN) relayAddresses(media []netip.AddrPort, outside []netip.Addr) []turn.Address {
	listen := slices.Clone(t.Relay.Address)
	for _, m := range media {
		if a := m.Addr().Unmap(); len(t.Relay.Address) == 0 && !ofFamily(listen, a).IsValid() {
			if a = machineAddr(a); a.IsValid() {
				listen = append(listen, a)
			}
		}
	}
	var list []turn.Address
	for _, a := range listen {
		seen := ofFamily(t.Relay.Advertise, a)
		if !seen.IsValid() {
			seen = ofFamily(outside, a)
		}
		list = append(list, turn.Address{Listen: a, Advertise: seen})
	}
	return list
}

// machineAddr is an address of this machine that others reach, of the family of another; that one itself where it is not all.
// The zero Addr: there is none.
func machineAddr(like netip.Addr) netip.Addr {
	if !like.IsUnspecified() {
		return like
	}
	if a := ofFamily(machineAddrs(), like); a.IsValid() || like.Is6() {
		return a
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// machineAddrs are the addresses of this machine that others reach.
func machineAddrs() []netip.Addr {
	return slices.DeleteFunc(allAddrs(), func(a netip.Addr) bool { return a.IsLoopback() || a.IsLinkLocalUnicast() })
}

func allAddrs() []netip.Addr {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, n := range nets {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}

// mediaPeers are the media's ports as the candidates name them, and where a relay finds them.
func mediaPeers(media []netip.AddrPort, outside []netip.Addr, relay []turn.Address) []turn.Media {
	here := allAddrs()
	var list []turn.Media
	for _, m := range media {
		addr, port := m.Addr().Unmap(), m.Port()
		at := addr
		if addr.IsUnspecified() {
			at = machineAddr(addr)
			for _, r := range relay {
				if r.Listen.Is4() == addr.Is4() && !r.Listen.IsUnspecified() {
					at = r.Listen // the answers come from there
				}
			}
		}
		seen := []netip.Addr{at}
		if out := ofFamily(outside, addr); out.IsValid() {
			seen = []netip.Addr{out}
		} else if addr.IsUnspecified() {
			seen = append(seen, slices.DeleteFunc(machineAddrs(), func(a netip.Addr) bool { return a == at || a.Is4() != addr.Is4() })...)
		}
		for _, s := range seen {
			reached := at
			if addr.IsUnspecified() && slices.Contains(here, s) {
				reached = s
			}
			list = append(list, turn.Media{Seen: netip.AddrPortFrom(s, port), At: netip.AddrPortFrom(reached, port)})
		}
	}
	return list
}

// ownAddresses are those of this machine and those by which it is known outside.
func (c Config) ownAddresses() []netip.Addr {
	list := slices.Concat(allAddrs(), c.Media.Advertise, c.Media.RTP.Address, c.Media.RTP.Advertise, c.TURN.Relay.Address, c.TURN.Relay.Advertise)
	for _, text := range []string{c.SIP.Advertise, c.TURN.Advertise} {
		if a, err := netip.ParseAddr(text); err == nil {
			list = append(list, a)
		}
	}
	return list
}

func (v *validator) turn(c Config) {
	t := c.TURN
	if t == nil || t.off {
		return
	}
	var sockets []string
	for _, l := range t.Listen {
		network := map[string]string{"tls": "tcp", "dtls": "udp"}[l.Network]
		sockets = append(sockets, cmp.Or(network, l.Network)+"://"+l.Addr.String())
	}
	v.once("turn.listen", sockets)
	for i, s := range t.Secret {
		if len(s) < 16 {
			v.fail(indexed("turn.secret", i), "has %d characters; at least 16 are needed", len(s))
		}
	}
	if t.Users != "" {
		if _, err := identity.OpenUsers(t.Users, os.LookupEnv, slog.New(slog.DiscardHandler)); err != nil {
			v.fail("turn.users", "%s", err)
		}
	}
	if t.Advertise != "" && !isHost(t.Advertise) {
		v.fail("turn.advertise", "%q is not an address or a host name; the ports are those of the listeners", t.Advertise)
	}
	v.within("turn.credentials", t.Credentials, time.Minute, 30*24*time.Hour)
	v.families("turn.relay.address", t.Relay.Address, false)
	v.families("turn.relay.advertise", t.Relay.Advertise, false)
	v.relayPorts(c)
	v.turnQuota(t.Quota)
}

// virtualPorts are those of relays without a socket: what is written, or of the default those ranges in which the gateway has no port.
func (c Config) virtualPorts() []turn.Ports {
	if p := c.TURN.Relay.Virtual; p != (PortRange{}) {
		return []turn.Ports{{Low: p.Low, High: p.High}}
	}
	rtp := c.rtp().Ports
	return slices.DeleteFunc(turn.VirtualPorts(), func(p turn.Ports) bool { return p.Low <= rtp.High && rtp.Low <= p.High || c.listensIn(p).IsValid() })
}

// listensIn is an address with one of some ports on which the gateway hears browsers; the zero AddrPort: there is none.
func (c Config) listensIn(p turn.Ports) netip.AddrPort {
	for _, at := range slices.Concat(c.mediaListen(), c.TURN.clients()) {
		if at.Port() >= p.Low && at.Port() <= p.High {
			return at
		}
	}
	return netip.AddrPort{}
}

func (v *validator) relayPorts(c Config) {
	v.relayRange("turn.relay.ports", c.TURN.Relay.Ports, defaultTURNLow, c)
	p := c.TURN.Relay.Virtual
	if p == (PortRange{}) {
		if len(c.virtualPorts()) == 0 {
			v.fail("turn.relay.virtual", "must be written, for the gateway has ports in each range of the default")
		}
		return
	}
	v.relayRange("turn.relay.virtual", p, 0, c)
	if at := c.listensIn(turn.Ports{Low: p.Low, High: p.High}); len(c.TURN.Peers) == 0 && at.IsValid() {
		v.fail("turn.relay.virtual", "%d-%d has the port %d, on which the gateway listens", p.Low, p.High, at.Port())
	}
}

// relayRange looks at one range of relays' ports, whose default goes from low on.
func (v *validator) relayRange(key string, p PortRange, low uint16, c Config) {
	rtp := c.rtp().Ports
	if p == (PortRange{}) {
		p = PortRange{Low: low, High: 65535}
	} else if p.Low < 1024 || p.High < p.Low {
		v.fail(key, "%d-%d is not a range of ports from 1024 on", p.Low, p.High)
	}
	if p.Low <= rtp.High && rtp.Low <= p.High {
		v.fail(key, "%d-%d overlaps media.rtp.ports %d-%d", p.Low, p.High, rtp.Low, rtp.High)
	}
}

func (v *validator) turnQuota(q TURNQuota) {
	for _, n := range []struct {
		key   string
		value int
	}{{"user", q.User}, {"total", q.Total}, {"rate", q.Rate}, {"bandwidth", q.Bandwidth}, {"total-bandwidth", q.TotalBandwidth}} {
		path := "turn.quota." + n.key
		if _, written := v.source.at[path]; n.value < 0 || n.value == 0 && written {
			v.fail(path, "%d is not above 0", n.value)
		}
	}
	v.within("turn.quota.lifetime", q.Lifetime, time.Minute, 30*24*time.Hour)
}
