package bridge

import (
	"slices"
	"sync/atomic"
	"time"

	"tandem/bridge/media"
	"tandem/bridge/recording"
	"tandem/bridge/route"
	"tandem/bridge/sdp"
)

// finishLimit is how long a call that ended waits for its recording's files: its BYE is out, its media closed, and nobody else waits.
// A disk or a machine that is busy for some seconds makes no record untrue.
const finishLimit = 10 * time.Second

// RecordRecording is a call's recording in its record. A call that was restored has files of its own for each part, in order.
type RecordRecording struct {
	Format string `json:"format"` // "wav", "pcap", "both"
	recording.Result
	Consent bool `json:"consent"` // the route says that the parties agreed
}

// tape is the tap of a call that its route has recorded, from the answer on.
type tape struct {
	rule    route.Recording      // static after construction
	before  recording.Result     // static after construction: of a restored call's earlier parts
	running *recording.Recording // owned by the call's goroutine; nil before the answer, and where it could not begin
	packets atomic.Pointer[recording.Recording]
}

var _ media.Tap = (*tape)(nil)

// Packet is called from the packet path.
func (t *tape) Packet(leg *media.Leg, slot sdp.Slot, codec *sdp.Codec, packet []byte, at time.Time) {
	if r := t.packets.Load(); r != nil {
		r.Packet(leg, slot, codec, packet, at)
	}
}

// newTape is nil where the route has nothing recorded.
func newTape(rule route.Recording) *tape {
	if rule.Format == "" {
		return nil
	}
	return &tape{rule: rule}
}

// restoredTape goes on with the recording that a snapshot's record speaks of, in another file.
func restoredTape(r *RecordRecording) *tape {
	if r == nil {
		return nil
	}
	return &tape{rule: route.Recording{Format: r.Format, Consent: r.Consent}, before: r.Result}
}

// tap is what the legs' media gets; a nil tape is no tap.
func (c *call) tap() media.Tap {
	if c.tape == nil {
		return nil
	}
	return c.tape
}

// recorded words what became of the tape's last part, with those before. The first that ended badly says how it ended.
func (t *tape) recorded(last recording.Result) *RecordRecording {
	r := &RecordRecording{Format: t.rule.Format, Result: last, Consent: t.rule.Consent}
	r.Files = slices.Concat(t.before.Files, last.Files)
	r.Bytes += t.before.Bytes
	r.Lost += t.before.Lost
	if before := t.before.End; before != "" && before != recording.Complete {
		r.End = before
	}
	return r
}

// startTape begins the recording. Where it cannot, the call goes on, and its record says so.
func (c *call) startTape() {
	t := c.tape
	if t == nil || t.running != nil {
		return
	}
	r, err := recording.Start(recording.Options{
		Disk: c.bridge.with.Disk, Folder: c.bridge.cfg.Recordings, Tenant: c.record.Tenant, Call: c.id, Format: t.rule.Format, Log: c.log,
	})
	if err != nil {
		c.log.Error("call is not recorded", "error", err)
		last := recording.Result{End: recording.EndOf(err)}
		c.record.Recording = t.recorded(last)
		c.bridge.counters.recorded(last)
		return
	}
	t.running = r
	t.packets.Store(r)
}

// taped is the recording as far as it is written; nil where the call has none.
func (c *call) taped() *RecordRecording {
	if c.tape == nil || c.tape.running == nil {
		return c.record.Recording
	}
	return c.tape.recorded(c.tape.running.Progress())
}

// stopTape ends the recording and puts it into the record.
func (c *call) stopTape() {
	if c.tape == nil || c.tape.running == nil {
		return
	}
	c.tape.packets.Store(nil)
	last := c.tape.running.Finish(finishLimit)
	c.record.Recording = c.tape.recorded(last)
	c.bridge.counters.recorded(last)
	c.tape.running = nil
}
