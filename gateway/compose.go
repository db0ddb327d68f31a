package gateway

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/bridge"
	"tandem/bridge/admission"
	"tandem/bridge/hiding"
	"tandem/bridge/identity/watched"
	"tandem/bridge/media"
	"tandem/bridge/route"
	"tandem/bridge/sdp"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/wss"
)

// The defaults of keys that are not written and that no package of their own holds.
const (
	defaultShutdown  = time.Minute
	defaultMediaPort = 40000
	defaultRTPLow    = 20000
	defaultRTPHigh   = 29999
)

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (c Config) node() uint16 { return cmp.Or(c.Node, 1) }

func (c Config) shutdownTimeout() time.Duration { return cmp.Or(c.ShutdownTimeout, defaultShutdown) }

func (c Config) mediaListen() []netip.AddrPort {
	if len(c.Media.Listen) > 0 {
		return c.Media.Listen
	}
	return []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), defaultMediaPort)}
}

// rtp is the RTP section with its defaults: the address is that of the SIP listeners where they share one.
func (c Config) rtp() RTP {
	r := c.Media.RTP
	if len(r.Address) == 0 {
		r.Address = c.sipAddresses()
	}
	if r.Ports == (PortRange{}) {
		r.Ports = PortRange{Low: defaultRTPLow, High: defaultRTPHigh}
	}
	return r
}

// sipAddresses are those of the SIP listeners where there is one for each family at most; else none.
func (c Config) sipAddresses() []netip.Addr {
	var list []netip.Addr
	for _, l := range c.SIP.Listen {
		a := l.Addr.Addr()
		if slices.Contains(list, a) {
			continue
		}
		if a.IsUnspecified() || ofFamily(list, a).IsValid() {
			return nil
		}
		list = append(list, a)
	}
	return list
}

