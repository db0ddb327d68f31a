package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// asking is an INVITE of the agent's to a browser with 100rel in a header, and the browser's call.
func (w *world) asking(b *wsstest.Browser, name, offer string) (*siptest.Outgoing, *wsstest.Call) {
	w.t.Helper()
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: offer, Headers: []sip.Header{sip.NewHeader(name, "100rel")}})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	return out, call
}

// A backend that supports 100rel gets the browser's early description reliably and the 180 not; one that requires it gets both so,
// one after the other.
func TestReliableProgressToBackend(t *testing.T) {
	t.Parallel()
	for _, asks := range []string{"Supported", "Require"} {
		t.Run(asks, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			b, m := w.registered("alice", wsstest.Options{}), w.rtp()
			out, call := w.asking(b, asks, m.Offer("sendrecv"))
			w.check(call.Ring())
			w.check(call.Progress(w.ctx()))
			ringing, err := out.Await(w.ctx(), 180)
			w.check(err)
			if asks == "Require" {
				if res, err := out.Prack(w.ctx(), ringing, ""); err != nil || res.StatusCode != 200 {
					t.Fatalf("the 180's PRACK: %v %v", res, err)
				}
			} else if header(ringing, "RSeq") != "" {
				t.Error("the 180 wants a PRACK")
			}
			early, err := out.Await(w.ctx(), 183)
			w.check(err)
			if header(early, "Require") != "100rel" || len(early.Body()) == 0 {
				t.Fatalf("183 with Require %q and %d bytes", header(early, "Require"), len(early.Body()))
			}
			w.check(m.Connect(string(early.Body())))
			res, err := out.Prack(w.ctx(), early, "")
			w.check(err)
			if res.StatusCode != 200 || len(res.Body()) != 0 {
				t.Errorf("PRACK: %d\n%s", res.StatusCode, res.Body())
			}
			if res, err = out.Prack(w.ctx(), early, ""); err != nil || res.StatusCode != 481 {
				t.Errorf("a second PRACK for the same: %v %v", res, err)
			}
			m.Tone(1000)
			w.check(call.Media().WaitTone(w.ctx(), 1000))
			w.check(call.Answer(w.ctx()))
			d, err := out.Answered(w.ctx(), "")
			w.check(err)
			w.check(m.WaitTone(w.ctx(), 440))
			w.check(d.Bye(w.ctx()))
		})
	}
}

// A reliable 183 is repeated until its PRACK, and the 200 does not pass it.
func TestAnswerWaitsForPrack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{T1: 200 * time.Millisecond}})
	b, m := w.registered("alice", wsstest.Options{}), w.rtp()
	out, call := w.asking(b, "Supported", m.Offer("sendrecv"))
	w.check(call.Progress(w.ctx()))
	first, err := out.Await(w.ctx(), 183)
	w.check(err)
	w.check(call.Answer(w.ctx()))
	for range 3 {
		again, err := out.Next(w.ctx())
		w.check(err)
		if again.StatusCode != 183 || header(again, "RSeq") != header(first, "RSeq") {
			t.Fatalf("%d with RSeq %q while the 183 with RSeq %q waits for its PRACK", again.StatusCode, header(again, "RSeq"), header(first, "RSeq"))
		}
	}
	res, err := out.Prack(w.ctx(), first, "")
	w.check(err)
	if res.StatusCode != 200 {
		t.Errorf("PRACK: %d", res.StatusCode)
	}
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.check(m.Connect(string(first.Body())))
	m.Tone(1000)
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(d.Bye(w.ctx()))
}

// A caller that gives up while its 200 waits for a PRACK is a caller without an answer.
func TestCancelWhileTheAnswerWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b, m := w.registered("alice", wsstest.Options{}), w.rtp()
	out, call := w.asking(b, "Supported", m.Offer("sendrecv"))
	w.check(call.Progress(w.ctx()))
	_, err := out.Await(w.ctx(), 183)
	w.check(err)
	w.check(call.Answer(w.ctx()))
	w.check(out.Cancel())
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 487 {
		t.Errorf("%d", res.StatusCode)
	}
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	w.until("the end", func() bool { return w.bridge.Stats().CallsEnded["cancelled"] == 1 })
}

// A caller that asked for reliable provisionals and acknowledges none gets 504 (RFC 3262 §3), also where the browser had answered.
func TestNoPrack(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprint(answered), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{bridge: Config{T1: 100 * time.Millisecond}})
			b := w.registered("alice", wsstest.Options{})
			out, call := w.asking(b, "Supported", w.rtp().Offer("sendrecv"))
			w.check(call.Progress(w.ctx()))
			if answered {
				w.check(call.Answer(w.ctx()))
			}
			res, err := out.Final(w.ctx())
			w.check(err)
			if res.StatusCode != 504 || !strings.Contains(header(res, "Reason"), "no PRACK") {
				t.Errorf("%d, Reason %q", res.StatusCode, header(res, "Reason"))
			}
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			w.until("the end", func() bool { return w.bridge.Stats().CallsEnded["prack-timeout"] == 1 })
		})
	}
}

