package wsstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// eventDigits are the RFC 4733 events in their order.
const eventDigits = "0123456789*#ABCD"

const (
	window       = 1600 // samples of 200 ms at 8 kHz
	keptPayloads = 64
	silence      = 200.0 // RMS below which a packet counts as silent
)

// ear is the loudspeaker: it counts, measures and remembers what comes in.
type ear struct {
	mu sync.Mutex
	// guarded by mu
	packets  uint64
	codec    string
	payloads [][]byte
	samples  []float64 // the last 200 ms, G.711 only
	loud     time.Time // when the last packet came that was not silent
	digits   []byte
	lastMark uint32 // timestamp of the last digit
	hasMark  bool
}

func newEar() *ear { return &ear{} }

// listen reads a track until the PeerConnection is closed.
func (e *ear) listen(remote *webrtc.TrackRemote, closed <-chan struct{}) {
	for {
		packet, _, err := remote.ReadRTP()
		select {
		case <-closed:
			return
		default:
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return
		case err != nil:
			continue // a payload type that was not negotiated
		}
		e.hear(packet, codecName(remote.Codec().MimeType))
	}
}

func (e *ear) hear(packet *rtp.Packet, codec string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if codec == telephoneEvent {
		e.hearEvent(packet)
		return
	}
	e.packets++
	e.codec = codec
	e.payloads = append(e.payloads, slices.Clone(packet.Payload))
	if len(e.payloads) > keptPayloads {
		e.payloads = e.payloads[1:]
	}
	var samples []float64
	switch codec {
	case "PCMU":
		samples = decode(packet.Payload, mulawToLinear)
	case "PCMA":
		samples = decode(packet.Payload, alawToLinear)
	default:
		e.loud = time.Now() // what cannot be heard is not silence
		return
	}
	if rms(samples) > silence {
		e.loud = time.Now()
	}
	e.samples = append(e.samples, samples...)
	if n := len(e.samples) - window; n > 0 {
		e.samples = e.samples[n:]
	}
}

// hearEvent takes a telephone-event once, whatever its number of packets. Called with mu held.
func (e *ear) hearEvent(packet *rtp.Packet) {
	if len(packet.Payload) < 4 || int(packet.Payload[0]) >= len(eventDigits) {
		return
	}
	if e.hasMark && e.lastMark == packet.Timestamp {
		return
	}
	e.hasMark, e.lastMark = true, packet.Timestamp
	e.digits = append(e.digits, eventDigits[packet.Payload[0]])
}

// recent is a copy of the last 200 ms; nil before so much came.
func (e *ear) recent() []float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.samples) < window {
		return nil
	}
	return slices.Clone(e.samples)
}

// Received counts the audio packets received.
func (m *Media) Received() uint64 {
	m.ear.mu.Lock()
	defer m.ear.mu.Unlock()
	return m.ear.packets
}

// Codec is that of the last audio packet received ("PCMU"); "" before.
func (m *Media) Codec() string {
	m.ear.mu.Lock()
	defer m.ear.mu.Unlock()
	return m.ear.codec
}

// Payloads are the last 64 audio payloads received, oldest first.
func (m *Media) Payloads() [][]byte {
	m.ear.mu.Lock()
	defer m.ear.mu.Unlock()
	return slices.Clone(m.ear.payloads)
}

// Digits are the RFC 4733 events received.
func (m *Media) Digits() string {
	m.ear.mu.Lock()
	defer m.ear.mu.Unlock()
	return string(m.ear.digits)
}

// Frequency is the strongest frequency (300 to 3400 Hz, steps of 10) of the last 200 ms of G.711 received; 0 in silence.
func (m *Media) Frequency() float64 {
	samples := m.ear.recent()
	if rms(samples) <= silence {
		return 0
	}
	best, at := 0.0, 0.0
	for hz := 300.0; hz <= 3400; hz += 10 {
		if share := goertzel(samples, hz); share > best {
			best, at = share, hz
		}
	}
	return at
}

// WaitTone waits until the last 200 ms received are a tone of hz (Goertzel, 80 % of the energy), so that noise does not pass.
func (m *Media) WaitTone(ctx context.Context, hz float64) error {
	err := poll(ctx, func() bool {
		samples := m.ear.recent()
		return rms(samples) > silence && goertzel(samples, hz) >= 0.8
	})
	if err != nil {
		return fmt.Errorf("wsstest: no tone of %.0f Hz, but %.0f Hz in %d packets of %q: %w", hz, m.Frequency(), m.Received(),
			m.Codec(), err)
	}
	return nil
}

// WaitReceived waits until n more audio packets have come.
func (m *Media) WaitReceived(ctx context.Context, n uint64) error {
	before := m.Received()
	if err := poll(ctx, func() bool { return m.Received() >= before+n }); err != nil {
		return fmt.Errorf("wsstest: %d of %d audio packets came: %w", m.Received()-before, n, err)
	}
	return nil
}

// WaitQuiet waits until nothing but silence has come for the time given, counted from the call at the earliest.
func (m *Media) WaitQuiet(ctx context.Context, quiet time.Duration) error {
	began := time.Now()
	err := poll(ctx, func() bool {
		m.ear.mu.Lock()
		defer m.ear.mu.Unlock()
		since := began
		if m.ear.loud.After(since) {
			since = m.ear.loud
		}
		return time.Since(since) >= quiet
	})
	if err != nil {
		return fmt.Errorf("wsstest: it is not quiet: %w", err)
	}
	return nil
}
