package bridge

import (
	"maps"
	"time"

	"tandem/bridge/sdp"
)

// event gives Events one event of the call.
func (c *call) event(e Event) {
	if c.bridge.with.Events == nil {
		return
	}
	e.Call, e.Tenant, e.At = c.id, c.record.Tenant, time.Now()
	c.bridge.with.Events.CallEvent(e)
}

// noteRinging records the first progress.
func (c *call) noteRinging(status int, br *branch) {
	if !c.record.Ring.IsZero() {
		return
	}
	c.record.Ring = time.Now()
	c.event(Event{Ringing: &Ringing{Status: status, Backend: br.leg.backend}})
}

// noteAnswer records the answer.
func (c *call) noteAnswer(backend string) {
	c.record.Answer, c.record.Status, c.record.Backend = time.Now(), 200, backend
	c.log.Info("answered", "backend", backend)
	c.event(Event{Answered: &Answered{Backend: backend, SetUp: c.record.Answer.Sub(c.record.Start)}})
}

// keepFigures takes a leg's media figures before its media is closed. Of branches only the winner's, or the only one's, count.
func (c *call) keepFigures(l *leg) {
	if l != c.caller && l != c.callee {
		return
	}
	f := l.figures()
	f.Drops = maps.Clone(f.Drops)
	c.record.Media = append(c.record.Media, f)
}

// noteConversion keeps for the record in which codecs two legs speak whose audio is converted.
func noteConversion(a, b *leg, plan sdp.Plan) {
	if audio := plan.Streams[sdp.Audio]; audio.Transcode {
		a.converts, b.converts = audio.Codec[0].String(), audio.Codec[1].String()
	}
}

// writeRecord gives Events the call's record, its last event, as soon as the call is over for its users: a peer that does not
// answer its BYE takes half a minute more. It is written once.
func (c *call) writeRecord() {
	r := &c.record
	if !r.End.IsZero() {
		return
	}
	c.stopTape()
	c.bridge.counters.callEnded(c.term.Reason)
	r.End, r.Reason, r.By = time.Now(), c.term.Reason, c.term.By
	if r.Answer.IsZero() {
		r.Status = c.term.Status
	} else {
		r.Duration = r.End.Sub(r.Answer).Seconds()
	}
	c.log.Info("call ended", "reason", r.Reason, "by", r.By, "status", r.Status, "duration", r.Duration, "backend", r.Backend)
	written := *r // the sink's own
	c.event(Event{Record: &written})
}
