package siptest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/pion/rtp"
)

// keys are the events 0 to 15 of RFC 4733 §3.2.
const keys = "0123456789*#ABCD"

// An event sounds for 100 ms, its end is sent three times (RFC 4733 §2.5.1.4), and a pause of 60 ms follows.
const (
	eventFrames = 5
	endFrames   = 3
	pauseFrames = 3
)

// digit is an event on its way.
type digit struct {
	event byte
	tick  int
	stamp uint32
	done  chan struct{}
}

// SendDigits sends RFC 4733 events, 100 ms each, and returns when the last one is over.
func (m *Media) SendDigits(ctx context.Context, digits string) error {
	var last *digit
	m.mu.Lock()
	if m.events == "" {
		m.mu.Unlock()
		return fmt.Errorf("siptest: telephone-event was not agreed")
	}
	for _, r := range strings.ToUpper(digits) {
		event := strings.IndexRune(keys, r)
		if event < 0 {
			m.mu.Unlock()
			return fmt.Errorf("siptest: %q is no key", r)
		}
		last = &digit{event: byte(event), done: make(chan struct{})}
		m.dialling = append(m.dialling, last)
	}
	m.mu.Unlock()
	if last == nil {
		return nil
	}
	select {
	case <-last.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.done:
		return fmt.Errorf("siptest: the media is closed")
	}
}

// dial sends this tick's packet of the first digit in line. Called with mu held.
func (m *Media) dial() {
	d := m.dialling[0]
	if d.tick == 0 {
		d.stamp = m.stamp
	}
	d.tick++
	if d.tick <= eventFrames+endFrames {
		end := d.tick > eventFrames
		payload := []byte{d.event, 10, 0, 0} // −10 dBm0
		if end {
			payload[1] |= 0x80
		}
		binary.BigEndian.PutUint16(payload[2:], uint16(min(d.tick, eventFrames)*frame))
		m.write(rtp.Header{PayloadType: payloadType(m.events), Timestamp: d.stamp, Marker: d.tick == 1}, payload)
	}
	if d.tick == eventFrames+endFrames+pauseFrames {
		close(d.done)
		m.dialling = m.dialling[1:]
	}
}
