package media

import "testing"

// A restored stream goes on where it stood: digits had shifted the numbers, and none may leave again with the same keys.
func TestRestoredPathGoesOn(t *testing.T) {
	send := func(j *journey, ssrc uint32, sequence uint16) (uint16, DropReason) {
		p := rtpPacket(ssrc, sequence, uint32(sequence)*160)
		reason := j.send(t, p, false)
		return rtpSequence(p), reason
	}
	written := func() (*journey, *Leg) {
		j := newJourney()
		for i := range uint16(10) {
			send(j, 5, 100+i)
		}
		for range 7 {
			j.leave(t, j.out.insert(0, j.now), nil)
		}
		l := &Leg{tracks: []track{{out: j.out}}}
		return j, l
	}
	restored := func(j *journey, l *Leg) *journey {
		after := &Leg{}
		after.restorePaths(&worker{clock: 7}, l.exportPaths())
		next := newJourney()
		next.left, next.high, next.any, next.out = j.left, j.high, true, after.tracks[0].out
		return next
	}
	j, l := written()
	next := restored(j, l)
	if got, reason := send(next, 5, 112); reason != dropNone || got != 119 || next.out.ssrc != 5 {
		t.Errorf("the same source: %v, leaves as %d, want 119", reason, got)
	}
	if _, reason := send(next, 5, 105); reason == dropNone {
		t.Error("one from before passes")
	}
	j, l = written()
	next = restored(j, l)
	if got, reason := send(next, 6, 9); reason != dropNone || got != 117+restoredSkip || next.out.ssrc != 5 {
		t.Errorf("another source: %v, leaves as %d", reason, got)
	}
	j, l = written()
	next = restored(j, l)
	if got := next.out.insert(0, 0); got != 117+restoredSkip {
		t.Errorf("ours leaves as %d", got)
	}
}
