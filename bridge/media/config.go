package media

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"tandem/bridge/sdp"
)

// Config is the engine's part of the configuration.
type Config struct {
	Listen    []netip.AddrPort // for all browsers, UDP; port 0 picks one
	TCP       bool             // passive TCP candidates (RFC 6544): Listen over TCP too
	Clients   []netip.AddrPort // UDP, for TURN's clients (Engine.Clients); port 0 picks one
	Shared    []netip.AddrPort // TCP listeners of others that give their connections to ServeTCP; offered too
	Advertise []netip.Addr     // in candidates, one of each family; none: LegSpec.Reached, else Listen's address
	RTP       RTPConfig
	Workers   int    // default: half of GOMAXPROCS, at least one
	Tick      string // how long a busy worker lets packets collect: "adaptive" (default), "0", "250us", "500us", "1ms"
	DSCP      int    // of packets (RFC 2474): 1 to 63; 0: 46, expedited forwarding; DSCPNone: unmarked
	Node      uint16 // encoded in ufrags
	Log       *slog.Logger
	Limits    Limits
}

// RTPConfig is the side towards the SIP world.
type RTPConfig struct {
	Address, Advertise netip.Addr // Advertise defaults to Address
	Second             RTPAddress // of the other family, for peers whose signalling is of that family; zero: none
	Low, High          uint16     // port range, inclusive; both zero: pairs that the system has free
	Learn              string     // "strict", "signalling" (default), "any"
}

// RTPAddress is an address of ours towards the SIP world, and how SDP names it (default: the same).
type RTPAddress struct{ Address, Advertise netip.Addr }

// Limits are the engine's times. A zero field takes its default.
type Limits struct {
	Consent    time.Duration // WebRTC: Dead without a STUN check for so long; 30 s
	Check      time.Duration // WebRTC: Failed without a first check for so long after both descriptions; 30 s
	Pair       time.Duration // WebRTC: silence of the pair in use, after which another that is checked takes its place; 3 s
	FirstCheck time.Duration // WebRTC: for the check with which a TCP connection has to begin, and to validate a pair; 5 s
	Handshake  time.Duration // WebRTC: for DTLS from its first record; 20 s
	Silence    time.Duration // RTP: Dead without a packet from a peer that is to send; 60 s
	Held       time.Duration // RTP: the same for a peer that is not to send; 1 h
	Learn      time.Duration // RTP, mode any: how long after each SDP any source is learnt; 5 s
	Drain      time.Duration // RTP: how long a freed port pair is not given out again; 5 s
}

func (l Limits) withDefaults() Limits {
	l.Consent = cmp.Or(l.Consent, 30*time.Second)
	l.Check = cmp.Or(l.Check, 30*time.Second)
	l.Pair = cmp.Or(l.Pair, 3*time.Second)
	l.FirstCheck = cmp.Or(l.FirstCheck, 5*time.Second)
	l.Handshake = cmp.Or(l.Handshake, 20*time.Second)
	l.Silence = cmp.Or(l.Silence, 60*time.Second)
	l.Held = cmp.Or(l.Held, time.Hour)
	l.Learn = cmp.Or(l.Learn, 5*time.Second)
	l.Drain = cmp.Or(l.Drain, 5*time.Second)
	return l
}

// Tap sees the packets of a leg's peer that are relayed (recorder).
type Tap interface {
	// Packet is called from the packet path with the plain RTP packet that came from the leg; codec is what it carries, nil
	// where that is neither sound nor pictures. Both are valid only during the call. It must not block.
	Packet(leg *Leg, slot sdp.Slot, codec *sdp.Codec, packet []byte, at time.Time)
}

// DSCPNone is Config.DSCP for unmarked packets.
const (
	DSCPNone = -1
	dscpEF   = 46 // RFC 3246
	dscpMost = 63
)

const maxWorkers = 256 // a ufrag names its worker in one byte

func (c Config) withDefaults() (Config, error) {
	c.Workers = cmp.Or(c.Workers, max(1, runtime.GOMAXPROCS(0)/2)) // each wakes up for a batch of its own: fewer have larger ones
	c.Limits = c.Limits.withDefaults()
	c.Tick = cmp.Or(c.Tick, "adaptive")
	c.DSCP = cmp.Or(c.DSCP, dscpEF)
	c.RTP.Learn = cmp.Or(c.RTP.Learn, "signalling")
	if !c.RTP.Advertise.IsValid() {
		c.RTP.Advertise = c.RTP.Address
	}
	if !c.RTP.Second.Advertise.IsValid() {
		c.RTP.Second.Advertise = c.RTP.Second.Address
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

// shares says that one of the Shared listeners has the TCP port of an address already.
func (c Config) shares(at netip.AddrPort) bool {
	for _, s := range c.Shared {
		if s.Port() == at.Port() && (s.Addr() == at.Addr() || s.Addr().IsUnspecified() || at.Addr().IsUnspecified()) {
			return true
		}
	}
	return false
}

func (c Config) validate() error {
	if c.Workers < 1 || c.Workers > maxWorkers {
		return fmt.Errorf("media: workers %d: must be 1 to %d", c.Workers, maxWorkers)
	}
	if c.DSCP < DSCPNone || c.DSCP > dscpMost {
		return fmt.Errorf("media: dscp %d: must be 0 to %d", c.DSCP, dscpMost)
	}
	for _, l := range c.Listen {
		if !l.Addr().IsValid() {
			return errors.New("media: listen address is missing")
		}
	}
	if _, err := parseLearnMode(c.RTP.Learn); err != nil {
		return err
	}
	if _, err := parseTick(c.Tick); err != nil {
		return err
	}
	if c.RTP.Low == 0 && c.RTP.High == 0 {
		return nil
	}
	if c.RTP.Low == 0 || c.RTP.High <= c.RTP.Low {
		return fmt.Errorf("media: rtp ports %d-%d: not a range of at least one pair", c.RTP.Low, c.RTP.High)
	}
	return nil
}
