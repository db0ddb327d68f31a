package bridge

import (
	"tandem/sipside"
)

// BackendDown lets calls go on that ring at a member that probes have just found dead: nobody is there to end them.
func (b *Bridge) BackendDown(down *sipside.Backend) {
	for _, c := range b.calls.unanswered() {
		c.post("backend down", func() { c.onBackendDown(down.Name()) })
	}
}

// onBackendDown gives up what waits for a dead member, where a living one is left.
func (c *call) onBackendDown(name string) {
	if c.state != callSeeking && c.state != callRinging {
		return
	}
	for _, br := range append([]*branch(nil), c.branches...) {
		if !br.over && br.target.backendName() == name && br.abandons() {
			br.leg.log.Warn("the member died while it was asked")
			br.lost = true
			br.leg.bye = reasonValue(408, "the member died")
			br.leg.step(legEnd)
			br.ended(unreachable(name+" died before the answer"), true)
		}
	}
}

// abandons says whether a living member is to be tried while this one rings.
func (br *branch) abandons() bool { return br.unheard() && br.worthLeaving(false) }

// unheard says that another member can ring in its place: not where the caller hears its early media, and has an answer of it, for
// what is connected there a PBX may have answered already.
func (br *branch) unheard() bool { return br.sounds == nil && br.call.caller.neg.Said == nil }
