package sipside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Listen is one listener.
type Listen struct {
	Network string // "udp", "tcp", "tls"
	Addr    netip.AddrPort
	TLS     *tls.Config // for "tls"
}

// Probe says how members are watched by OPTIONS.
type Probe struct {
	Every     time.Duration // 0: no probing, every member counts as alive
	Timeout   time.Duration // a later answer is none; default: Every, 2 s at most
	DownAfter int           // failures in a row until a member is down; default 3
	UpAfter   int           // answers in a row until it is up again; default 2
	Accept    Statuses      // what counts as an answer; default: all but 408 and 503, which say that it cannot work
}

// Statuses are ranges of SIP statuses, such as 200 to 299.
type Statuses []StatusRange

// StatusRange has both its ends.
type StatusRange struct{ Low, High int }

// Has says whether a status is in the range.
func (r StatusRange) Has(status int) bool { return r.Low <= status && status <= r.High }

// Has says whether a status is in one of the ranges.
func (s Statuses) Has(status int) bool {
	return slices.ContainsFunc(s, func(r StatusRange) bool { return r.Has(status) })
}

// Member is one server of a pool.
type Member struct {
	URI      sip.Uri // host, port, transport parameter
	Weight   int     // 1 to 100; 0 means 1
	Priority int     // lower ones first, where the order is Priority
	Drain    bool    // it gets no new requests
	MaxCalls int     // what Backend.Cap says: at once
	MaxRate  float64 // and new ones a second
}

// PoolConfig is a pool of PBXs.
type PoolConfig struct {
	Name           string
	Order          string // see Orders; default RoundRobin
	HashBy         string // see HashKeys, for the order Hash; default ByCaller
	SharedLocation bool   // all members know where the users of each are: nothing stays with one
	Members        []Member
	Sourced        bool // members come from elsewhere, too: there may be none yet
	Probe          Probe
	SlowStart      time.Duration // in which a member that is up again, or added, comes to its whole share
}

// TrunkConfig is one plain SIP trunk.
type TrunkConfig struct {
	Name    string
	URI     sip.Uri
	More    []sip.Uri      // servers that are tried after URI's, in their order; by the same transport
	Sources []netip.Prefix // whence its requests may come, besides the addresses of URI
	Account Account
	Probe   Probe // the zero one: traffic alone says how it is
	Drain   bool  // it gets no new requests
	TLS     *TLS  // default: Config.ClientTLS, and the host of URI
}

