package media

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/zaf/g711"

	"tandem/bridge/media/codec"
	"tandem/bridge/media/dtmf"
	"tandem/bridge/sdp"
)

// eventSilence ends an event whose packets stop coming (RFC 4733 §2.5.2.2: three update intervals, and some for jitter).
const eventSilence = int64(150 * time.Millisecond)

// maxToneGap is as much as may be missing of a tone: a packet or two. Where more is missing the peer was silent.
const maxToneGap = dtmf.Rate / 25

// ear follows the digits that a leg's peer sends; owned by the leg's worker.
type ear struct {
	event    heardEvent
	tone     byte // the code of the tone that is on
	sounding bool
	listener *listener // nil: the audio is not listened to
}

// heardEvent is the peer's latest RFC 4733 event.
type heardEvent struct {
	known, on bool
	code      byte
	timestamp uint32 // of its latest segment
	before    uint32 // duration of the segments before, in the event's clock
	duration  uint16 // of the latest one
	seen      int64  // its latest packet
}

// listener looks for tones in a stream of G.711.
type listener struct {
	detector dtmf.Detector
	sequence uint16
	expected uint32 // RTP timestamp of what follows
	ssrc     uint32
	heard    int64 // its latest packet
}

// hearing is a worker's memory for the listeners of its legs, each of which needs it for one packet.
type hearing struct {
	pcm    [maxDatagram]int16
	events [maxDatagram * 2 / 13]dtmf.Event // more than a packet can bring
}

// setDigits is SetDigits in the worker.
func (l *Leg) setDigits(w *worker, d Digits) {
	if d.Form != l.form {
		l.endDigits(w)
	}
	l.form = d.Form
	switch {
	case !d.Detect:
		l.endTone(w)
		l.ear.listener = nil
	case l.ear.listener == nil:
		l.ear.listener = &listener{}
	}
}

// hearDigit looks at an RTP packet of the leg's peer before it is relayed, and says whether it has been dealt with.
func (l *Leg) hearDigit(w *worker, s *sdp.PlannedStream, p []byte) bool {
	payload := p[1] &^ rtpMarkerBit
	if payload == s.EventFrom[l.side] && s.Telephone[l.side].Name != "" {
		return l.hearEvent(w, s, p)
	}
	if l.ear.event.on {
		l.endSilent(w)
	}
	if l.ear.listener != nil && payload == s.From[l.side] && isG711(s.Codec[l.side]) {
		l.listen(w, s, p)
	}
	return false
}

// hearEvent takes an RFC 4733 packet. It passes as it is where the other leg takes events by the same clock in the same
// stream; else the digit is told anew.
func (l *Leg) hearEvent(w *worker, s *sdp.PlannedStream, p []byte) bool {
	far := l.relay.legs[1-l.side]
	if far.form == DigitEvents && !s.Transcode && s.Payload[l.side][s.EventFrom[l.side]] != noPayload {
		return false
	}
	if c := l.relay.converter; c != nil {
		c.leave(l.side, codec.Other, p, w.clock) // or its numbers would be missed
	} else {
		far.track(sdp.Audio).skip(p)
	}
	size, _ := rtpHeader(p)
	if len(p) < size+eventLength {
		w.drop(l, DropRTPMalformed)
		return true
	}
	body := p[size:]
	if int(body[0]) >= len(digitCodes) {
		w.drop(l, DropPayload)
		return true
	}
	e, at, duration := &l.ear.event, rtpTimestamp(p), binary.BigEndian.Uint16(body[2:])
	if e.known && !e.on && at == e.timestamp && body[0] == e.code {
		return true // the end once more (RFC 4733 §2.5.1.4)
	}
	switch {
	case e.on && at == e.timestamp && body[0] == e.code:
	case e.on && body[0] == e.code && p[1]&rtpMarkerBit == 0 && at-e.timestamp <= maxEventTime && e.duration >= maxEventTime/2:
		e.before += at - e.timestamp // the next segment of a long one (RFC 4733 §2.5.1.3)
		e.timestamp, e.duration = at, 0
	default:
		if e.on {
			l.endEvent(w, s)
		}
		*e = heardEvent{known: true, on: true, code: body[0], timestamp: at}
		far.digitBegins(w, l, digit{code: body[0], volume: body[1] & 0x3f})
	}
	e.seen, e.duration = w.clock, max(e.duration, duration)
	if body[1]&0x80 != 0 {
		l.endEvent(w, s)
	}
	return true
}

