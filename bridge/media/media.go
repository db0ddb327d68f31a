// Package media relays the packets of calls as bridge/sdp's Plan says: ICE, DTLS-SRTP and plain RTP, one UDP port for all
// browsers, workers that own their relays, nothing allocated per packet.
package media

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"tandem/bridge/sdp"
)

// Config is the engine's part of the configuration.
type Config struct {
	Listen    []netip.AddrPort // for all browsers; port 0 picks one
	Advertise netip.Addr       // in candidates; zero: LegSpec.Reached, else Listen's address
	RTP       RTPConfig
	Workers   int    // default: GOMAXPROCS
	Node      uint16 // encoded in ufrags
	Tap       Tap
	Log       *slog.Logger
}

// RTPConfig is the side towards the SIP world.
type RTPConfig struct {
	Address, Advertise netip.Addr // Advertise defaults to Address
	Low, High          uint16     // port range, inclusive
	Learn              string     // "strict", "signalling" (default), "any"
}

// Tap sees relayed packets (recorder, pcap). Nil in this version's gateway.
type Tap interface {
	Packet(leg *Leg, stream int, packet []byte, at time.Time)
}

// Engine owns the sockets and the workers.
type Engine struct{}

// Open binds the browsers' port and starts the workers.
func Open(cfg Config) (*Engine, error) { panic("skeleton") }

// Close ends all legs and frees the sockets. Safe to call twice.
func (e *Engine) Close(ctx context.Context) error { panic("skeleton") }

// Addrs are the bound addresses of Config.Listen.
func (e *Engine) Addrs() []netip.AddrPort { panic("skeleton") }

// Leg is one leg's transport.
type Leg struct{}

// LegSpec says what leg to open.
type LegSpec struct {
	Profile    sdp.Profile
	Call, Leg  string      // keys for logs
	Reached    netip.Addr  // WebRTC: the address that the browser's WebSocket reached
	Signalling netip.Addr  // RTP: where the leg's signalling comes from (learning)
	Streams    int         // RTP: port pairs wanted
	OnEvent    func(Event) // called from a worker, must not block
	Restore    *LegState   // from a Snapshot: take these ports, credentials and keys again and relay at once
}

// NewLeg reserves a leg: ports, credentials. ErrNoPorts where the range is used up.
func (e *Engine) NewLeg(spec LegSpec) (*Leg, error) { panic("skeleton") }

// Local is what our SDP says.
func (l *Leg) Local() sdp.Local { panic("skeleton") }

// Restart gives new ICE credentials; the old ones go on to work until the new ones are used.
func (l *Leg) Restart() sdp.Local { panic("skeleton") }

// SetRemote says what the peer's SDP said; ICE and DTLS need it, the RTP side sends and learns by it. May be called again.
func (l *Leg) SetRemote(r sdp.Remote) { panic("skeleton") }

// AnswerSent releases early DTLS: it is held until our answer is out.
func (l *Leg) AnswerSent() { panic("skeleton") }

// Join relays between two legs by a plan, from the next packet on; again with a new plan swaps it. A leg joined
// elsewhere is taken out of its old relay.
func (e *Engine) Join(a, b *Leg, plan sdp.Plan) { panic("skeleton") }

// SendDigit plays an RFC 4733 event (0-9, *, #, A-D, duration) into the leg towards its peer.
func (l *Leg) SendDigit(digit byte, duration time.Duration) error { panic("skeleton") }

// Close frees the leg; its ports drain. Safe to call twice.
func (l *Leg) Close() { panic("skeleton") }

// EventKind is what happened on a leg.
type EventKind uint8

const (
	Connected EventKind = iota + 1 // ICE and DTLS done (WebRTC), first packet learnt (RTP)
	Failed                         // see Reason; the leg will not work
	Dead                           // no STUN check for 30 s (WebRTC), no RTP or RTCP for 60 s where the peer is to send, 1 h held (RTP)
	Alive                          // media came back after Dead
)

// Event tells the leg's owner.
type Event struct {
	Kind   EventKind
	Reason Reason
	At     time.Time
}

// Reason says why a leg failed.
type Reason string

const (
	FingerprintMismatch Reason = "dtls-fingerprint-mismatch"
	HandshakeFailed     Reason = "dtls-handshake-failed"
	NoSRTPProfile       Reason = "dtls-no-srtp-profile"
	NoConnectivity      Reason = "ice-no-check"
)

// LegStats are a leg's figures.
type LegStats struct {
	PacketsIn, PacketsOut, BytesIn, BytesOut uint64
	Drops                                    map[string]uint64 // by reason
	Remote                                   netip.AddrPort
	SRTPProfile                              string
	ConnectedAt                              time.Time
	FirstRTP                                 time.Time
}

// Stats may be called at any time.
func (l *Leg) Stats() LegStats { panic("skeleton") }

// Stats are the engine's figures.
type Stats struct {
	Legs, Relays, PortsUsed, PortsFree int
	PacketsIn, PacketsOut              uint64
	Drops                              map[string]uint64 // by reason
	Handoffs, Handshakes               uint64
	HandshakeFailures                  map[string]uint64
}

// Stats may be called at any time.
func (e *Engine) Stats() Stats { panic("skeleton") }
