package wsstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const packetTime = 20 * time.Millisecond

// track is the microphone: a tone, or payloads of any codec, and telephone-events.
type track struct {
	// static after construction
	opt MediaOptions

	sent    atomic.Uint64
	allowed atomic.Bool

	mu sync.Mutex
	// guarded by mu
	out   webrtc.TrackLocalWriter
	ssrc  webrtc.SSRC
	codec webrtc.RTPCodecParameters
	event webrtc.RTPCodecParameters // telephone-event at the codec's clock; no MimeType where there is none
	tone  tone
	digit *outgoingDigit

	// owned by run
	sequence  uint16
	timestamp uint32
	count     int
}

// outgoingDigit is an RFC 4733 event under way.
type outgoingDigit struct {
	event     byte
	total     uint16 // duration in timestamp units
	elapsed   uint16
	timestamp uint32
	begun     bool
	ends      int // packets with the end bit
	done      chan struct{}
}

func newTrack(opt MediaOptions) *track {
	return &track{opt: opt, tone: tone{hz: opt.Tone}}
}

// ID, RID, StreamID and Kind are of webrtc.TrackLocal.
func (t *track) ID() string                { return "audio" }
func (t *track) RID() string               { return "" }
func (t *track) StreamID() string          { return "wsstest" }
func (t *track) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

// Bind chooses among the negotiated codecs.
func (t *track) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	codecs := ctx.CodecParameters()
	wanted := []string{"PCMU", "PCMA", anyCodec}
	if t.opt.Send != "" {
		wanted = []string{t.opt.Send}
	}
	for _, name := range wanted {
		for _, codec := range codecs {
			this := codecName(codec.MimeType)
			if strings.EqualFold(this, name) || name == anyCodec && this != telephoneEvent {
				t.use(ctx, codec, codecs)
				return codec, nil
			}
		}
	}
	return webrtc.RTPCodecParameters{}, fmt.Errorf("wsstest: nothing to send with: %q is not among the negotiated %v", t.opt.Send, codecs)
}

const anyCodec = "*"

const telephoneEvent = "telephone-event"

func (t *track) use(ctx webrtc.TrackLocalContext, codec webrtc.RTPCodecParameters, all []webrtc.RTPCodecParameters) {
	t.out, t.ssrc, t.codec = ctx.WriteStream(), ctx.SSRC(), codec
	t.event = webrtc.RTPCodecParameters{}
	for _, other := range all {
		if codecName(other.MimeType) == telephoneEvent && other.ClockRate == codec.ClockRate {
			t.event = other
		}
	}
}

// Unbind ends sending.
func (t *track) Unbind(webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = nil
	return nil
}

// allow switches sending by the negotiated direction.
func (t *track) allow(send bool) { t.allowed.Store(send) }

// run sends a packet every 20 ms until closed. The timestamp runs on while nothing is sent.
func (t *track) run(closed <-chan struct{}) {
	tick := time.NewTicker(packetTime)
	defer tick.Stop()
	for {
		select {
		case <-closed:
			return
		case <-tick.C:
			t.step()
		}
	}
}

func (t *track) step() {
	t.mu.Lock()
	defer t.mu.Unlock()
	samples := t.codec.ClockRate / 50
	t.timestamp += samples
	if t.out == nil || !t.allowed.Load() {
		return
	}
	if t.digit != nil {
		t.sendEvent(uint16(samples))
		return
	}
	header := t.header(t.codec.PayloadType)
	header.Marker = t.count == 0
	t.write(header, t.payload(int(samples)))
	t.count++
	t.sent.Add(1)
}

func (t *track) header(pt webrtc.PayloadType) *rtp.Header {
	t.sequence++
	return &rtp.Header{Version: 2, PayloadType: uint8(pt), SequenceNumber: t.sequence, Timestamp: t.timestamp, SSRC: uint32(t.ssrc)}
}

func (t *track) write(header *rtp.Header, payload []byte) {
	_, _ = t.out.WriteRTP(header, payload) // fails while the connection closes
}

func (t *track) payload(samples int) []byte {
	switch codecName(t.codec.MimeType) {
	case "PCMU":
		return t.tone.next(samples, linearToMulaw)
	case "PCMA":
		return t.tone.next(samples, linearToAlaw)
	}
	return t.opt.Payload(t.count)
}

// markedPayload is 40 bytes that carry n: it looks like a 20 ms Opus packet (CELT, fullband, mono).
func markedPayload(n int) []byte {
	p := make([]byte, 40)
	p[0] = 0xf8
	binary.BigEndian.PutUint32(p[1:], uint32(n))
	copy(p[5:], "wsstest")
	return p
}

// sendEvent sends the next packet of the digit (RFC 4733 §2.5.1). Called with mu held.
func (t *track) sendEvent(samples uint16) {
	d := t.digit
	header := t.header(t.event.PayloadType)
	if !d.begun {
		d.begun, d.timestamp, header.Marker = true, t.timestamp, true
	}
	header.Timestamp = d.timestamp
	d.elapsed = min(d.elapsed+samples, d.total)
	payload := []byte{d.event, 10, 0, 0}
	binary.BigEndian.PutUint16(payload[2:], d.elapsed)
	if d.elapsed == d.total {
		payload[1] |= 0x80
		d.ends++
	}
	t.write(header, payload)
	if d.ends == 3 {
		t.digit = nil
		close(d.done)
	}
}

// SetTone changes the tone sent.
func (m *Media) SetTone(hz float64) {
	m.track.mu.Lock()
	defer m.track.mu.Unlock()
	m.track.tone.hz = hz
}

// Sent counts the audio packets sent.
func (m *Media) Sent() uint64 { return m.track.sent.Load() }

// SendDigit sends an RFC 4733 event of the duration and waits until it is out. Without telephone-event at the codec's clock, or
// while another digit is sent, it is an error.
func (m *Media) SendDigit(digit byte, d time.Duration) error {
	event := strings.IndexByte(eventDigits, digit)
	if event < 0 {
		return fmt.Errorf("wsstest: no digit %q", digit)
	}
	t := m.track
	t.mu.Lock()
	if t.event.MimeType == "" || t.digit != nil || m.opt.Silent {
		t.mu.Unlock()
		return errors.New("wsstest: no telephone-event negotiated for the codec, silent, or a digit is under way")
	}
	done := make(chan struct{})
	t.digit = &outgoingDigit{event: byte(event), total: uint16(d.Seconds() * float64(t.event.ClockRate)), done: done}
	t.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-m.closed:
		return errors.New("wsstest: the PeerConnection was closed")
	}
}