// ofFamily gives the address in the list that is of the same family as another; the zero Addr where there is none.
func ofFamily(list []netip.Addr, other netip.Addr) netip.Addr {
	for _, a := range list {
		if a.Unmap().Is4() == other.Unmap().Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// media is the engine's part of it.
func (r RTP) media() media.RTPConfig {
	cfg := media.RTPConfig{Low: r.Ports.Low, High: r.Ports.High, Learn: cmp.Or(r.Learn, "signalling")}
	if len(r.Address) > 0 {
		cfg.Address, cfg.Advertise = r.Address[0], ofFamily(r.Advertise, r.Address[0])
	}
	if len(r.Address) > 1 {
		cfg.Second = media.RTPAddress{Address: r.Address[1], Advertise: ofFamily(r.Advertise, r.Address[1])}
	}
	return cfg
}

func (c Config) wss(o Options, door wss.Guard, log *slog.Logger) wss.Config {
	limits := c.HTTPS.Limits.withDefaults()
	return wss.Config{
		Origins:         c.HTTPS.Origins,
		OriginsRequired: c.HTTPS.OriginsRequired,
		Guard:           door,
		MaxMessage:      limits.Message,
		MaxRate:         limits.Messages,
		PerUser:         limits.PerUser,
		Unregistered:    *limits.Unregistered,
		Timers:          c.timers(o),
		Trace:           o.Trace,
		Log:             log,
	}
}

// timers are those of both doors, with what the gateway calls itself.
func (c Config) timers(o Options) transaction.Config {
	o.Timers.Product = c.SIP.UserAgent
	return o.Timers
}

func (c Config) sipside(o Options, server *certificates, log *slog.Logger) (cfg sipside.Config, err error) {
	cfg = sipside.Config{
		Advertise: c.SIP.Advertise,
		ClientTLS: &tls.Config{MinVersion: tls.VersionTLS12},
		DSCP:      dscp(c.SIP.DSCP, sipside.DSCPNone),
		DNS:       c.SIP.Resolver,
		Timers:    c.timers(o),
		Trace:     o.Trace,
		Log:       log,
	}
	for _, l := range c.SIP.Listen {
		listen := sipside.Listen{Network: l.Network, Addr: l.Addr}
		if l.Network == "tls" {
			listen.TLS = server.config()
		}
		cfg.Listen = append(cfg.Listen, listen)
	}
	if c.SIP.CA != "" {
		pool, err := certPool(c.SIP.CA)
		if err != nil {
			return cfg, fmt.Errorf("gateway: sip.ca: %w", err)
		}
		cfg.ClientTLS.RootCAs = pool
	}
	err = c.peersInto(&cfg)
	return cfg, err
}

// peersInto puts the pools and trunks into the door's part of the configuration.
func (c Config) peersInto(cfg *sipside.Config) error {
	cfg.Pools, cfg.Trunks = nil, nil
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		cfg.Pools = append(cfg.Pools, c.Pools[name].sipside(name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Trunks)) {
		trunk := c.Trunks[name].sipside(name)
		var err error
		if trunk.TLS, err = c.Trunks[name].tls(c.SIP); err != nil {
			return fmt.Errorf("gateway: trunks.%s.ca: %w", name, err)
		}
		cfg.Trunks = append(cfg.Trunks, trunk)
	}
	return nil
}

func (p Pool) sipside(name string) sipside.PoolConfig {
	cfg := sipside.PoolConfig{
		Name: name, Order: cmp.Or(p.Order, sipside.RoundRobin), HashBy: p.Hash, SharedLocation: p.SharedLocation, SlowStart: p.SlowStart,
		Sourced: p.Source != nil,
	}
	for _, m := range p.Members {
		cfg.Members = append(cfg.Members, m.sipside())
	}
	cfg.Probe = Probe{}.sipside()
	if p.Probe != nil {
		cfg.Probe = p.Probe.sipside()
	}
	return cfg
}

// probeEvery is how often backends are probed where probe does not say it.
const probeEvery = 5 * time.Second

func (p Probe) every() time.Duration {
	if p.Every == nil {
		return probeEvery
	}
	return *p.Every
}

func (p Probe) sipside() sipside.Probe {
	return sipside.Probe{
		Every: p.every(), Timeout: p.Timeout, DownAfter: cmp.Or(p.DownAfter, 3), UpAfter: cmp.Or(p.UpAfter, 2), Accept: ranges(p.Accept),
	}
}

func (m Member) sipside() sipside.Member {
	return sipside.Member{
		URI: m.URI.Uri, Weight: m.Weight, Priority: m.Priority, Drain: m.Drain, MaxCalls: m.MaxCalls, MaxRate: float64(m.MaxRate),
	}
}

func ranges(list []Statuses) sipside.Statuses {
	var all sipside.Statuses
	for _, s := range list {
		all = append(all, s.StatusRange)
	}
	return all
}

// media is the engine's part; web are the addresses of the browsers' TLS listeners.
func (c Config) media(o Options, web []netip.AddrPort, log *slog.Logger) media.Config {
	return media.Config{
		Listen:    c.mediaListen(),
		Clients:   c.TURN.clients(),
		TCP:       !c.Media.TCP.Off,
		Shared:    web,
		Advertise: c.Media.Advertise,
		RTP:       c.rtp().media(),
		Workers:   c.Media.Workers,
		Tick:      c.Media.Tick,
		DSCP:      dscp(c.Media.DSCP, media.DSCPNone),
		Node:      c.node(),
		Log:       log,
		Limits:    o.Limits,
	}
}

// dscp is the key's value in terms of a part's Config, where 0 is the default and none stands for an explicit 0.
func dscp(key *int, none int) int {
	switch {
	case key == nil:
		return 0
	case *key == 0:
		return none
	}
	return *key
}

func (c Config) bridge(o Options, secret []byte, log *slog.Logger) bridge.Config {
	return bridge.Config{
		Node:        strconv.FormatUint(uint64(c.node()), 36),
		Secret:      secret,
		TryTimeout:  c.Call.TryTimeout,
		FlowGrace:   c.Call.FlowGrace,
		OrphanLimit: c.Call.OrphanLimit,
		RingLimit:   c.Call.RingLimit,
		Watch:       c.Call.Watch,
		MaxExpires:  c.Registration.MaxExpires,
		MinExpires:  c.Registration.MinExpires,
		Domains:     c.localDomains(),
		T1:          o.Timers.T1,
		Peerings:    c.peerings(log),
		Limits:      c.Limits.bridge(),
		Recordings:  c.Records.Recordings,
		Log:         log,
	}
}

func (c Config) peerings(log *slog.Logger) map[string]bridge.Peering {
	all := map[string]bridge.Peering{route.Browsers: Peering{}.bridge("")} // with each other
	for name, p := range c.Pools {
		peering := c.Media.RTP.peering(p.Peering, bridge.ReferPass)
		peering.Username, peering.Password = p.Username, p.Password
		all[name] = peering
	}
	for name, t := range c.Trunks {
		all[name] = t.bridge(c.Media.RTP, log)
	}
	return all
}

// peering is a pool's or trunk's, with what it does not say itself.
func (r RTP) peering(p Peering, refer bridge.ReferPolicy) bridge.Peering {
	if p.Shared == nil {
		p.Shared = &r.Shared
	}
	return p.bridge(refer)
}

// bridge is the peering as the bridge wants it; refer is the default of its kind, and who transfers by itself is trusted.
func (p Peering) bridge(refer bridge.ReferPolicy) bridge.Peering {
	policy := sdp.Policy{ICE: p.ICE, Video: p.Video == nil || *p.Video, Transcode: p.Transcode == nil || *p.Transcode}
	switch p.SRTP {
	case "optional":
		policy.Keying, policy.Optional = sdp.SDES, true
	case "sdes":
		policy.Keying, policy.Required = sdp.SDES, true
	case "dtls":
		policy.Keying, policy.Required = sdp.DTLS, true
	}
	expires := 30 * time.Minute
	if p.SessionExpires != nil {
		expires = *p.SessionExpires
	}
	out := bridge.Peering{
		SDP: policy, Direct: p.Media == "direct", Insecure: p.SRTP == "off", DTMF: bridge.DTMF(p.DTMF), Reliable: bridge.Reliable(p.Reliable), SessionExpires: expires,
		Shared: p.Shared != nil && *p.Shared, Refer: refer, PassRedirects: p.Redirect == "pass", Untrusted: refer != bridge.ReferPass, Learn: p.Learn,
		Failover: ranges(p.Failover), TryTimeout: p.TryTimeout,
		Quota: bridge.Quota{Cap: admission.Cap{Calls: p.MaxCalls, Rate: float64(p.MaxRate)}, Status: p.Full, Emergency: p.Emergency},
	}
	if p.Refer != "" {
		out.Refer = bridge.ReferPolicy(p.Refer)
	}
	if p.Trust != nil {
		out.Untrusted = !*p.Trust
	}
	out.Hide = refer != bridge.ReferPass
	if p.Hide != nil {
		out.Hide = *p.Hide
	}
	out.Strip = hiding.Vendors()
	if p.Strip != nil {
		out.Strip = lowered(p.Strip)
	}
	return out
}

func lowered(list []string) []string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = strings.ToLower(text)
	}
	return out
}

// secret keys the Contact tokens. Without one in the configuration it is derived from the machine's id, which machine-id(5)
// allows by a keyed hash, so that a restart replaces its own bindings upstream; without that it is random.
func (c Config) secret(log *slog.Logger) []byte {
	if c.Secret != "" {
		return []byte(c.Secret)
	}
	id, err := os.ReadFile("/etc/machine-id")
	if err == nil && len(strings.TrimSpace(string(id))) == 32 {
		mac := hmac.New(sha256.New, id)
		fmt.Fprintf(mac, "tandem contact tokens, node %d", c.node())
		return mac.Sum(nil)
	}
	log.Warn("no secret in the configuration and no machine id: a restart leaves the registrations of before at the PBX until they expire")
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return key
}

// certPool reads the certificates of authorities from a PEM file.
func certPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := watched.ReadPool(text)
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	return pool, nil
}
