package transaction

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

func respond(t *testing.T, s *Server, status int, tag string) {
	t.Helper()
	if err := s.Respond(answer(s.Request(), status, tag)); err != nil {
		t.Errorf("%d: %v", status, err)
	}
}

func TestInviteServerSaysTryingForASilentUser(t *testing.T) {
	for _, reliable := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l, f, d := New(Config{}), newLine(reliable), &desk{}
			invite := request(t, "INVITE", "z9hG4bK1", "Timestamp: 54\r\n", "Record-Route: <sip:p;lr>\r\n")
			l.Receive(invite, f, d.serve)
			time.Sleep(199 * time.Millisecond)
			l.Receive(invite, f, d.serve)
			want(t, "sent before 200 ms", f.log(), "[]")
			time.Sleep(time.Millisecond)
			synctest.Wait()
			trying := string(Append(nil, f.last()))
			wantTrying := "SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP a.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n" +
				"Call-ID: call\r\nCSeq: 7 INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n"
			if trying != wantTrying {
				t.Errorf("100\n%s\nwant\n%s", trying, wantTrying)
			}
			l.Receive(invite, f, d.serve)
			respond(t, d.all[0], 180, "x")
			respond(t, d.all[0], 183, "x")
			l.Receive(invite, f, d.serve)
			want(t, "sent", f.log(), "[100 100 180 183 183]")
			want(t, "served", d.log(), "INVITE")
			want(t, "absorbed", l.Stats().Absorbed, 3)
			l.FlowLost(f)
			empty(t, l)
		})
	}
}

func TestInviteServerLeavesTryingToAQuickUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(true), &desk{}
		l.Receive(request(t, "INVITE", "z9hG4bK1"), f, d.serve)
		respond(t, d.all[0], 180, "x")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		want(t, "sent", f.log(), "[180]")
		l.FlowLost(f)
		empty(t, l)
	})
}

func TestRefusalIsRepeatedUntilTheAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(false), &desk{}
		invite, ack := request(t, "INVITE", "z9hG4bK1"), request(t, "ACK", "z9hG4bK1")
		l.Receive(invite, f, d.serve)
		respond(t, d.all[0], 486, "x")
		time.Sleep(8 * time.Second)
		synctest.Wait()
		want(t, "sent at", f.at, halves(0, .5, 1.5, 3.5, 7.5))
		l.Receive(invite, f, d.serve)
		l.Receive(ack, f, d.serve)
		l.Receive(ack, f, d.serve)
		l.Receive(invite, f, d.serve)
		time.Sleep(4 * time.Second)
		want(t, "kept for repetitions", l.Stats().Servers, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, "sent", f.log(), "[486 486 486 486 486 486]")
		want(t, "served", d.log(), "INVITE")
		s := l.Stats()
		want(t, "retransmissions, absorbed, unacked", fmt.Sprint(s.Retransmissions, s.Absorbed, s.Unacked), "4 3 0")
		empty(t, l)
	})
}

func TestRefusalThatNobodyAcknowledges(t *testing.T) {
	for reliable, at := range map[bool]string{false: halves(0, .5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5), true: halves(0)} {
		synctest.Test(t, func(t *testing.T) {
			l, f, d := New(Config{}), newLine(reliable), &desk{}
			l.Receive(request(t, "INVITE", "z9hG4bK1"), f, d.serve)
			respond(t, d.all[0], 486, "x")
			time.Sleep(32 * time.Second)
			synctest.Wait()
			want(t, "sent at", f.at, at)
			want(t, "unacked", l.Stats().Unacked, 1)
			empty(t, l)
		})
	}
}

func TestAnswerIsRepeatedByTheCallAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(false), &desk{}
		invite := request(t, "INVITE", "z9hG4bK1")
		l.Receive(invite, f, d.serve)
		respond(t, d.all[0], 200, "x")
		l.Receive(invite, f, d.serve)
		time.Sleep(10 * time.Second)
		want(t, "sent by the layer alone", f.log(), "[200]")
		respond(t, d.all[0], 200, "x")
		for _, status := range []int{180, 486} {
			if err := d.all[0].Respond(answer(d.all[0].Request(), status, "x")); !errors.Is(err, ErrTerminated) {
				t.Errorf("%d after the answer: %v", status, err)
			}
		}
		// The ACK comes with a branch of its own, or, from old peers, with the INVITE's.
		l.Receive(request(t, "ACK", "z9hG4bK2"), f, d.serve)
		l.Receive(request(t, "ACK", "z9hG4bK1"), f, d.serve)
		want(t, "served", d.log(), "INVITE ACK ACK")
		if err := d.all[1].Respond(answer(d.all[1].Request(), 200, "x")); !errors.Is(err, ErrNoResponse) {
			t.Errorf("response to an ACK: %v", err)
		}
		want(t, "sent", f.log(), "[200 200]")
		time.Sleep(32 * time.Second)
		synctest.Wait()
		empty(t, l)
		if err := d.all[0].Respond(answer(d.all[0].Request(), 200, "x")); !errors.Is(err, ErrTerminated) {
			t.Errorf("an answer after timer L: %v", err)
		}
	})
}

func TestServerRepeatsItsResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(false), &desk{}
		bye := request(t, "BYE", "z9hG4bK1")
		l.Receive(bye, f, d.serve)
		l.Receive(bye, f, d.serve)
		want(t, "sent", f.log(), "[]")
		respond(t, d.all[0], 100, "")
		l.Receive(bye, f, d.serve)
		respond(t, d.all[0], 481, "x")
		l.Receive(bye, f, d.serve)
		if err := d.all[0].Respond(answer(d.all[0].Request(), 200, "x")); !errors.Is(err, ErrTerminated) {
			t.Errorf("a second final response: %v", err)
		}
		want(t, "sent", f.log(), "[100 100 481 481]")
		time.Sleep(32 * time.Second)
		synctest.Wait()
		empty(t, l)
	})
}

func TestServerThatIsNeverServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(true), &desk{}
		l.Receive(request(t, "INFO", "z9hG4bK1"), f, d.serve)
		time.Sleep(32 * time.Second)
		synctest.Wait()
		want(t, "sent: no 408 to anything but INVITE (RFC 4320)", f.log(), "[]")
		empty(t, l)
	})
}

// Branches of browsers are short: another connection or sent-by is another request.
func TestServerKey(t *testing.T) {
	l, d := New(Config{}), &desk{}
	a, b := newLine(true), newLine(true)
	b.name = "other"
	for _, f := range []*line{a, b} {
		l.Receive(request(t, "INVITE", "z9hG4bK1"), f, d.serve)
		l.Receive(request(t, "INVITE", "z9hG4bK1"), f, d.serve)
		text := strings.Replace(string(Append(nil, request(t, "INVITE", "z9hG4bK1"))), "a.invalid", "b.invalid", 1)
		msg, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		l.Receive(msg, f, d.serve)
		l.Receive(request(t, "BYE", "z9hG4bK1"), f, d.serve)
	}
	want(t, "served", d.log(), "INVITE INVITE BYE INVITE INVITE BYE")
	l.FlowLost(a)
	l.FlowLost(b)
	empty(t, l)
}

// RFC 2543 peers have no branch, or one that is not unique (§17.2.3).
func TestServerKeyOfRFC2543(t *testing.T) {
	for _, via := range []string{"", ";branch=1", ";branch=z9hG4bK"} {
		l, f, d := New(Config{}), newLine(true), &desk{}
		old := func(method, toTag string, cseq int) Message {
			text := fmt.Sprintf("%s sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP a.invalid%s\r\nFrom: <sip:a@h>;tag=f\r\n"+
				"To: <sip:b@h>%s\r\nCall-ID: call\r\nCSeq: %d %s\r\n\r\n", method, via, toTag, cseq, method)
			msg, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			return msg
		}
		l.Receive(old("INVITE", "", 1), f, d.serve)
		l.Receive(old("INVITE", "", 1), f, d.serve)
		l.Receive(old("CANCEL", "", 1), f, d.serve)
		if d.all[1].Cancels() != d.all[0] {
			t.Errorf("via %q: the CANCEL does not know its INVITE", via)
		}
		respond(t, d.all[0], 487, "mine")
		l.Receive(old("ACK", ";tag=another", 1), f, d.serve)
		l.Receive(old("ACK", ";tag=mine", 1), f, d.serve)
		l.Receive(old("INVITE", "", 2), f, d.serve)
		l.Receive(old("BYE", ";tag=mine", 3), f, d.serve)
		l.Receive(old("BYE", ";tag=mine", 3), f, d.serve)
		l.Receive(old("BYE", ";tag=other", 3), f, d.serve)
		want(t, "served", d.log(), "INVITE CANCEL ACK INVITE BYE BYE")
		l.FlowLost(f)
		empty(t, l)
	}
}

func TestPanickingHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := New(Config{}), newLine(true)
		for _, method := range []string{"INVITE", "OPTIONS", "ACK"} {
			l.Receive(request(t, method, "z9hG4bK"+method), f, func(*Server) { panic("the user's fault") })
		}
		want(t, "sent", f.log(), "[500 500]")
		time.Sleep(time.Minute)
		empty(t, l)
	})
}

func TestStrays(t *testing.T) {
	l, f, d := New(Config{}), newLine(true), &desk{}
	req := request(t, "OPTIONS", "z9hG4bK1").Message.(*sip.Request)
	l.Receive(Message{Message: answer(req, 200, "x")}, f, d.serve)
	l.Receive(Message{}, f, d.serve)
	l.Receive(Message{Message: sip.NewResponse(200, "OK")}, f, d.serve)
	l.Receive(Message{Message: sip.NewRequest("OPTIONS", sip.Uri{Host: "h"})}, f, d.serve)
	forwarded := answer(req, 200, "x")
	forwarded.AppendHeader(req.Via().Clone())
	if _, err := l.Request(Outbound{Request: req}, f, func(e Event) { t.Errorf("event %+v", e) }); err != nil {
		t.Fatal(err)
	}
	l.Receive(Message{Message: forwarded}, f, d.serve)
	want(t, "strays", l.Stats().Strays, 5)
	for c := l.flows[f.Identity()]; c != nil; c = c.next {
		c.machine.(*Client).Abandon()
	}
	l.FlowLost(f)
	want(t, "served", d.log(), "")
	empty(t, l)
}

func TestIdleTransactionsHaveNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, d := New(Config{}), newLine(true), &desk{}
		before := runtime.NumGoroutine()
		for i := range 500 {
			c, err := l.Request(outbound(t, "INVITE", fmt.Sprint("z9hG4bKc", i)), f, func(Event) {})
			if err != nil {
				t.Fatal(err)
			}
			reply(l, c, 180, "a")
			l.Receive(request(t, "INVITE", fmt.Sprint("z9hG4bKs", i)), f, d.serve)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, "running", l.Stats().Clients+l.Stats().Servers, 1000)
		if now := runtime.NumGoroutine(); now > before+10 { // other tests' last ones come and go
			t.Errorf("%d goroutines, %d before", now, before)
		}
		l.FlowLost(f)
		empty(t, l)
	})
}

// Two layers over a line that loses and repeats: every transaction ends, each user hears of one end, nothing is left.
func TestThousandMixedTransactionsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := New(Config{}), New(Config{})
		toFar, toNear := newLine(false), newLine(false)
		carry := func(to *Layer, from *line, serve Handler) func(Message) {
			return func(m Message) {
				times := []int{0, 1, 1, 1, 1, 2}[rand.IntN(6)]
				for range times {
					go to.Receive(m, from, serve)
				}
			}
		}
		toFar.onSend = carry(far, toNear, func(s *Server) {
			go serveAnything(s, s.Request().CSeq().SeqNo)
		})
		toNear.onSend = carry(near, toFar, nil)
		users := make([]events, 1000)
		for i := range users {
			method := []string{"INVITE", "OPTIONS", "BYE", "INFO"}[i%4]
			out := outbound(t, method, fmt.Sprint("z9hG4bK", i))
			out.CSeq().SeqNo = uint32(i)
			if _, err := near.Request(out, toFar, users[i].on); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for i := range users {
			ends := 0
			for _, e := range users[i].list {
				if e.Err != nil || !e.Response.IsProvisional() && (i%4 != 0 || !e.Response.IsSuccess()) {
					ends++
				}
			}
			if i%4 != 0 && ends != 1 || i%4 == 0 && ends > 1 || !strings.Contains(users[i].log(), "x") && !strings.Contains(users[i].log(), "timeout") {
				t.Errorf("user %d heard %s", i, users[i].log())
			}
		}
		empty(t, near)
		empty(t, far)
		want(t, "near", fmt.Sprint(near.Stats().Clients, near.Stats().Servers), "0 0")
	})
}

func serveAnything(s *Server, n uint32) {
	if s.Request().Method == sip.INVITE {
		_ = s.Respond(answer(s.Request(), 180, "x"))
		time.Sleep(time.Duration(n%7) * time.Second)
	}
	status := []int{200, 404, 486, 200, 503}[n%5]
	_ = s.Respond(answer(s.Request(), status, "x"))
	for range 10 { // as a call does; the layer refuses repetitions of anything but an INVITE's 2xx
		time.Sleep(time.Second)
		_ = s.Respond(answer(s.Request(), status, "x"))
	}
}
