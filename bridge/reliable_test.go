package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// pracked gives a reliable provisional and answers its PRACK.
func (w *world) pracked(in *siptest.Incoming, r siptest.Reply) {
	w.t.Helper()
	prack, err := in.Reliably(w.ctx(), r)
	w.check(err)
	w.check(prack.Respond(siptest.Reply{Status: 200}))
}

// ringing is a browser's call whose INVITE has reached the agent.
func (w *world) ringing(opt wsstest.InviteOptions) (*wsstest.Call, *siptest.Incoming) {
	w.t.Helper()
	call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", opt)
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	return call, in
}

// A backend's reliable 183 is acknowledged in its dialog, is early media for the browser, and the final answer: the 200 without a
// description, or with another one, changes nothing. The browser knows nothing of it.
func TestReliableProgressFromBackend(t *testing.T) {
	t.Parallel()
	for _, final := range []string{"without", "with another"} {
		t.Run("200 "+final+" description", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			call, in := w.ringing(wsstest.InviteOptions{})
			if got := header(in.Request(), "Supported"); !strings.Contains(got, "100rel") || header(in.Request(), "Require") != "" {
				t.Errorf("Supported %q, Require %q", got, header(in.Request(), "Require"))
			}
			m := w.rtp()
			answer, err := m.Answer(in.SDP())
			w.check(err)
			m.Tone(1000)
			w.pracked(in, siptest.Reply{Status: 183, SDP: answer})
			w.check(call.Wait(w.ctx(), wsstest.Early))
			w.check(call.Media().WaitTone(w.ctx(), 1000))
			w.pracked(in, siptest.Reply{Status: 180})
			w.check(call.Wait(w.ctx(), wsstest.Early))
			last := siptest.Reply{}
			if final == "with another" {
				last.SDP = strings.ReplaceAll(answer, "m=audio ", "m=audio 9")
			}
			d, err := in.Accept(w.ctx(), last)
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Confirmed))
			w.check(m.WaitTone(w.ctx(), 440))
			w.check(d.Bye(w.ctx()))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			for _, res := range call.Responses() {
				if strings.Contains(header(res, "Require"), "100rel") || header(res, "RSeq") != "" {
					t.Errorf("the browser's %d has Require %q, RSeq %q", res.StatusCode, header(res, "Require"), header(res, "RSeq"))
				}
			}
		})
	}
}

// Reliable provisionals are acknowledged once each and in order; one whose predecessor is missing is not, and does not ring.
func TestOrderOfPracks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{timers: single()})
	call, in := w.ringing(wsstest.InviteOptions{})
	say := func(status int, rseq string) {
		w.check(in.Respond(siptest.Reply{Status: status, Headers: []sip.Header{
			sip.NewHeader("Require", "100rel"), sip.NewHeader("RSeq", rseq), sip.NewHeader("X-Status", rseq),
		}}))
	}
	answer := func(want string) {
		t.Helper()
		prack, err := w.agents[0].Expect(w.ctx(), sip.PRACK)
		w.check(err)
		if got := header(prack.Request(), "RAck"); !strings.HasPrefix(got, want+" ") || !strings.HasSuffix(got, " INVITE") {
			t.Errorf("RAck %q, want one of %s", got, want)
		}
		w.check(prack.Respond(siptest.Reply{Status: 200}))
	}
	say(180, "10")
	answer("10")
	say(180, "10") // lost on the way? acknowledged already
	say(183, "12") // before 11
	say(181, "11")
	answer("11")
	say(183, "12")
	answer("12")
	w.until("what was in order", func() bool { return len(call.Responses()) == 4 })
	var heard []string
	for _, res := range call.Responses()[1:] {
		heard = append(heard, header(res, "X-Status"))
	}
	if got := strings.Join(heard, " "); got != "10 11 12" {
		t.Errorf("the browser heard %s", got)
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if got := strings.Count(w.agents[0].Ladder(), "PRACK sip:"); got != 3 {
		t.Errorf("%d PRACKs", got)
	}
}

// Each of two forks has its own order and its own early media; the second one's reliable answer wins with it.
func TestReliableForks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, in := w.ringing(wsstest.InviteOptions{})
	one, two := w.rtp(), w.rtp()
	for tag, m := range map[string]*siptest.Media{"one": one, "two": two} {
		answer, err := m.Answer(in.SDP())
		w.check(err)
		prack, err := in.Reliably(w.ctx(), siptest.Reply{Status: 183, Tag: tag, SDP: answer})
		w.check(err)
		if got := prack.Request().CSeq().SeqNo - in.Request().CSeq().SeqNo; got != 1 {
			t.Errorf("the PRACK of %s is %d after its INVITE: each early dialog counts for itself", tag, got)
		}
		w.check(prack.Respond(siptest.Reply{Status: 200}))
	}
	two.Tone(1000)
	d, err := in.Accept(w.ctx(), siptest.Reply{Tag: "two"})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("To-tags %q", tags)
	}
	w.check(d.Bye(w.ctx()))
}

