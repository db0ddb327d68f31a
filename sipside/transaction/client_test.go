package transaction

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

func begun(t *testing.T, l *Layer, f Flow, e *events, method string, more ...string) *Client {
	t.Helper()
	c, err := l.Request(outbound(t, method, "z9hG4bK1", more...), f, e.on)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reply gives the client a response as if it came from the network.
func reply(l *Layer, c *Client, status int, tag string) {
	l.Receive(Message{Message: answer(requestOf(c), status, tag)}, c.Flow(), nil)
}

func halves(list ...float64) string {
	var out []time.Duration
	for _, s := range list {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return fmt.Sprint(out)
}

func TestClientRetransmitsOnDatagrams(t *testing.T) {
	for _, tt := range []struct {
		method   string
		reliable bool
		at       string
	}{
		{"INVITE", false, halves(0, .5, 1.5, 3.5, 7.5, 15.5, 31.5)},
		{"OPTIONS", false, halves(0, .5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)},
		{"INVITE", true, halves(0)},
		{"OPTIONS", true, halves(0)},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, f, e := New(Config{}), newLine(tt.reliable), &events{}
			begun(t, l, f, e, tt.method)
			time.Sleep(32*time.Second - time.Millisecond)
			synctest.Wait()
			want(t, tt.method+" before the limit", e.log(), "")
			time.Sleep(time.Millisecond)
			synctest.Wait()
			want(t, tt.method+" at the limit", e.log(), "timeout")
			want(t, tt.method+" sent at", f.at, tt.at)
			want(t, "timeouts", l.Stats().Timeouts, 1)
			want(t, "retransmissions", int(l.Stats().Retransmissions), len(f.at)-1)
			empty(t, l)
		})
	}
}

func TestInviteRingsForAsLongAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(false), &events{}
		c := begun(t, l, f, e, "INVITE")
		time.Sleep(time.Second)
		reply(l, c, 100, "")
		time.Sleep(10 * time.Minute)
		reply(l, c, 180, "a")
		reply(l, c, 183, "b")
		reply(l, c, 200, "b")
		synctest.Wait()
		want(t, "events", e.log(), "100 180a 183b 200b")
		want(t, "sent", f.log(), "[INVITE INVITE]")
		reply(l, c, 180, "a")
		reply(l, c, 486, "a")
		time.Sleep(32 * time.Second)
		synctest.Wait()
		want(t, "events after the 2xx", e.log(), "100 180a 183b 200b")
		empty(t, l)
	})
}

func TestRequestProceedingSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(false), &events{}
		c := begun(t, l, f, e, "BYE")
		time.Sleep(100 * time.Millisecond)
		reply(l, c, 100, "")
		time.Sleep(10 * time.Second)
		reply(l, c, 200, "x")
		reply(l, c, 200, "x")
		synctest.Wait()
		want(t, "sent at", f.at, halves(0, .5, 4.5, 8.5))
		want(t, "events", e.log(), "100 200x")
		want(t, "running while repetitions may come", l.Stats().Clients, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		empty(t, l)
	})
}

func TestAckOfARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		c := begun(t, l, f, e, "INVITE", "Route: <sip:p1;lr>\r\n", "Route: <sip:p2;lr>\r\n", "Require: x\r\n", "Content-Type: application/sdp\r\n")
		reply(l, c, 404, "them")
		ack := string(Append(nil, f.last()))
		wantAck := "ACK sip:bob@h;x=%41 SIP/2.0\r\nVia: SIP/2.0/UDP a.invalid;branch=z9hG4bK1\r\nRoute: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n" +
			"Max-Forwards: 70\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag=them\r\nCall-ID: call\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n"
		if ack != wantAck {
			t.Errorf("ACK\n%s\nwant\n%s", ack, wantAck)
		}
		synctest.Wait()
		want(t, "events", e.log(), "404them")
		empty(t, l)
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(false), &events{}
		c := begun(t, l, f, e, "INVITE", "Route: <sip:p1;lr>\r\n", "Require: x\r\n")
		if err := c.Cancel(); !errors.Is(err, ErrNoProceeding) {
			t.Fatalf("CANCEL before a provisional response: %v", err)
		}
		reply(l, c, 180, "them")
		if err := c.Cancel(sip.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`)); err != nil {
			t.Fatal(err)
		}
		if err := c.Cancel(); err != nil {
			t.Fatal(err)
		}
		cancel := string(Append(nil, f.last()))
		wantCancel := "CANCEL sip:bob@h;x=%41 SIP/2.0\r\nVia: SIP/2.0/UDP a.invalid;branch=z9hG4bK1\r\nRoute: <sip:p1;lr>\r\n" +
			"Max-Forwards: 70\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: call\r\nCSeq: 7 CANCEL\r\n" +
			"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\nContent-Length: 0\r\n\r\n"
		if cancel != wantCancel {
			t.Errorf("CANCEL\n%s\nwant\n%s", cancel, wantCancel)
		}
		want(t, "sent", f.log(), "[INVITE CANCEL]")
		l.Receive(Message{Message: answer(f.last().Message.(*sip.Request), 200, "them")}, f, nil)
		reply(l, c, 487, "them")
		synctest.Wait()
		want(t, "events", e.log(), "180them 487them")
		want(t, "sent", f.log(), "[INVITE CANCEL ACK]")
		if err := c.Cancel(); !errors.Is(err, ErrTerminated) {
			t.Errorf("CANCEL after the final response: %v", err)
		}
		time.Sleep(time.Minute)
		empty(t, l)
	})
}

func TestCancelThatIsNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		c := begun(t, l, f, e, "INVITE")
		reply(l, c, 180, "a")
		if err := c.Cancel(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		reply(l, c, 180, "a")
		if err := c.Cancel(); err != nil { // a second one does not buy the callee more time
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		want(t, "events", e.log(), "180a 180a timeout")
		empty(t, l)
	})
}

func TestCancelOfAnotherMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		c := begun(t, l, f, e, "OPTIONS")
		reply(l, c, 100, "")
		if err := c.Cancel(); !errors.Is(err, ErrNoProceeding) {
			t.Errorf("CANCEL of OPTIONS: %v", err)
		}
		c.Abandon()
		time.Sleep(time.Minute)
		empty(t, l)
	})
}

func TestAnAnswerMayCrossTheCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		c := begun(t, l, f, e, "INVITE")
		reply(l, c, 180, "a")
		if err := c.Cancel(); err != nil {
			t.Fatal(err)
		}
		reply(l, c, 200, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "events: the answer, and no timeout of the CANCEL", e.log(), "180a 200a")
		empty(t, l)
	})
}

func TestAbandon(t *testing.T) {
	for _, tt := range []struct {
		method string
		first  int // response before, 0 for none
		later  int // response after
		sent   string
	}{
		{"INVITE", 0, 0, "[INVITE]"},
		{"INVITE", 0, 486, "[INVITE ACK]"},
		{"INVITE", 180, 0, "[INVITE]"},
		{"INVITE", 180, 603, "[INVITE ACK]"},
		{"INVITE", 180, 200, "[INVITE]"},
		{"OPTIONS", 0, 0, "[OPTIONS]"},
		{"OPTIONS", 100, 200, "[OPTIONS]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, f, e := New(Config{}), newLine(false), &events{}
			c := begun(t, l, f, e, tt.method)
			if tt.first != 0 {
				reply(l, c, tt.first, "a")
			}
			synctest.Wait()
			before := e.log()
			c.Abandon()
			c.Abandon()
			time.Sleep(time.Second)
			if tt.later != 0 {
				reply(l, c, tt.later, "a")
			}
			time.Sleep(65 * time.Second)
			synctest.Wait()
			want(t, fmt.Sprint(tt, " events"), e.log(), before)
			want(t, fmt.Sprint(tt, " sent"), f.log(), tt.sent)
			empty(t, l)
		})
	}
}

func TestWriteThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, method := range []string{"INVITE", "OPTIONS"} {
			l, f, e := New(Config{}), newLine(false), &events{}
			f.fail(errWrite)
			c := begun(t, l, f, e, method)
			synctest.Wait()
			want(t, "events", e.log(), "lost")
			if err := e.list[0].Err; !errors.Is(err, errWrite) {
				t.Errorf("the cause is lost: %v", err)
			}
			want(t, "flow errors", l.Stats().FlowErrors, 1)
			empty(t, l)
			if err := c.Cancel(); err == nil {
				t.Error("CANCEL of an ended INVITE is accepted")
			}
		}
	})
}

func TestRetransmissionThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(false), &events{}
		begun(t, l, f, e, "INVITE")
		f.fail(errWrite)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		want(t, "events", e.log(), "lost")
		empty(t, l)
	})
}

func TestFlowLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e, d := New(Config{}), newLine(true), &events{}, &desk{}
		other := newLine(true)
		other.name = "other"
		begun(t, l, f, e, "INVITE")
		if _, err := l.Request(outbound(t, "OPTIONS", "z9hG4bK2"), f, e.on); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Request(outbound(t, "OPTIONS", "z9hG4bK3"), other, e.on); err != nil {
			t.Fatal(err)
		}
		l.Receive(request(t, "INVITE", "z9hG4bK4"), f, d.serve)
		l.FlowLost(f)
		l.FlowLost(f)
		synctest.Wait()
		want(t, "events", e.log(), "lost lost")
		if err := d.all[0].Respond(answer(d.all[0].Request(), 200, "x")); !errors.Is(err, ErrTerminated) {
			t.Errorf("response into a lost flow: %v", err)
		}
		want(t, "left", l.Stats().Clients, 1)
		time.Sleep(time.Minute)
		empty(t, l)
	})
}

// A door closes its connection inside Send and says so at once.
func TestFlowLostInsideSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		f.err = errWrite
		f.onSend = func(Message) { l.FlowLost(f) }
		begun(t, l, f, e, "INVITE")
		synctest.Wait()
		want(t, "events", e.log(), "lost")
		empty(t, l)
	})
}

func TestEventsWaitUntilRequestIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(true), &events{}
		f.onSend = func(m Message) {
			req := m.Message.(*sip.Request)
			l.Receive(Message{Message: answer(req, 180, "a")}, f, nil)
			l.Receive(Message{Message: answer(req, 200, "a")}, f, nil)
			synctest.Wait() // whoever could call the user has done so
			want(t, "events while Request still writes", e.log(), "")
		}
		if _, err := l.Request(outbound(t, "INVITE", "z9hG4bK1"), f, e.on); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "events", e.log(), "180a 200a")
		l.FlowLost(f)
		empty(t, l)
	})
}

func TestCallbackMayCallEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := New(Config{}), newLine(true)
		f.onSend = func(m Message) {
			if req, ok := m.Message.(*sip.Request); ok && req.Method == sip.INVITE {
				l.Receive(Message{Message: answer(req, 180, "a")}, f, nil)
			}
		}
		made := make(chan *Client, 1)
		var statuses []int
		c, err := l.Request(outbound(t, "INVITE", "z9hG4bK1"), f, func(e Event) {
			statuses = append(statuses, e.Response.StatusCode)
			c := <-made
			if err := c.Cancel(); err != nil {
				t.Error(err)
			}
			if _, err := l.Request(outbound(t, "OPTIONS", "z9hG4bK2"), f, func(Event) {}); err != nil {
				t.Error(err)
			}
			l.Stats()
			c.Abandon()
			l.FlowLost(f)
		})
		if err != nil {
			t.Fatal(err)
		}
		made <- c
		synctest.Wait()
		want(t, "events", statuses, "[180]")
		want(t, "sent", f.log(), "[INVITE CANCEL OPTIONS]")
		empty(t, l)
	})
}

func TestPanickingCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := New(Config{}), newLine(true)
		var got []int
		c, err := l.Request(outbound(t, "INVITE", "z9hG4bK1"), f, func(e Event) {
			got = append(got, e.Response.StatusCode)
			panic("the user's fault")
		})
		if err != nil {
			t.Fatal(err)
		}
		reply(l, c, 180, "a")
		reply(l, c, 486, "a")
		synctest.Wait()
		want(t, "events", got, "[180 486]")
		empty(t, l)
	})
}

func TestRequestRefuses(t *testing.T) {
	l, f := New(Config{}), newLine(true)
	ok := func() Outbound { return outbound(t, "OPTIONS", "z9hG4bK1") }
	if _, err := l.Request(ok(), f, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	without := func(name string) Outbound {
		out := outbound(t, "OPTIONS", "z9hG4bK2")
		out.RemoveHeader(name)
		return out
	}
	noBranch := without("")
	noBranch.Via().Params.Remove("branch")
	otherMethod := without("")
	otherMethod.CSeq().MethodName = "INVITE"
	for want, out := range map[string]Outbound{
		"is in use": ok(), "no request": {}, "no transaction": outbound(t, "ACK", "z9hG4bK2"),
		"needs Via": without("Via"), "needs Via, From, To": without("To"), "Call-ID and CSeq": without("CSeq"),
		"no branch": noBranch, "CSeq says INVITE": otherMethod,
	} {
		if _, err := l.Request(out, f, func(Event) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	want(t, "sent", f.log(), "[OPTIONS]")
	l.FlowLost(f)
	empty(t, l)
}

// The caller goes on with its request: a digest retry has another CSeq, Via and Max-Forwards in the same object.
func TestRequestIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, e := New(Config{}), newLine(false), &events{}
		out := outbound(t, "INVITE", "z9hG4bK1")
		c, err := l.Request(out, f, e.on)
		if err != nil {
			t.Fatal(err)
		}
		hops := sip.MaxForwardsHeader(69)
		for _, h := range outbound(t, "INVITE", "z9hG4bK2").Headers() {
			out.ReplaceHeader(h)
		}
		out.ReplaceHeader(&sip.CSeqHeader{SeqNo: 8, MethodName: sip.INVITE})
		out.ReplaceHeader(&hops)
		reply(l, c, 407, "x")
		sent := f.last().Message
		if sent.CSeq().SeqNo != 7 || sent.Via().Params.GetOr("branch", "") != "z9hG4bK1" || *requestOf(c).MaxForwards() != 70 {
			t.Errorf("the ACK follows a later request:\n%s", sent)
		}
		if !slices.Equal(f.log(), []string{"INVITE", "ACK"}) {
			t.Errorf("sent %v", f.log())
		}
		time.Sleep(time.Minute)
	})
}
