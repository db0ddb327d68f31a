package bridge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// tollBook notes what it is asked and told; it refuses numbers that begin with +882.
type tollBook struct {
	mu    sync.Mutex
	lines []string
	end   []func(why string)
}

func (b *tollBook) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

func (b *tollBook) has(line string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.lines, line)
}

func (b *tollBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

// stop ends the call that was placed first.
func (b *tollBook) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end[0]("stopped")
}

// Place implements Tolls.
func (b *tollBook) Place(t Toll, end func(why string)) (Meter, *TollRefusal) {
	b.note("place %s %s by %s, running %v", t.User, t.Number, t.Via, t.Running)
	if strings.HasPrefix(t.Number, "+882") {
		return nil, &TollRefusal{Status: 403, Why: "not there"}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end = append(b.end, end)
	return tollMeter{b, t.Number}, nil
}

type tollMeter struct {
	book   *tollBook
	number string
}

func (m tollMeter) Answered() { m.book.note("%s answered", m.number) }
func (m tollMeter) Ended()    { m.book.note("%s ended", m.number) }

// Who calls what is asked with the number that goes on; a refusal is final, and neither browsers nor emergency calls are asked for.
func TestTollsAreAsked(t *testing.T) {
	t.Parallel()
	book := &tollBook{}
	w := newWorld(t, conditions{members: 2, tolls: book, routes: []route.Rule{
		{From: "browsers", Prefix: []string{"00"}, To: "pbx", Rewrite: route.Rewrite{Strip: 2, Prepend: "+"}},
		{From: "browsers", To: "pbx"}, {From: "pbx", To: "browsers"},
	}, bridge: Config{Peerings: map[string]Peering{"pbx": {Quota: Quota{Emergency: []string{"112"}}}}}})
	alice := w.registered("alice", wsstest.Options{})
	refused := w.refusedAtOnce(alice, "00882-16")
	if refused.StatusCode != 403 || !strings.Contains(header(refused, "Reason"), "not there") {
		t.Errorf("%s", refused.String())
	}
	if got := book.String(); got != "place sip:alice@example.com +88216 by pbx, running false" {
		t.Errorf("asked were\n%s", got)
	}
	if s := w.bridge.Stats(); s.Peers["pbx"].Calls != 0 {
		t.Errorf("%d calls are left", s.Peers["pbx"].Calls)
	}
	for _, number := range []string{"112", "600"} {
		call, err := alice.Invite(w.ctx(), number, wsstest.InviteOptions{})
		w.check(err)
		w.check(w.expectAny(sip.INVITE).Respond(siptest.Reply{Status: 486}))
		w.check(call.Wait(w.ctx(), wsstest.Ended))
	}
	w.until("the end of the call to 600", func() bool { return book.has("600 ended") })
	if got := book.String(); strings.Contains(got, "112") || strings.Contains(got, "600 answered") {
		t.Errorf("%s", got)
	}
}

// metered is alice's call to 600, answered.
func (w *world) metered() (*wsstest.Call, *siptest.Dialog) {
	w.t.Helper()
	alice := w.registered("alice", wsstest.Options{})
	call, err := alice.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	d := w.answered(w.agents[0], w.rtp(), 440)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	return call, d
}

// A call that is stopped ends on both sides, with the reason; its meter heard of the answer and of the end.
func TestTollStopEndsTheCall(t *testing.T) {
	t.Parallel()
	book := &tollBook{}
	w := newWorld(t, conditions{tolls: book})
	call, d := w.metered()
	w.until("the answer", func() bool { return book.has("600 answered") })
	book.stop()
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	if !strings.Contains(header(bye.Request(), "Reason"), "stopped") {
		t.Errorf("BYE\n%s", bye.Request().String())
	}
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	w.until("the end", func() bool { return book.has("600 ended") })
	if r := w.record(); r.Reason != "toll-stopped" || r.By != "gateway" || r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

// A call that was written down and taken up again is metered on as one that runs, and counts as its caller's.
func TestTollsAfterRestore(t *testing.T) {
	t.Parallel()
	book := &tollBook{}
	w := newWorld(t, conditions{tolls: book})
	_, d := w.metered()
	id := w.events.call()
	var snapshot Snapshot
	var err error
	w.until("a snapshot", func() bool { snapshot, err = w.bridge.Snapshot(id); return err == nil })
	text, err := json.Marshal(snapshot)
	w.check(err)
	w.check(w.bridge.Drop(id))
	if s := w.bridge.Stats().Admission; !book.has("600 ended") || s.Calls != 0 || s.Users != 0 {
		t.Errorf("after the drop %+v\n%s", s, book)
	}
	var again Snapshot
	w.check(json.Unmarshal(text, &again))
	w.check(w.bridge.Restore(again))
	if s := w.bridge.Stats().Admission; !book.has("place sip:alice@example.com 600 by pbx, running true") || s.Calls != 1 || s.Users != 1 {
		t.Errorf("after the return %+v\n%s", s, book)
	}
	w.check(d.Bye(w.ctx()))
	w.until("no calls", func() bool { return w.bridge.Stats().Admission.Calls == 0 })
}

// What a transfer costs is its referrer's, and goes on counting when the referrer is gone; a stop ends the call of those who are left.
func TestTollsFollowATransfer(t *testing.T) {
	t.Parallel()
	book := &tollBook{}
	w := newWorld(t, conditions{other: true, tolls: book})
	b := w.registered("alice", wsstest.Options{})
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	w.refer(call, "<sip:700@example.com>")
	carol := w.pickUp(w.other, 1500)
	w.told(call, 200)
	w.leaves(call)
	bob.hears(1500)
	w.until("one call", func() bool { return w.bridge.Stats().Calls == 1 })
	if got := book.String(); !book.has("place sip:alice@example.com 700 by other, running false") || !book.has("700 answered") || strings.Contains(got, "ended") {
		t.Errorf("%s", got)
	}
	book.stop() // of bob's leg, which is in another call now
	bob.hungUp()
	carol.hungUp()
	w.until("both ends", func() bool { return book.has("600 ended") && book.has("700 ended") })
}
