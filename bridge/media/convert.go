package media

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"tandem/bridge/media/codec"
	"tandem/bridge/sdp"
)

// converter turns the audio of two joined legs into each other's codec, in a goroutine of its own beside the relay: a worker
// leaves packets with it and gets them back by the far leg's mailbox, so that no packet of another call waits.
type converter struct {
	// static after construction
	legs   [2]*Leg
	specs  [2]codec.Spec // what each leg's peer sends and takes
	ssrc   [2]uint32     // of what leaves towards each leg
	engine *Engine
	done   chan struct{} // closed when the relay is over
	wake   chan struct{}

	// between the worker and the goroutine
	inbox [2]parcels // from each leg
	idle  atomic.Bool
	loss  [2]atomic.Int32 // percent of what leaves towards each leg that is lost
}

// specsOf are the legs' codecs where a plan has the audio converted.
func specsOf(p *sdp.Plan) (specs [2]codec.Spec, wanted bool) {
	if len(p.Streams) == 0 || !p.Streams[sdp.Audio].Transcode {
		return specs, false
	}
	s := &p.Streams[sdp.Audio]
	for i := range specs {
		name, known := codec.ParseName(s.Codec[i].Name)
		if !known {
			return specs, false
		}
		specs[i] = codec.Spec{
			Name: name, Ptime: time.Duration(s.Ptime[i]) * time.Millisecond,
			FEC: strings.Contains(s.Codec[i].Format, "useinbandfec=1"),
		}
	}
	return specs, true
}

// setConverter gives the relay the converter that its plan wants, or none.
func (r *relay) setConverter(w *worker) {
	specs, wanted := specsOf(r.plan)
	if wanted && r.converter != nil && r.converter.specs == specs {
		return
	}
	r.stopConverter()
	if !wanted {
		return
	}
	c := &converter{
		legs: r.legs, specs: specs, engine: w.engine, ssrc: [2]uint32{rand.Uint32(), rand.Uint32()},
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	r.converter = c
	w.engine.counters.converters.Add(1)
	w.engine.running.Go(c.run)
}

func (r *relay) stopConverter() {
	if r.converter != nil {
		close(r.converter.done)
		r.converter = nil
	}
}

// convert leaves a packet of the leg's peer with the converter.
func (l *Leg) convert(w *worker, s *sdp.PlannedStream, p []byte) {
	kind := codec.Sound
	switch payload := p[1] &^ rtpMarkerBit; {
	case payload == s.From[l.side]:
	case payload == comfortNoise && s.Codec[l.side].Clock == 8000:
		kind = codec.Comfort
	default:
		w.drop(l, DropPayload)
		return
	}
	c := l.relay.converter
	if c == nil || !c.leave(l.side, kind, p, w.clock) {
		w.drop(l, DropConverter)
	}
}

const comfortNoise = 13 // static payload type (RFC 3389)

// leave copies a packet into the converter's inbox; false where that is full.
func (c *converter) leave(side int, kind codec.Kind, p []byte, now int64) bool {
	if !c.inbox[side].put(kind, p, now) {
		return false
	}
	if c.idle.CompareAndSwap(true, false) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// run converts until the relay is over. A fault of a codec is this call's alone.
func (c *converter) run() {
	defer c.engine.counters.converters.Add(-1)
	defer c.contain()
	var to [2]*codec.Transcoder // from leg 0 and from leg 1
	for i := range to {
		t, err := codec.New(c.specs[i], c.specs[1-i])
		if err != nil {
			panic(err)
		}
		to[i] = t
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next, awake := c.round(to); awake {
			timer.Reset(next)
			select {
			case <-c.done:
				return
			case <-timer.C:
			}
			continue
		}
		c.idle.Store(true)
		if c.inbox[0].any() || c.inbox[1].any() {
			c.idle.Store(false)
			continue
		}
		select {
		case <-c.done:
			return
		case <-c.wake:
		}
	}
}

// round takes what came and gives what is due; then something is due again after next, unless all is at rest.
func (c *converter) round(to [2]*codec.Transcoder) (next time.Duration, awake bool) {
	for i, t := range to {
		for p := c.inbox[i].peek(); p != nil; p = c.inbox[i].peek() {
			t.Push(p.arrival(), time.Duration(p.at))
			c.inbox[i].advance()
		}
		t.SetLoss(int(c.loss[1-i].Load()))
		for now := c.now(); ; { // the round's, or a starved converter would never come to what it gets, nor to the other direction
			d, ok := t.Pull(now)
			if !ok {
				break
			}
			c.give(1-i, d)
		}
		if due, ok := t.Next(); ok && (!awake || due-c.now() < next) {
			next, awake = due-c.now(), true
		}
	}
	return c.together(next), awake
}

// converterGrain is what a packet waits at most for others: a wake-up for each call and direction costs as much as the codecs.
const converterGrain = 5 * time.Millisecond

// together is the time from now to the first point of a grid that all converters share, no earlier than next.
func (c *converter) together(next time.Duration) time.Duration {
	now := c.now()
	return (now + max(next, 0) + converterGrain - 1).Truncate(converterGrain) - now
}

func (c *converter) now() time.Duration { return time.Since(c.engine.start) }

// give hands a converted packet to the worker of the leg towards whose peer it goes.
func (c *converter) give(side int, d codec.Departure) {
	p := make([]byte, rtpMin+len(d.Payload), rtpMin+len(d.Payload)+tagRoom)
	p[0] = rtpVersion
	if d.Marker {
		p[1] = rtpMarkerBit
	}
	binary.BigEndian.PutUint16(p[2:], d.Sequence)
	binary.BigEndian.PutUint32(p[4:], d.Timestamp)
	binary.BigEndian.PutUint32(p[8:], c.ssrc[side])
	copy(p[rtpMin:], d.Payload)
	c.legs[side].do(func(w *worker, l *Leg) { l.sendConverted(w, c, p) })
}

// sendConverted sends a packet that the leg's converter made, unless the plan has changed since.
func (l *Leg) sendConverted(w *worker, c *converter, p []byte) {
	r := l.relay
	if r == nil || r.converter != c {
		return
	}
	s := &r.plan.Streams[sdp.Audio]
	if !s.Forward[1-l.side] {
		return
	}
	p[1] |= s.Codec[l.side].PayloadType
	if reason := l.tracks[sdp.Audio].out.pass(p, w.clock, s.Codec[l.side].Clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	l.sendRTP(w, sdp.Audio, p)
}

// contain ends the call's media where a codec panicked.
func (c *converter) contain() {
	fault := recover()
	if fault == nil {
		return
	}
	c.engine.cfg.Log.Error("converter fault", "call", c.legs[0].spec.Call, "fault", fault, "stack", string(debug.Stack()))
	for _, l := range c.legs {
		l.do(func(w *worker, l *Leg) {
			w.drop(l, DropPanic)
			l.fail(w, InternalFault)
		})
	}
}
