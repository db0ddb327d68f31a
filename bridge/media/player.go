package media

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/zaf/g711"

	"tandem/bridge/media/dtmf"
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
	toneSamples  = dtmf.Rate / 50 // in a packet
)

// player sends the digits that wait on a leg; owned by the leg's worker.
type player struct {
	waiting []digit
	playing bool
	due     int64 // next packet
	now     digit
	stream  int

	// RFC 4733
	start    uint32        // RTP timestamp of the event's segment
	segment  time.Duration // where in the digit the segment begins
	played   time.Duration
	ends     int  // end packets sent
	announce bool // the next packet is the event's first
	packet   [rtpMin + toneSamples + tagRoom]byte

	// tones
	generator dtmf.Generator
	sounded   bool
	pcm       [toneSamples]int16
}

// close ends the latest digit of the code that is open.
func (p *player) close(d digit) {
	for i := len(p.waiting) - 1; i >= 0; i-- {
		if w := &p.waiting[i]; w.open && w.code == d.code {
			w.open, w.length = false, d.length
			return
		}
	}
	if p.playing && p.now.open && p.now.code == d.code {
		p.now.open, p.now.length = false, max(d.length, p.played)
	}
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
	before := w.current
	w.current = l
	defer w.contain()
	p := l.player
	if p.now.open && l.relay != nil {
		l.relay.legs[1-l.side].endSilent(w)
	}
	switch {
	case l.relay == nil || l.failed != "":
		l.endDigits(w)
	case p.playing && l.form == DigitTones:
		l.stepTone(w, p)
	case p.playing:
		l.stepEvent(w, p)
	case len(p.waiting) > 0:
		l.beginDigit(w, p)
	default:
		l.endDigits(w)
	}
	w.current = before
}

// track is the stream that leaves towards the leg's peer.
func (l *Leg) track(stream int) *path { return &l.tracks[stream].out }

func (l *Leg) beginDigit(w *worker, p *player) {
	stream := digitStream(l.relay.plan, l.side, l.form)
	if stream < 0 {
		l.endDigits(w)
		return
	}
	p.now, p.waiting = p.waiting[0], p.waiting[1:]
	p.playing, p.announce, p.stream, p.ends = true, true, stream, 0
	p.played, p.segment, p.sounded = 0, 0, false
	t := l.track(stream)
	if !t.started {
		t.invent(w.clock)
	}
	t.muted = true
	if l.form == DigitTones {
		p.start = t.present(w.clock, dtmf.Rate)
		if least := t.timestamp + toneSamples; int32(p.start-least) < 0 {
			p.start = least
		}
		l.stepTone(w, p)
		return
	}
	p.start = t.present(w.clock, l.relay.plan.Streams[stream].Telephone[l.side].Clock)
	l.stepEvent(w, p)
}

// over says whether the digit has lasted long enough.
func (p *player) over() bool {
	if p.now.open {
		return p.played >= digitLong
	}
	return p.played >= p.now.length
}

// next sets the time of the packet behind this one; one that comes late does not hurry the rest.
func (p *player) next(w *worker) {
	p.due += int64(digitUpdate)
	if late := w.clock - int64(digitUpdate); p.due < late {
		p.due = w.clock
	}
}

// finish lets the audio have the stream again.
func (l *Leg) finish(w *worker, p *player) {
	l.track(p.stream).muted = false
	p.playing = false
	p.due = w.clock + int64(digitGap)
	l.counters.digits.Add(-1)
}

// stepEvent sends the event's next packet. An event longer than its duration field holds goes on in a further segment
// (RFC 4733 §2.5.1.3).
func (l *Leg) stepEvent(w *worker, p *player) {
	clock := l.relay.plan.Streams[p.stream].Telephone[l.side].Clock
	units := func(d time.Duration) uint32 { return uint32(int64(d) * int64(clock) / int64(time.Second)) }
	p.played += digitUpdate
	if !p.now.open {
		p.played = min(p.played, p.now.length)
	}
	end := p.over()
	if units(p.played-p.segment) > maxEventTime {
		l.sendEvent(w, p, maxEventTime, false)
		p.start += maxEventTime
		p.segment += time.Duration(maxEventTime) * time.Second / time.Duration(clock)
	}
	l.sendEvent(w, p, units(p.played-p.segment), end)
	p.next(w)
	if !end {
		return
	}
	p.now.open, p.now.length = false, p.played
	if p.ends++; p.ends == digitEnds {
		l.finish(w, p)
	}
}

// sendEvent writes one packet (RFC 4733 §2.3).
//
//	|     event     |E|R| volume    |          duration             |
func (l *Leg) sendEvent(w *worker, p *player, duration uint32, end bool) {
	b := p.packet[:rtpMin+eventLength]
	l.stamp(w, p, b, l.relay.plan.Streams[p.stream].Telephone[l.side].PayloadType, p.start)
	l.track(p.stream).timestamp = p.start + duration // where audio would be now
	if p.announce {
		b[1] |= rtpMarkerBit
		p.announce = false
	}
	b[12], b[13] = p.now.code, p.now.volume
	if end {
		b[13] |= 0x80
	}
	binary.BigEndian.PutUint16(b[14:], uint16(duration))
	l.sendRTP(w, p.stream, b)
	w.out.flush(w) // the packet's memory serves the next one
}

// stepTone sends the tone's next 20 ms.
func (l *Leg) stepTone(w *worker, p *player) {
	codec := l.relay.plan.Streams[p.stream].Codec[l.side]
	if !p.sounded {
		p.sounded = p.generator.Start(digitCodes[p.now.code], int(digitLong/time.Second)*dtmf.Rate)
	}
	if !p.now.open && p.played+digitUpdate >= p.now.length {
		p.generator.End(toneSamples)
	}
	p.generator.Fill(p.pcm[:])
	compress := g711.EncodeUlawFrame
	if strings.EqualFold(codec.Name, "PCMA") {
		compress = g711.EncodeAlawFrame
	}
	b := p.packet[:rtpMin+toneSamples]
	l.stamp(w, p, b, codec.PayloadType, p.start)
	for i, s := range p.pcm {
		b[rtpMin+i] = compress(s)
	}
	l.sendRTP(w, p.stream, b)
	w.out.flush(w) // the packet's memory serves the next one
	p.start += toneSamples
	p.played += digitUpdate
	p.next(w)
	if p.over() {
		l.finish(w, p)
	}
}

// stamp writes the header of the stream's next packet.
func (l *Leg) stamp(w *worker, p *player, b []byte, payload uint8, timestamp uint32) {
	t := l.track(p.stream)
	b[0], b[1] = rtpVersion, payload
	binary.BigEndian.PutUint16(b[2:], t.insert(timestamp, w.clock))
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], t.ssrc)
}

// endDigits stops what plays or is being reported, and forgets what waits.
func (l *Leg) endDigits(w *worker) {
	for i := range l.tracks {
		l.tracks[i].out.muted = false
	}
	p := l.player
	if p == nil {
		return
	}
	left := len(p.waiting)
	if p.playing {
		left++
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
