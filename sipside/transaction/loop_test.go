package transaction

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// A request of ours that comes back unchanged is a loop, one with another Request-URI a spiral (RFC 3261 §16.3 step 4).
func TestLoopIsToldFromSpiral(t *testing.T) {
	for _, row := range []struct {
		name, branch, uri string
		method            string
		looped            bool
	}{
		{"unchanged", "z9hG4bKours", "", "INVITE", true},
		{"another Request-URI", "z9hG4bKours", "sip:token@gateway.example.com", "INVITE", false},
		{"another's branch", "z9hG4bKtheirs", "", "INVITE", false},
		{"another method", "z9hG4bKours", "", "OPTIONS", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, f, d, e := New(Config{}), newLine(true), &desk{}, &events{}
				c, err := l.Request(outbound(t, "INVITE", "z9hG4bKours"), f, e.on)
				if err != nil {
					t.Fatal(err)
				}
				back := request(t, row.method, "z9hG4bKproxy")
				if back.RequestURI = row.uri; row.uri == "" {
					back.RequestURI = requestOf(c).Recipient.String()
				}
				ours := requestOf(c).Via().Clone()
				ours.Params.Add("branch", row.branch)
				back.Message.(*sip.Request).AppendHeader(ours)
				l.Receive(back, f, d.serve)
				if got := d.all[0].Looped(); got != row.looped {
					t.Errorf("looped: %v", got)
				}
				if err := d.all[0].Respond(answer(d.all[0].Request(), 482, "x")); err != nil {
					t.Fatal(err)
				}
				l.Receive(Message{Message: answer(requestOf(c), 482, "x")}, f, d.serve)
				time.Sleep(time.Minute)
			})
		})
	}
}
