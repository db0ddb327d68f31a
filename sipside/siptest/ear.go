package siptest

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/pion/rtp"
)

// ear is what a Media heard.
type ear struct {
	any     bool
	ssrc    uint32
	seq     uint16
	samples []int16 // the latest half second
	at      time.Time
	packets uint64 // of audio
	digits  string
	event   struct {
		any   bool
		stamp uint32
	}
}

// window is how much sound a measurement takes.
const window = rate / 2

// order notes a packet's place and says how many are missing before it.
func (e *ear) order(p *rtp.Packet) (lost uint64) {
	if e.any && p.SSRC == e.ssrc {
		if gap := p.SequenceNumber - e.seq; gap > 1 && gap < 1<<15 {
			lost = uint64(gap - 1)
		}
	}
	e.any, e.ssrc, e.seq = true, p.SSRC, p.SequenceNumber
	return lost
}

func (e *ear) audio(p *rtp.Packet, codec *law) {
	e.at = time.Now()
	e.packets++
	if codec == nil {
		return
	}
	for _, b := range p.Payload {
		e.samples = append(e.samples, codec.decode(b))
	}
	if over := len(e.samples) - window; over > 0 {
		e.samples = append(e.samples[:0], e.samples[over:]...)
	}
}

// dialled notes a telephone event once, however often its packets repeat (RFC 4733 §2.5.1.2: one timestamp).
func (e *ear) dialled(p *rtp.Packet) {
	if len(p.Payload) < 4 || int(p.Payload[0]) >= len(keys) || e.event.any && e.event.stamp == p.Timestamp {
		return
	}
	e.event.any, e.event.stamp = true, p.Timestamp
	e.digits += keys[p.Payload[0] : p.Payload[0]+1]
}

// WaitTone waits until half a second heard from now on is a tone of hz, or says what was heard instead.
func (m *Media) WaitTone(ctx context.Context, hz float64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard.samples = m.heard.samples[:0]
	from := m.heard.packets
	for {
		s := m.heard.samples
		if len(s) >= window && level(s) > 200 && power(s, hz) > 0.8 {
			return nil
		}
		if err := m.wait(ctx); err != nil {
			return fmt.Errorf("siptest: no tone of %.0f Hz in %d packets, but %s: %w", hz, m.heard.packets-from, describe(s), err)
		}
	}
}

// WaitAudio waits until n more audio packets of any codec came.
func (m *Media) WaitAudio(ctx context.Context, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.heard.packets
	for m.heard.packets-from < uint64(n) {
		if err := m.wait(ctx); err != nil {
			return fmt.Errorf("siptest: %d of %d audio packets: %w", m.heard.packets-from, n, err)
		}
	}
	return nil
}

// WaitQuiet waits until for d no audio packet came.
func (m *Media) WaitQuiet(ctx context.Context, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for begun := time.Now(); ; {
		since := m.heard.at
		if since.Before(begun) {
			since = begun
		}
		left := d - time.Since(since)
		if left <= 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("siptest: still hearing %s: %w", describe(m.heard.samples), err)
		}
		quiet, stop := context.WithTimeout(ctx, left)
		_ = m.wait(quiet) // either time has passed or a packet came: the loop looks
		stop()
	}
}

// Digits is what RFC 4733 events have said so far.
func (m *Media) Digits() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard.digits
}

// WaitDigits waits until the digits heard are these.
func (m *Media) WaitDigits(ctx context.Context, digits string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.heard.digits != digits {
		if err := m.wait(ctx); err != nil {
			return fmt.Errorf("siptest: heard digits %q, not %q: %w", m.heard.digits, digits, err)
		}
	}
	return nil
}

// wait waits for the next packet. Called with mu held, and holds it again when it returns.
func (m *Media) wait(ctx context.Context) error {
	changed := m.changed
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.done:
		return fmt.Errorf("the media is closed")
	}
}

func payloadType(format string) uint8 {
	n, err := strconv.ParseUint(format, 10, 7)
	if err != nil {
		return 0x7f
	}
	return uint8(n)
}
