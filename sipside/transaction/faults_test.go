package transaction

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Each test here is a fault of sipgo's own machines that this package exists for.

func TestCancelLeavesThe487ToTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(true), &desk{}
		l.Receive(request(t, "INVITE", "z9hG4bK1"), f, d.serve)
		l.Receive(request(t, "CANCEL", "z9hG4bK1"), f, d.serve)
		want(t, "served", d.log(), "INVITE CANCEL")
		if d.all[1].Cancels() != d.all[0] {
			t.Fatal("the CANCEL does not know its INVITE")
		}
		time.Sleep(time.Minute)
		want(t, "sent by the layer alone", f.log(), "[100]")
		if err := d.all[0].Respond(answer(d.all[0].Request(), 200, "x")); err != nil {
			t.Fatalf("the call may still answer 200: %v", err)
		}
		time.Sleep(time.Minute)
		empty(t, l)
	})
}

func TestUnreadUserBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := New(Config{}), newLine(false)
		stuck := make(chan struct{})
		slow, err := l.Request(outbound(t, "INVITE", "z9hG4bKslow"), f, func(Event) { <-stuck })
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			l.Receive(Message{Message: answer(requestOf(slow), 180, "a")}, f, nil)
		}
		var other events
		if _, err := l.Request(outbound(t, "OPTIONS", "z9hG4bKother"), f, other.on); err != nil {
			t.Fatal(err)
		}
		l.Receive(Message{Message: answer(outbound(t, "OPTIONS", "z9hG4bKother").Request, 200, "b")}, f, nil)
		synctest.Wait()
		want(t, "the other's events", other.log(), "200b")
		if err := slow.Cancel(); err != nil {
			t.Fatalf("CANCEL while the user is busy: %v", err)
		}
		want(t, "sent", f.log(), "[INVITE OPTIONS CANCEL]")
		slow.Abandon()
		want(t, "running", l.Stats().Clients, 3)
		close(stuck)
		time.Sleep(time.Minute)
		empty(t, l)
	})
}

func TestRepeatedRefusalIsAcknowledgedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(false), &events{}
		c, err := l.Request(outbound(t, "INVITE", "z9hG4bK1"), f, e.on)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for range 5 {
			l.Receive(Message{Message: answer(requestOf(c), 486, "x")}, f, nil)
		}
		want(t, "sent", f.log(), "[INVITE ACK ACK ACK ACK ACK]")
		want(t, "passed", time.Since(begun), time.Duration(0))
		synctest.Wait()
		want(t, "events", e.log(), "486x")
		want(t, "absorbed", l.Stats().Absorbed, 4)
		time.Sleep(32 * time.Second)
		synctest.Wait()
		empty(t, l)
	})
}

func TestAnswerThatFailsToWriteIsCleanedUp(t *testing.T) {
	for _, method := range []string{"INVITE", "BYE"} {
		for _, status := range []int{200, 486} {
			for _, reliable := range []bool{false, true} {
				t.Run(fmt.Sprint(method, status, reliable), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						l, f, d := New(Config{}), newLine(reliable), &desk{}
						f.fail(errWrite)
						l.Receive(request(t, method, "z9hG4bK1"), f, d.serve)
						if err := d.all[0].Respond(answer(d.all[0].Request(), status, "x")); err != errWrite {
							t.Fatalf("Respond: %v, want the write's error", err)
						}
						time.Sleep(32*time.Second + time.Millisecond)
						synctest.Wait()
						empty(t, l)
					})
				})
			}
		}
	}
}

func TestForkedSecond2xxIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		c, err := l.Request(outbound(t, "INVITE", "z9hG4bK1"), f, e.on)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"a", "b", "a"} {
			l.Receive(Message{Message: answer(requestOf(c), 200, tag)}, f, nil)
		}
		time.Sleep(31 * time.Second)
		l.Receive(Message{Message: answer(requestOf(c), 200, "late")}, f, nil)
		synctest.Wait()
		want(t, "events", e.log(), "200a 200b 200a 200late")
		want(t, "sent: the ACK of a 2xx is the call's", f.log(), "[INVITE]")
		time.Sleep(2 * time.Second)
		l.Receive(Message{Message: answer(requestOf(c), 200, "too late")}, f, nil)
		want(t, "strays", l.Stats().Strays, 1)
		empty(t, l)
	})
}

func TestConnectionsStayOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d, e := New(Config{}), newLine(true), &desk{}, &events{}
		for i := range 20 {
			branch := fmt.Sprint("z9hG4bK", i)
			c, err := l.Request(outbound(t, "OPTIONS", branch), f, e.on)
			if err != nil {
				t.Fatal(err)
			}
			l.Receive(Message{Message: answer(requestOf(c), 200, "x")}, f, nil)
			l.Receive(request(t, "BYE", branch), f, d.serve)
			if err := d.all[i].Respond(answer(d.all[i].Request(), 200, "x")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		empty(t, l)
		want(t, "closed", f.closed, 0)
	})
}

// What the machines do not do by themselves, the call does: it answers the CANCEL, and the INVITE with 487.
func TestCancelAnsweredByTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(false), &desk{}
		l.Receive(request(t, "INVITE", "z9hG4bK1"), f, d.serve)
		l.Receive(request(t, "CANCEL", "z9hG4bK1"), f, d.serve)
		l.Receive(request(t, "CANCEL", "z9hG4bKnone"), f, d.serve)
		if d.all[2].Cancels() != nil {
			t.Error("a CANCEL of nothing cancels something")
		}
		if err := d.all[1].Respond(answer(d.all[1].Request(), 200, "x")); err != nil {
			t.Fatal(err)
		}
		if err := d.all[1].Cancels().Respond(answer(d.all[0].Request(), sip.StatusRequestTerminated, "x")); err != nil {
			t.Fatal(err)
		}
		want(t, "sent", f.log(), "[200 487]")
		l.Receive(request(t, "ACK", "z9hG4bK1"), f, d.serve)
		want(t, "served", d.log(), "INVITE CANCEL CANCEL")
		time.Sleep(time.Minute)
		empty(t, l)
		want(t, "never acknowledged", l.Stats().Unacked, 0)
	})
}