// endSilent ends a digit of which nothing was heard for a while: its end was lost.
func (l *Leg) endSilent(w *worker) {
	if e := &l.ear.event; e.on && w.clock-e.seen > eventSilence {
		l.endEvent(w, &l.relay.plan.Streams[sdp.Audio])
	}
	if n := l.ear.listener; n != nil && l.ear.sounding && w.clock-n.heard > eventSilence {
		l.endTone(w)
	}
}

func (l *Leg) endEvent(w *worker, s *sdp.PlannedStream) {
	e := &l.ear.event
	e.on = false
	units := int64(e.before) + int64(e.duration)
	length := time.Duration(units * int64(time.Second) / int64(max(s.Telephone[l.side].Clock, 1)))
	l.relay.legs[1-l.side].digitEnds(w, l, digit{code: e.code, length: length})
}

// listen looks for tones in a packet of the peer's audio.
func (l *Leg) listen(w *worker, s *sdp.PlannedStream, p []byte) {
	size, _ := rtpHeader(p)
	n := l.ear.listener
	expand := g711.DecodeUlawFrame
	if strings.EqualFold(s.Codec[l.side].Name, "PCMA") {
		expand = g711.DecodeAlawFrame
	}
	sequence, ssrc := rtpSequence(p), rtpSSRC(p)
	if step := int16(sequence - n.sequence); ssrc == n.ssrc && step <= 0 && step > -replayWindow {
		return // late, or a second time
	}
	body := p[size:]
	for i, b := range body {
		w.hearing.pcm[i] = expand(b)
	}
	if gap := rtpTimestamp(p) - n.expected; ssrc != n.ssrc || gap > maxToneGap {
		l.endTone(w)
		n.detector.Lost()
	}
	n.ssrc, n.expected = ssrc, rtpTimestamp(p)+uint32(len(body))
	n.sequence, n.heard = sequence, w.clock
	for _, e := range n.detector.Feed(w.hearing.pcm[:len(body)], w.hearing.events[:0]) {
		l.hearTone(w, e)
	}
}

func (l *Leg) hearTone(w *worker, e dtmf.Event) {
	far := l.relay.legs[1-l.side]
	if far.form == DigitTones {
		return // it hears the tone itself
	}
	d := digit{code: byte(strings.IndexByte(digitCodes, e.Key)), volume: digitVolume}
	if e.Began {
		l.ear.tone, l.ear.sounding = d.code, true
		far.digitBegins(w, l, d)
		return
	}
	d.length = time.Duration(e.Duration) * time.Second / dtmf.Rate
	l.ear.sounding = false
	far.digitEnds(w, l, d)
}

// endTone ends a tone of which no more will be heard.
func (l *Leg) endTone(w *worker) {
	if !l.ear.sounding {
		return
	}
	l.ear.sounding = false
	l.ear.listener.detector.Lost()
	if l.relay != nil {
		l.relay.legs[1-l.side].digitEnds(w, l, digit{code: l.ear.tone})
	}
}

// forget ends what is on: the leg leaves its relay.
func (e *ear) forget() {
	e.event, e.sounding = heardEvent{}, false
	if e.listener != nil {
		e.listener.detector.Lost()
	}
}

// digitBegins has the leg's peer know of a digit that has begun on the leg from.
func (l *Leg) digitBegins(w *worker, from *Leg, d digit) {
	if l.form == DigitReport {
		l.track(sdp.Audio).muted = true // or it would be heard twice
		return
	}
	if digitStream(l.relay.plan, l.side, l.form) < 0 || !l.counters.oneMoreDigit() {
		w.drop(from, DropDigit)
		return
	}
	d.open = true
	l.enqueueDigit(w, d)
}

// digitEnds ends what digitBegins began.
func (l *Leg) digitEnds(w *worker, from *Leg, d digit) {
	d.length = min(max(d.length, digitShort), digitLong)
	if l.form == DigitReport {
		l.track(sdp.Audio).muted = false
		from.tell(w, Event{Kind: Digit, Key: digitCodes[d.code], Duration: d.length})
		return
	}
	if l.player != nil {
		l.player.close(d)
	}
}