// A PRACK goes by the route set of the dialog's first response, to the target of the latest.
func TestRouteOfPrack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	_, in := w.ringing(wsstest.InviteOptions{})
	own := w.agents[0].URI("")
	own.User = ""
	own.UriParams.Add("lr", "")
	target := func(user string) sip.Header {
		uri := w.agents[0].URI("")
		uri.User = user
		return &sip.ContactHeader{Address: uri}
	}
	for i, headers := range [][]sip.Header{{target("first"), &sip.RecordRouteHeader{Address: own}}, {target("second")}} {
		prack, err := in.Reliably(w.ctx(), siptest.Reply{Status: 180, Headers: headers})
		w.check(err)
		want := []string{"first", "second"}[i]
		if got := prack.Request(); got.Recipient.User != want || !strings.Contains(header(got, "Route"), own.Host) {
			t.Errorf("PRACK to %s by %q, want %s", got.Recipient.String(), header(got, "Route"), want)
		}
		w.check(prack.Respond(siptest.Reply{Status: 200}))
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
}

// What the callee says to a PRACK does not end the call, but that it knows the dialog no more.
func TestRefusedPrack(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 405, 404, 481} {
		t.Run(phrase(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			call, in := w.ringing(wsstest.InviteOptions{})
			prack, err := in.Reliably(w.ctx(), siptest.Reply{Status: 180})
			w.check(err)
			w.check(prack.Respond(siptest.Reply{Status: status}))
			if status == 481 {
				cancel, err := w.agents[0].Expect(w.ctx(), sip.CANCEL)
				w.check(err)
				w.check(cancel.Respond(siptest.Reply{Status: 200}))
				w.check(in.Respond(siptest.Reply{Status: 487}))
				w.check(call.Wait(w.ctx(), wsstest.Ended))
				if call.Status() != 481 {
					t.Errorf("the browser heard %d", call.Status())
				}
				return
			}
			answer, err := w.rtp().Answer(in.SDP())
			w.check(err)
			d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Confirmed))
			w.check(d.Bye(w.ctx()))
		})
	}
}

// A pool says whether 100rel is spoken with it.
func TestReliablePeerings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode      Reliable
		supported bool
		require   string
	}{{ReliableAuto, true, ""}, {ReliableOff, false, ""}, {ReliableRequire, true, "100rel"}} {
		t.Run(string(test.mode), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {Reliable: test.mode}}}})
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
			w.check(err)
			in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
			w.check(err)
			if s, r := header(in.Request(), "Supported"), header(in.Request(), "Require"); strings.Contains(s, "100rel") != test.supported || r != test.require {
				t.Errorf("Supported %q, Require %q", s, r)
			}
			w.check(in.Respond(siptest.Reply{Status: 486}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: w.rtp().Offer("sendrecv"),
				Headers: []sip.Header{sip.NewHeader("Require", "100rel")}})
			w.check(err)
			if test.mode == ReliableOff {
				res, err := out.Await(w.ctx(), 420)
				w.check(err)
				if header(res, "Unsupported") != "100rel" {
					t.Errorf("Unsupported %q", header(res, "Unsupported"))
				}
				return
			}
			back, err := b.NextCall(w.ctx())
			w.check(err)
			if r := header(back.Invitation(), "Require"); r != "" {
				t.Errorf("the browser was sent Require: %s", r)
			}
			w.check(back.Reject(486, "Busy Here"))
			_, err = out.Await(w.ctx(), 486)
			w.check(err)
		})
	}
}

// A browser whose page wants its own 183 acknowledged (SIP.js) gets the PRACK.
func TestReliableProgressFromBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	m := w.rtp()
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: m.Offer("sendrecv")})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	w.check(call.ProgressReliably(w.ctx()))
	res, err := out.Await(w.ctx(), 183)
	w.check(err)
	if header(res, "Require") != "" {
		t.Error("the backend that did not ask gets a reliable 183")
	}
	w.check(call.Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.check(m.Connect(d.Remote))
	m.Tone(1000)
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(d.Bye(w.ctx()))
}
