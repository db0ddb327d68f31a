package media

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tandem/bridge/sdp"
)

// Errors of SendDigit.
var (
	ErrNotJoined  = errors.New("media: leg is not joined")
	ErrDigitForm  = errors.New("media: peer takes no digits in packets")
	ErrDigit      = errors.New("media: not a digit")
	ErrDigitQueue = errors.New("media: too many digits waiting")
)

// DigitForm is how digits reach a leg's peer.
type DigitForm uint8

const (
	DigitEvents DigitForm = iota // RFC 4733
	DigitTones                   // in the audio, which is G.711
	DigitReport                  // not in packets: an Event of the leg where they came from tells each (SIP INFO follows)
)

// Digits says how a leg deals with digits. The zero value is RFC 4733 both ways.
type Digits struct {
	Form   DigitForm
	Detect bool // the peer's audio is listened to for tones, where it is G.711
}

// SetDigits says how the leg deals with digits from the next packet on.
func (l *Leg) SetDigits(d Digits) {
	l.mu.Lock()
	l.digits = d
	l.mu.Unlock()
	l.order(func(w *worker, l *Leg) { l.setDigits(w, d) })
}

const digitCodes = "0123456789*#ABCD" // by event code (RFC 4733 §3.2)

// digit is one that is played.
type digit struct {
	code   byte
	volume byte          // -dBm0
	length time.Duration // open: at least
	open   bool          // it goes on until its sender ends it
}

// SendDigit plays a digit (0-9, *, #, A-D) into the leg towards its peer, in place of the audio and in the leg's form.
// Digits wait for each other. ErrDigit, ErrNotJoined, ErrDigitForm, ErrDigitQueue.
func (l *Leg) SendDigit(key byte, duration time.Duration) error {
	code := strings.IndexByte(digitCodes, key&^caseBit(key))
	if code < 0 {
		return fmt.Errorf("%w: %q", ErrDigit, key)
	}
	l.mu.Lock()
	form := l.digits.Form
	l.mu.Unlock()
	j := l.joined.Load()
	if j == nil || l.closed.Load() || j.other(l).closed.Load() {
		return ErrNotJoined
	}
	side := 0
	if j.legs[1] == l {
		side = 1
	}
	if digitStream(&j.plan, side, form) < 0 {
		return ErrDigitForm
	}
	if !l.counters.oneMoreDigit() {
		return ErrDigitQueue
	}
	d := digit{code: byte(code), volume: digitVolume, length: min(max(duration, digitShort), digitLong)}
	l.order(func(w *worker, l *Leg) { l.enqueueDigit(w, d) })
	return nil
}

// oneMoreDigit counts a digit that is to wait; false where too many do.
func (c *legCounters) oneMoreDigit() bool {
	if c.digits.Add(1) > maxDigits {
		c.digits.Add(-1)
		return false
	}
	return true
}

// caseBit is what makes a letter lower case.
func caseBit(key byte) byte {
	if key >= 'a' && key <= 'd' {
		return 'a' - 'A'
	}
	return 0
}

// digitStream is the stream in which the leg on that side takes digits of a form; -1: none.
func digitStream(p *sdp.Plan, side int, form DigitForm) int {
	for i := range p.Streams {
		s := &p.Streams[i]
		if form == DigitEvents && s.Telephone[side].Name != "" || form == DigitTones && isG711(s.Codec[side]) {
			return i
		}
	}
	return -1
}

func isG711(c sdp.Codec) bool {
	return c.Clock == 8000 && (strings.EqualFold(c.Name, "PCMU") || strings.EqualFold(c.Name, "PCMA"))
}