// Resolver looks host names up; *net.Resolver meets it.
type Resolver interface {
	// LookupNetIP gives the addresses of host; network is "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is the door's part of the configuration.
type Config struct {
	Listen    []Listen
	Advertise string // host in Via and Contact; default: the listener's address
	ClientTLS *tls.Config
	DSCP      int // of what is sent (RFC 2474): 1 to 63; 0: 24, CS3; DSCPNone: unmarked
	Pools     []PoolConfig
	Trunks    []TrunkConfig
	Guard     Guard // may be nil: strangers are met with silence
	Timers    transaction.Config
	Trace     transaction.Trace
	Log       *slog.Logger
	DNS       netip.AddrPort // the name server for NAPTR, SRV, A and AAAA; default: the system's
	Resolver  Resolver       // in the place of all DNS: addresses only
}

const maxWeight = 100

const (
	DSCPNone = -1 // Config.DSCP: unmarked
	dscpCS3  = 24 // signalling (RFC 4594 §4.1)
	dscpMost = 63
)

func (c Config) dscp() int {
	switch c.DSCP {
	case 0:
		return dscpCS3
	case DSCPNone:
		return 0
	}
	return c.DSCP
}

// Validate checks the configuration without opening anything; errors name the key.
func (c Config) Validate() error {
	if len(c.Listen) == 0 {
		return errors.New("sip.listen: at least one listener is needed")
	}
	if c.DSCP < DSCPNone || c.DSCP > dscpMost {
		return fmt.Errorf("sip.dscp: %d is not within 0 to %d", c.DSCP, dscpMost)
	}
	for i, l := range c.Listen {
		if err := c.validateListen(l); err != nil {
			return fmt.Errorf("sip.listen[%d]: %w", i, err)
		}
	}
	return c.validatePeers()
}

// validatePeers checks the pools and trunks.
func (c Config) validatePeers() error {
	names := map[string]bool{}
	for _, p := range c.Pools {
		if err := validateName(names, p.Name); err != nil {
			return fmt.Errorf("pools.%s: %w", p.Name, err)
		}
		if err := c.validatePool(p); err != nil {
			return fmt.Errorf("pools.%s.%w", p.Name, err)
		}
	}
	for _, t := range c.Trunks {
		if err := validateName(names, t.Name); err != nil {
			return fmt.Errorf("trunks.%s: %w", t.Name, err)
		}
		if err := c.validateURI(t.URI); err != nil {
			return fmt.Errorf("trunks.%s.uri: %w", t.Name, err)
		}
		if err := c.validateMore(t); err != nil {
			return fmt.Errorf("trunks.%s.uri: %w", t.Name, err)
		}
		if err := t.Probe.validate(); err != nil {
			return fmt.Errorf("trunks.%s.%w", t.Name, err)
		}
	}
	return nil
}

func (c Config) validateListen(l Listen) error {
	switch transport(strings.ToUpper(l.Network)) {
	case udp, tcp:
	case tlsT:
		if l.TLS == nil {
			return errors.New("tls needs a certificate")
		}
	default:
		return fmt.Errorf("unknown network %q: udp, tcp or tls", l.Network)
	}
	if !l.Addr.IsValid() {
		return errors.New("no address")
	}
	if l.Addr.Addr().IsUnspecified() && c.Advertise == "" {
		return fmt.Errorf("%s says no address that others could answer to: set sip.advertise", l.Addr)
	}
	return nil
}

func validateName(seen map[string]bool, name string) error {
	if name == "" || strings.ContainsAny(name, "/ ") {
		return errors.New("a name without slashes and spaces is needed")
	}
	if seen[name] {
		return errors.New("the name is used twice")
	}
	seen[name] = true
	return nil
}

func (c Config) validatePool(p PoolConfig) error {
	if p.Order != "" && !slices.Contains(Orders(), p.Order) {
		return fmt.Errorf("order: unknown order %q: one of %s", p.Order, strings.Join(Orders(), ", "))
	}
	if p.HashBy != "" && !slices.Contains(HashKeys(), p.HashBy) {
		return fmt.Errorf("hash: unknown key %q: one of %s", p.HashBy, strings.Join(HashKeys(), ", "))
	}
	if err := p.Probe.validate(); err != nil {
		return err
	}
	if p.SlowStart < 0 {
		return errors.New("slow-start: a negative value makes no sense")
	}
	if len(p.Members) == 0 && !p.Sourced {
		return errors.New("members: at least one member is needed")
	}
	seen := map[string]bool{}
	for i, m := range p.Members {
		if err := c.validateURI(m.URI); err != nil {
			return fmt.Errorf("members[%d]: %w", i, err)
		}
		if m.Weight < 0 || m.Weight > maxWeight {
			return fmt.Errorf("members[%d].weight: %d is not in 1 to %d", i, m.Weight, maxWeight)
		}
		name := memberName(p.Name, m.URI)
		if seen[name] {
			return fmt.Errorf("members[%d]: %s is listed twice", i, name)
		}
		seen[name] = true
	}
	return nil
}

// validateURI checks that a backend can be reached: a UDP backend needs a UDP listener, for its socket is the source.
func (c Config) validateURI(uri sip.Uri) error {
	t, err := targetOf(uri)
	if err != nil {
		return err
	}
	if t.transport != udp {
		return nil
	}
	for _, l := range c.Listen {
		if transport(strings.ToUpper(l.Network)) == udp {
			return nil
		}
	}
	return fmt.Errorf("%s is reached by UDP, but sip.listen has no udp listener", uri.String())
}

// validateMore checks a trunk's further servers. A transaction runs over one kind of transport.
func (c Config) validateMore(t TrunkConfig) error {
	first, err := targetOf(t.URI)
	if err != nil {
		return err
	}
	for _, uri := range t.More {
		if err := c.validateURI(uri); err != nil {
			return err
		}
		if another, _ := targetOf(uri); another.transport != first.transport {
			return fmt.Errorf("%s is reached by %s, and %s by %s", uri.String(), another.transport, t.URI.String(), first.transport)
		}
	}
	return nil
}

func (p Probe) validate() error {
	if p.Every < 0 || p.Timeout < 0 || p.DownAfter < 0 || p.UpAfter < 0 {
		return errors.New("probe: negative values make no sense")
	}
	return nil
}

// withDefaults fills what was left out.
func (p Probe) withDefaults() Probe {
	if p.DownAfter == 0 {
		p.DownAfter = 3
	}
	if p.UpAfter == 0 {
		p.UpAfter = 2
	}
	if p.Timeout == 0 {
		p.Timeout = min(p.Every, probeTimeout)
	}
	return p
}

const probeTimeout = 2 * time.Second

// accepts says whether a final response to a probe is an answer.
func (p Probe) accepts(status int) bool {
	if len(p.Accept) > 0 {
		return p.Accept.Has(status)
	}
	return status != sip.StatusRequestTimeout && status != sip.StatusServiceUnavailable
}

func memberName(pool string, uri sip.Uri) string {
	t, err := targetOf(uri)
	if err != nil {
		return pool + "/" + uri.Host
	}
	return pool + "/" + t.hostPort()
}
