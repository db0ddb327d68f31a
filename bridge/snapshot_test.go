package bridge

import (
	"encoding/json"
	"errors"
	"testing"

	"tandem/wss/wsstest"
)

// takenDown writes the call down, drops it and reads it again, as another process would.
func (w *world) takenDown() (read Snapshot) {
	w.t.Helper()
	id := w.events.call()
	snapshot, err := w.bridge.Snapshot(id)
	w.check(err)
	text, err := json.Marshal(snapshot)
	w.check(err)
	w.check(w.bridge.Drop(id))
	w.check(json.Unmarshal(text, &read))
	return read
}

// An established call is written down, dropped and restored: media goes on, hold and BYE work.
func TestSnapshotRestore(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	id, read := k.events.call(), k.takenDown()
	if k.bridge.Stats().Calls != 0 {
		t.Fatal("dropped and still there")
	}
	if err := k.bridge.Drop(id); !errors.Is(err, ErrNoCall) {
		t.Errorf("dropped twice: %v", err)
	}
	if _, err := k.bridge.Snapshot(id); !errors.Is(err, ErrNoCall) {
		t.Errorf("snapshot of a dropped call: %v", err)
	}
	k.check(k.bridge.Restore(read))
	if err := k.bridge.Restore(read); !errors.Is(err, ErrRestore) {
		t.Errorf("restored twice: %v", err)
	}
	k.call.Media().SetTone(700)
	k.rtp.Tone(1400)
	k.check(k.call.Media().WaitTone(k.ctx(), 1400))
	k.check(k.rtp.WaitTone(k.ctx(), 700))
	offers := make(chan string, 2)
	k.meanwhile(func() { k.answerReinvite(offers) })
	k.check(k.call.Hold(k.ctx()))
	<-offers
	k.meanwhile(func() { k.answerReinvite(offers) })
	k.check(k.call.Resume(k.ctx()))
	<-offers
	k.check(k.call.Media().WaitTone(k.ctx(), 1400))
	k.check(k.rtp.WaitTone(k.ctx(), 700))
	k.hangUp()
	if r := k.record(); r.Reason != "hangup" || r.By != "caller" || r.Answer.IsZero() || r.Call != id {
		t.Errorf("record %+v", r)
	}
}

// A call that is set up cannot be written down yet.
func TestNoSnapshotBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{})
	_, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	_, err = w.agents[0].Expect(w.ctx(), "INVITE")
	w.check(err)
	if _, err := w.bridge.Snapshot(w.events.call()); !errors.Is(err, ErrNotNow) {
		t.Errorf("%v", err)
	}
}
