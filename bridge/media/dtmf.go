package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"tandem/bridge/sdp"
)

// Errors of SendDigit.
var (
	ErrNotJoined        = errors.New("media: leg is not joined")
	ErrNoTelephoneEvent = errors.New("media: peer takes no telephone-event")
	ErrDigit            = errors.New("media: not a digit")
	ErrDigitQueue       = errors.New("media: too many digits waiting")
)

const (
	digitUpdate  = 20 * time.Millisecond
	digitGap     = 60 * time.Millisecond // between two digits, with audio in it
	digitEnds    = 3                     // repetitions of the end packet (RFC 4733 §2.5.1.4)
	digitShort   = 40 * time.Millisecond // shorter ones are not heard by many gateways
	digitLong    = 6 * time.Second
	digitVolume  = 10 // -10 dBm0
	maxDigits    = 64 // waiting on a leg
	eventLength  = 4
	maxEventTime = 0xffff
)

// player sends the digits that wait on a leg; owned by the leg's worker.
type player struct {
	waiting  []digit
	playing  bool
	due      int64 // next packet
	now      digit
	start    uint32 // RTP timestamp of the event
	elapsed  uint32 // of the event, in timestamp units
	ends     int    // end packets sent
	stream   int
	packet   [rtpMin + eventLength + tagRoom]byte
	announce bool // the next packet is the event's first
}

// digit is one event: its code (RFC 4733 §3.2) and length.
type digit struct {
	code   byte
	length time.Duration
}

// SendDigit plays an RFC 4733 event (0-9, *, #, A-D, duration) into the leg towards its peer, in place of the audio.
// Digits wait for each other. ErrDigit, ErrNotJoined, ErrNoTelephoneEvent, ErrDigitQueue.
func (l *Leg) SendDigit(key byte, duration time.Duration) error {
	code := strings.IndexByte("0123456789*#ABCD", key&^caseBit(key))
	if code < 0 {
		return fmt.Errorf("%w: %q", ErrDigit, key)
	}
	l.mu.Lock()
	j := l.joined
	l.mu.Unlock()
	if j == nil || l.closed.Load() || j.other(l).closed.Load() {
		return ErrNotJoined
	}
	side := 0
	if j.legs[1] == l {
		side = 1
	}
	if telephoneStream(&j.plan, side) < 0 {
		return ErrNoTelephoneEvent
	}
	if l.counters.digits.Add(1) > maxDigits {
		l.counters.digits.Add(-1)
		return ErrDigitQueue
	}
	d := digit{byte(code), min(max(duration, digitShort), digitLong)}
	l.do(func(w *worker, l *Leg) { l.enqueueDigit(w, d) })
	return nil
}

// caseBit is what makes a letter lower case.
func caseBit(key byte) byte {
	if key >= 'a' && key <= 'd' {
		return 'a' - 'A'
	}
	return 0
}

// telephoneStream is the first stream in which the leg on that side takes events; -1: none.
func telephoneStream(p *sdp.Plan, side int) int {
	for i := range p.Streams {
		if p.Streams[i].Telephone[side].Name != "" {
			return i
		}
	}
	return -1
}

func (l *Leg) enqueueDigit(w *worker, d digit) {
	if l.player == nil {
		l.player = &player{due: w.clock}
		w.digits = append(w.digits, l)
	}
	l.player.waiting = append(l.player.waiting, d)
	w.playDigit(l)
}

// playDigit sends what is due of a leg's digits.
func (w *worker) playDigit(l *Leg) {
	if l.player == nil || w.clock < l.player.due {
		return
	}
	w.current = l
	defer w.contain()
	p := l.player
	switch {
	case l.relay == nil || l.failed != "":
		l.endDigits(w)
	case p.playing:
		l.stepDigit(w, p)
	case len(p.waiting) > 0:
		l.beginDigit(w, p)
	default:
		l.endDigits(w)
	}
	w.current = nil
}

// track is the stream that leaves towards the leg's peer.
func (l *Leg) track(stream int) *path { return &l.relay.paths[1-l.side][stream] }

func (l *Leg) beginDigit(w *worker, p *player) {
	stream := telephoneStream(l.relay.plan, l.side)
	if stream < 0 {
		l.endDigits(w)
		return
	}
	p.now, p.waiting = p.waiting[0], p.waiting[1:]
	p.playing, p.announce, p.stream, p.ends = true, true, stream, 0
	t := l.track(stream)
	if !t.started {
		t.invent(w.clock)
	}
	p.start = t.present(w.clock, l.relay.plan.Streams[stream].Telephone[l.side].Clock)
	p.elapsed = 0
	t.muted = true
	l.stepDigit(w, p)
}

// stepDigit sends the event's next packet.
func (l *Leg) stepDigit(w *worker, p *player) {
	t := l.track(p.stream)
	codec := l.relay.plan.Streams[p.stream].Telephone[l.side]
	unit := uint32(codec.Clock / int(time.Second/digitUpdate))
	total := uint32(int64(p.now.length) * int64(codec.Clock) / int64(time.Second))
	p.elapsed = min(p.elapsed+unit, total, maxEventTime)
	end := p.elapsed >= min(total, maxEventTime)
	l.sendEvent(w, p, t, codec.PayloadType, end)
	p.due += int64(digitUpdate)
	if late := w.clock - int64(digitUpdate); p.due < late {
		p.due = w.clock
	}
	if !end {
		return
	}
	if p.ends++; p.ends < digitEnds {
		return
	}
	t.muted, p.playing = false, false
	p.due = w.clock + int64(digitGap)
	l.counters.digits.Add(-1)
}

// sendEvent writes one packet (RFC 4733 §2.3).
//
//	|     event     |E|R| volume    |          duration             |
func (l *Leg) sendEvent(w *worker, p *player, t *path, payload uint8, end bool) {
	t.sequence++
	t.offset++
	t.timestamp, t.at = p.start+p.elapsed, w.clock // where audio would be now
	b := p.packet[:rtpMin+eventLength]
	b[0], b[1] = rtpVersion, payload
	if p.announce {
		b[1] |= rtpMarkerBit
		p.announce = false
	}
	binary.BigEndian.PutUint16(b[2:], t.sequence)
	binary.BigEndian.PutUint32(b[4:], p.start)
	binary.BigEndian.PutUint32(b[8:], t.ssrc)
	b[12], b[13] = p.now.code, digitVolume
	if end {
		b[13] |= 0x80
	}
	binary.BigEndian.PutUint16(b[14:], uint16(p.elapsed))
	l.sendRTP(w, p.stream, b)
	w.out.flush(w) // the packet's memory serves the next one
}

// endDigits stops what plays and forgets what waits.
func (l *Leg) endDigits(w *worker) {
	p := l.player
	if p == nil {
		return
	}
	left := len(p.waiting)
	if p.playing {
		left++
		if l.relay != nil {
			l.track(p.stream).muted = false
		}
	}
	l.counters.digits.Add(int32(-left))
	l.player = nil
	w.dropDigits(l)
}

// dropDigits takes the leg off the worker's list.
func (w *worker) dropDigits(l *Leg) {
	for i, other := range w.digits {
		if other == l {
			w.digits = append(w.digits[:i], w.digits[i+1:]...)
			return
		}
	}
}
