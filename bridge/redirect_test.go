package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

func movedTo(contacts ...string) siptest.Reply {
	r := siptest.Reply{Status: 302, Headers: []sip.Header{sip.NewHeader("Diversion", "<sip:600@example.com>;reason=unconditional")}}
	for _, c := range contacts {
		var h sip.ContactHeader
		_, _ = sip.ParseAddressValue(c, &h.Address, &h.Params)
		r.Headers = append(r.Headers, &h)
	}
	return r
}

// A 3xx is followed to the Contact that is wanted most and that the routes know; the caller notices nothing.
func TestRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(movedTo("<sip:9001@example.com>;q=0.9", "<sip:601@example.com>;q=0.1", "<sip:700@example.com>;q=0.5")))
	next, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	if req := next.Request(); next.RequestURI() != "sip:700@example.com" || req.To().Address.User != "600" || header(req, "Diversion") == "" {
		t.Errorf("redirected to\n%s", req.String())
	}
	m := w.rtp()
	answer, err := m.Answer(next.SDP())
	w.check(err)
	m.Tone(1500)
	d, err := next.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	carol := w.phone(d, m)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), 1500))
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("To-tags %q", tags)
	}
	w.check(call.Bye(w.ctx()))
	carol.hungUp()
}

// Redirections in a circle end.
func TestRedirectLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	users := []string{"601", "602", "603", "604", "605", "606", "607"}
	invites := 0
	for _, user := range users[:maxRedirects+1] {
		in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
		w.check(err)
		invites++
		w.check(in.Respond(movedTo("<sip:" + user + "@example.com>")))
	}
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 480 || invites != maxRedirects+1 {
		t.Errorf("%d after %d INVITEs", call.Status(), invites)
	}
}

// Where a pool's redirections are passed, a backend gets them with their Contacts, a browser as 480 with the reason.
func TestRedirectIsPassed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, bridge: Config{Peerings: map[string]Peering{"other": {PassRedirects: true}}}})
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "700", wsstest.InviteOptions{})
	w.check(err)
	answer := func() {
		in, err := w.other.Expect(w.ctx(), sip.INVITE)
		w.check(err)
		w.check(in.Respond(movedTo("<sip:701@example.com>")))
	}
	answer()
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 480 {
		t.Errorf("the browser heard %d", call.Status())
	}
	to := sip.Uri{Scheme: "sip", User: "700", Host: "example.com"}
	out, err := w.agents[0].Invite(siptest.Call{To: to, Target: w.sip.Addrs()[0], SDP: w.rtp().Offer("sendrecv")})
	w.check(err)
	answer()
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 302 || res.Contact() == nil || res.Contact().Address.User != "701" {
		t.Errorf("the backend heard\n%s", res.String())
	}
}
