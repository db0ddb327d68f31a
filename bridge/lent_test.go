package bridge

import (
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// slowTolls take their time over numbers that begin with 66.
type slowTolls struct {
	asked   chan string
	release chan struct{}
}

// Place implements Tolls.
func (s slowTolls) Place(t Toll, _ func(why string)) (Meter, *TollRefusal) {
	if strings.HasPrefix(t.Number, "66") {
		s.asked <- t.Number
		<-s.release
	}
	return nil, nil
}

// Calls whose work waits for something keep no other call of the same socket or connection waiting, be it lent to them or not.
func TestACallThatWaitsKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"UDP", "TCP", "WS"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			tolls := slowTolls{asked: make(chan string, 10), release: make(chan struct{})}
			w := newWorld(t, conditions{other: true, tolls: tolls, routes: []route.Rule{{From: "other", To: "pbx"}, {From: "browsers", To: "pbx"}}})
			release := sync.OnceFunc(func() { close(tolls.release) })
			t.Cleanup(release) // where the test fails the world's end waits for the calls
			call := w.callsBy(transport)
			for _, number := range []string{"661", "662", "663"} {
				call(number)
				select {
				case <-tolls.asked:
				case <-w.ctx().Done():
					t.Fatalf("nobody asks for %s", number)
				}
			}
			call("600")
			if in := w.called(w.agents[0]); in.Request().Recipient.User != "600" {
				t.Errorf("%s is called", in.Request().Recipient.User)
			} else {
				w.check(in.Respond(siptest.Reply{Status: 486}))
			}
			release()
			for range 3 {
				w.check(w.called(w.agents[0]).Respond(siptest.Reply{Status: 486}))
			}
			w.over()
		})
	}
}

// callsBy gives who calls by a transport, always over the same socket or connection.
func (w *world) callsBy(transport string) func(number string) {
	if transport == "WS" {
		b := w.registered("alice", wsstest.Options{})
		return func(number string) {
			w.t.Helper()
			_, err := b.Invite(w.ctx(), number, wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
		}
	}
	door := w.sip.Addrs()[0]
	if transport == "TCP" {
		door = w.sip.Addrs()[1]
	}
	return func(number string) {
		w.t.Helper()
		_, err := w.other.Invite(siptest.Call{
			To: sip.Uri{Scheme: "sip", User: number, Host: "example.com"}, Target: door, Transport: strings.ToLower(transport), SDP: w.rtp().Offer("sendrecv"),
		})
		w.check(err)
	}
}
