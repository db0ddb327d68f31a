package load

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"golang.org/x/sys/unix"
)

const (
	rtpHeader   = 12
	history     = 256 // packets of a stream whose sending times are kept
	browserNet  = 64  // 127.64.0.0/16
	phoneNet    = 128 // 127.128.0.0/16
	payloadHead = 8   // session, direction and counter in front of each payload
)

// Session is one call's two ends.
type Session struct {
	// static after construction
	generator *Generator
	number    int
	ends      Ends
	profile   Profile
	ufrag     string
	password  string

	// said by signalling, before the load begins
	remote           browserRemote
	phone, phoneRTCP unix.RawSockaddrInet4 // where the phone sends to

	// any goroutine
	keys     atomic.Pointer[keys]   // nil: plain RTP on the browser's side too
	pipe     atomic.Pointer[pipe]   // of the handshake under way
	answered chan struct{}          // a check was answered
	turning  atomic.Pointer[turned] // the allocation; nil: none
	turned   atomic.Pointer[turned] // the same once its channel is bound
	spoke    atomic.Bool            // ICE is up: checks go on
	invited  atomic.Bool            // the phone's part is said; whoever has seen it may read that

	// owned by the loop
	up, down stream // the browser's, the phone's
}

// browserRemote is the gateway's end towards the browser.
type browserRemote struct {
	ufrag, password string
	addr            unix.RawSockaddrInet4
}

// keys are a session's SRTP contexts; owned by the loop once published.
type keys struct {
	seal, open *srtp.Context
	header     rtp.Header // scratch
}

// stream is one direction's packets.
type stream struct {
	codec       Codec
	voice       [][]byte // nil: payloads that tell where they come from
	ssrc        uint32
	payloadType uint8
	sequence    uint16
	timestamp   uint32
	counter     uint32
	sent        [history]int64 // Unix ns by counter; 0: it has arrived
}

// NewSession makes a session and its addresses; signalling has to connect it.
func (g *Generator) NewSession(ends Ends, profile Profile) (*Session, error) {
	s := &Session{
		generator: g, ends: ends, profile: profile, answered: make(chan struct{}, 1),
		ufrag: strings.ToLower(rand.Text()[:4]), password: strings.ToLower(rand.Text()[:24]),
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	for i, t := range []*stream{&s.up, &s.down} {
		t.ssrc = binary.BigEndian.Uint32(random[8*i:]) | 1
		t.sequence = binary.BigEndian.Uint16(random[8*i+4:]) & 0x7fff
	}
	s.up.codec, s.down.codec = ends.Browser, ends.Phone
	if ends.converted() {
		s.up.voice, s.down.voice = g.voices[ends.Browser], g.voices[ends.Phone]
		if len(s.up.voice) == 0 || len(s.down.voice) == 0 {
			return nil, fmt.Errorf("load: no voice for %v", ends)
		}
	} else if ends.Browser == Opus {
		s.up.payloadType, s.down.payloadType = browserOpus, browserOpus
	}
	return s, g.register(s)
}

// Number identifies the session among the generator's.
func (s *Session) Number() int { return s.number }

func (s *Session) browserAddr() [4]byte {
	return [4]byte{127, browserNet, byte(s.number >> 8), byte(s.number)}
}

func (s *Session) phoneAddr() [4]byte {
	return [4]byte{127, phoneNet, byte(s.number >> 8), byte(s.number)}
}

// BrowserAddr is from where the browser sends.
func (s *Session) BrowserAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(s.browserAddr()), s.generator.browsers.port)
}

// PhoneAddr is from where the phone sends.
func (s *Session) PhoneAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(s.phoneAddr()), s.generator.phones.port)
}

// Plain makes it a session without ICE and encryption, with a forwarder's two addresses.
func (s *Session) Plain(browserTo, phoneTo netip.AddrPort) {
	s.remote.addr, s.phone = rawAddr(browserTo), rawAddr(phoneTo)
}

// Direct makes it a session with nothing between its ends.
func (s *Session) Direct() { s.Plain(s.PhoneAddr(), s.BrowserAddr()) }

// Close gives the session's addresses back.
func (s *Session) Close() error {
	s.generator.forget(s)
	return nil
}

// write makes the stream's next packet in p, which has room, and notes when it left.
func (t *stream) write(p []byte, s *Session, direction byte, now int64) []byte {
	size := rtpHeader + t.codec.payload()
	if t.voice != nil {
		size = rtpHeader + copy(p[rtpHeader:cap(p)], t.voice[int(t.counter)%len(t.voice)])
	}
	p = p[:size]
	p[0], p[1] = 0x80, t.payloadType
	binary.BigEndian.PutUint16(p[2:], t.sequence)
	binary.BigEndian.PutUint32(p[4:], t.timestamp)
	binary.BigEndian.PutUint32(p[8:], t.ssrc)
	if t.voice == nil {
		t.sign(p, s, direction)
	}
	t.sent[t.counter%history] = now
	t.counter++
	t.sequence++
	t.timestamp += t.codec.step()
	return p
}

// sign fills a payload with where it comes from.
func (t *stream) sign(p []byte, s *Session, direction byte) {
	binary.BigEndian.PutUint16(p[12:], uint16(s.number))
	p[14], p[15] = direction, 'T'
	binary.BigEndian.PutUint32(p[16:], t.counter)
	for i := rtpHeader + payloadHead; i < len(p); i++ {
		p[i] = byte(t.counter) + byte(i)
	}
}

// take finds out when a packet that arrived was sent; 0 where it came before, an error where its content is not the stream's.
func (t *stream) take(p []byte, s *Session, direction byte) (sent int64, err error) {
	size := rtpHeader + t.codec.payload()
	if len(p) != size || p[0] != 0x80 {
		return 0, fmt.Errorf("load: session %d: %d bytes with %#02x in front, want %d with 0x80", s.number, len(p), p[:1], size)
	}
	counter := binary.BigEndian.Uint32(p[16:])
	last := byte(counter) + byte(size-1)
	if int(binary.BigEndian.Uint16(p[12:])) != s.number || p[14] != direction || p[15] != 'T' || p[size-1] != last || counter >= t.counter {
		return 0, fmt.Errorf("load: session %d: a payload of another stream: % x", s.number, p[12:20])
	}
	if t.counter-counter > history {
		return 0, nil
	}
	at := &t.sent[counter%history]
	sent, *at = *at, 0
	return sent, nil
}

// takeConverted takes a packet that was made by the gateway, whose only witness is that it came: none tells which one of ours it
// carries, so it counts as sent when it arrived.
func (t *stream) takeConverted(p []byte, s *Session, _ byte) (sent int64, err error) {
	if len(p) <= rtpHeader {
		return 0, fmt.Errorf("load: session %d: a converted packet of %d bytes", s.number, len(p))
	}
	return time.Now().UnixNano(), nil
}