// PRACKs that acknowledge nothing.
func TestBadPracks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	out, call := w.asking(b, "Supported", w.rtp().Offer("sendrecv"))
	w.check(call.Progress(w.ctx()))
	early, err := out.Await(w.ctx(), 183)
	w.check(err)
	d, seq, cseq := out.Early(early), header(early, "RSeq"), early.CSeq().SeqNo
	for _, test := range []struct {
		rack   string
		status int
	}{
		{"", 400}, {"x y z", 400}, {"1 1 INVITE", 481}, {fmt.Sprintf("%s %d BYE", seq, cseq), 481},
		{fmt.Sprintf("%s %d INVITE", seq, cseq+1), 481}, {fmt.Sprintf("%s %d INVITE", seq, cseq), 200},
	} {
		res, err := d.Request(w.ctx(), sip.PRACK, "", "", sip.NewHeader("RAck", test.rack))
		w.check(err)
		if res.StatusCode != test.status {
			t.Errorf("RAck %q: %d, want %d", test.rack, res.StatusCode, test.status)
		}
	}
	w.check(call.Answer(w.ctx()))
	d, err = out.Answered(w.ctx(), "")
	w.check(err)
	if res, err := d.Request(w.ctx(), sip.PRACK, "", "", sip.NewHeader("RAck", "1 1 INVITE")); err != nil || res.StatusCode != 481 {
		t.Errorf("a PRACK in a confirmed dialog: %v %v", res, err)
	}
	w.check(d.Bye(w.ctx()))
}

// An offer in the PRACK (RFC 3262 §5) is answered in its 200; the browser hears of it once the call is up.
func TestOfferInPrack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b, m := w.registered("alice", wsstest.Options{}), w.rtp()
	out, call := w.asking(b, "Supported", m.Offer("sendrecv"))
	w.check(call.Progress(w.ctx()))
	early, err := out.Await(w.ctx(), 183)
	w.check(err)
	res, err := out.Prack(w.ctx(), early, m.Offer("sendonly"))
	w.check(err)
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=recvonly") {
		t.Fatalf("%d\n%s", res.StatusCode, res.Body())
	}
	w.check(m.Connect(string(res.Body())))
	m.Tone(1000)
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(call.Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	held, err := call.WaitReceived(w.ctx(), wsstest.Request(sip.INVITE))
	w.check(err)
	if !strings.Contains(string(held.Body()), "a=sendonly") {
		t.Errorf("the browser was offered\n%s", held.Body())
	}
	w.check(d.Bye(w.ctx()))
}

// A browser that requires 100rel (SIP.js where the page wants it) is served: each provisional wants its PRACK.
func TestBrowserRequiresReliable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, in := w.ringing(wsstest.InviteOptions{Headers: []sip.Header{sip.NewHeader("Require", "100rel")}})
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1000)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	w.check(in.Respond(siptest.Reply{Status: 183, SDP: answer}))
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	for _, res := range call.Responses() {
		if res.StatusCode > 100 && res.StatusCode < 200 && header(res, "RSeq") == "" {
			t.Errorf("a %d without RSeq", res.StatusCode)
		}
	}
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// Two trunks that both speak 100rel: each PRACK ends where it came.
func TestReliableBetweenTrunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	at := w.sip.Addrs()[0]
	to := sip.Uri{Scheme: "sip", User: "trunk", Host: at.Addr().String(), Port: int(at.Port())}
	caller, callee := w.rtp(), w.rtp()
	out, err := w.agents[0].Invite(siptest.Call{To: to, SDP: caller.Offer("sendrecv"), Headers: []sip.Header{sip.NewHeader("Supported", "100rel")}})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	answer, err := callee.Answer(in.SDP())
	w.check(err)
	w.pracked(in, siptest.Reply{Status: 183, SDP: answer})
	early, err := out.Await(w.ctx(), 183)
	w.check(err)
	w.check(caller.Connect(string(early.Body())))
	callee.Tone(1000)
	w.check(caller.WaitTone(w.ctx(), 1000))
	if res, err := out.Prack(w.ctx(), early, ""); err != nil || res.StatusCode != 200 {
		t.Fatalf("PRACK: %v %v", res, err)
	}
	accepted := make(chan error, 1)
	w.meanwhile(func() {
		_, err := in.Accept(w.ctx(), siptest.Reply{})
		accepted <- err
	})
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.check(<-accepted)
	caller.Tone(1200)
	w.check(callee.WaitTone(w.ctx(), 1200))
	w.check(d.Bye(w.ctx()))
}
