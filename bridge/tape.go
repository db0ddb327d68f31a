package bridge

import (
	"sync/atomic"
	"time"

	"tandem/bridge/media"
	"tandem/bridge/recording"
	"tandem/bridge/route"
	"tandem/bridge/sdp"
)

// finishLimit is how long a call that ended waits for its recording's files.
const finishLimit = time.Second

// RecordRecording is a call's recording in its record.
type RecordRecording struct {
	recording.Result
	Consent bool `json:"consent"` // the route says that the parties agreed
}

// tape is the tap of a call that its route has recorded, from the answer on.
type tape struct {
	rule    route.Recording      // static after construction
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

// tap is what the legs' media gets; a nil tape is no tap.
func (c *call) tap() media.Tap {
	if c.tape == nil {
		return nil
	}
	return c.tape
}

// startTape begins the recording. Where it cannot, the call goes on, and its record says so.
func (c *call) startTape() {
	t := c.tape
	if t == nil || t.running != nil {
		return
	}
	r, err := recording.Start(recording.Options{
		Folder: c.bridge.cfg.Recordings, Tenant: c.record.Tenant, Call: c.id, Format: t.rule.Format, Log: c.log,
	})
	if err != nil {
		c.log.Error("call is not recorded", "error", err)
		c.record.Recording = &RecordRecording{Result: recording.Result{End: recording.WriteError}, Consent: t.rule.Consent}
		return
	}
	t.running = r
	t.packets.Store(r)
}

// stopTape ends the recording and puts it into the record.
func (c *call) stopTape() {
	if c.tape == nil || c.tape.running == nil {
		return
	}
	c.tape.packets.Store(nil)
	c.record.Recording = &RecordRecording{Result: c.tape.running.Finish(finishLimit), Consent: c.tape.rule.Consent}
	c.bridge.counters.recorded(c.record.Recording.End)
	c.tape.running = nil
}
