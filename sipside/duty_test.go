package sipside

import (
	"testing"
	"time"
)

// A reader that is seen twice at the same message is relieved, and the message behind it is the next one's.
func TestDuty(t *testing.T) {
	t.Parallel()
	var d duty
	in, now := newInbox(), time.Unix(1000, 0)
	take := func(turn, want int) {
		t.Helper()
		switch from, message, mine := d.take(turn); {
		case want < 0 && (from != nil || !mine):
			t.Fatalf("took message %d in turn %d, want the batch's end", message, turn)
		case want >= 0 && (from != in || message != want || !mine):
			t.Fatalf("took message %d in turn %d, want %d", message, turn, want)
		}
	}
	look := func(relieved, again bool) {
		t.Helper()
		if _, r, a := d.look(); r != relieved || a != again {
			t.Fatalf("relieved %v, looked at again %v; want %v, %v", r, a, relieved, again)
		}
	}
	look(false, false) // it waits for messages
	if !d.begin(in, 3, now) {
		t.Fatal("a reader with nothing to do does not lend itself")
	}
	take(0, 0)
	look(false, true)
	take(0, 1)
	look(false, true)
	look(true, false)
	if _, _, mine := d.take(0); mine {
		t.Fatal("who was relieved takes on")
	}
	look(false, true) // at whoever relieves
	take(1, 2)
	take(1, -1)
	look(false, false)
	d.kept(now)
	if d.begin(in, 1, now.Add(keptFor)) || !d.begin(in, 1, now.Add(keptFor+1)) {
		t.Errorf("lent again not %s after a call kept its reader", keptFor)
	}
}

// Who has much to do leaves calls to others, for one goroutine uses one processor.
func TestLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		share time.Duration // of each millisecond
		want  bool
	}{
		{"little to do", 500 * time.Microsecond, true},
		{"much to do", 900 * time.Microsecond, false},
	} {
		now := time.Unix(1000, 0)
		var l load
		l.until(now) // the first window begins
		for range 100 {
			now = now.Add(time.Millisecond)
			l.worked(c.share)
			l.until(now)
		}
		if l.light(now) != c.want {
			t.Errorf("%s: light is %v", c.name, !c.want)
		}
		if !l.light(now.Add(loadFor + 1)) {
			t.Errorf("%s: for ever", c.name)
		}
	}
	var d duty
	if d.begin(newInbox(), batchSize, time.Unix(1000, 0)) && batchSize > 1 {
		t.Error("lent while messages pile up")
	}
}

func TestAlarm(t *testing.T) {
	t.Parallel()
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	rung := make(chan bool)
	go func() {
		defer close(rung)
		for a.wait() {
			rung <- true
		}
	}()
	a.set(time.Hour)
	a.set(time.Millisecond)
	receive(t, "it rings", rung)
	a.set(time.Hour)
	a.stop()
	for range 2 {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}
	if receive(t, "its end", rung) {
		t.Error("it rings though it was stopped")
	}
	a.set(time.Millisecond) // does nothing
}
