package bridge

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/bridge/sdp"
)

// search is a call that looks for the target of a transfer. Its caller is a void leg with the kept leg's side of offer and answer,
// until the target answers and the kept leg itself comes.
type search struct {
	origin *call
	t      *transfer
}

// search opens the call to the target, in the name of the kept leg's user.
func (c *call) search(t *transfer, in inbound, to referTo) (*call, *notRouted) {
	b := c.bridge
	in = inbound{req: t.kept.invitation(to, t.by.referredBy(in.req)), browser: in.browser, backend: in.backend}
	decision := b.transferRoute(t, in)
	if decision.Reject != 0 {
		return nil, &notRouted{decision.Reject, decision.Refusal()}
	}
	if vouched(in, decision) && !t.by.proven(in.browser) {
		return nil, &notRouted{403, "this connection did not prove to be " + t.by.aor}
	}
	stages, err := b.targets(in, decision)
	if err != nil {
		return nil, err
	}
	said, failed := t.kept.relayed()
	if failed != nil {
		return nil, &notRouted{statusOf(failed), failed.Error()}
	}
	s := b.newCall(b.ids.call())
	s.in, s.uri, s.stages, s.state = in, to.bare(), stages, callSeeking
	s.searching, s.user = &search{origin: c, t: t}, c.userOf(t)
	s.caller = s.void(byCaller)
	s.caller.resemble(t.kept, said)
	s.sessions = sessionIDs{Caller: c.sessionOf(t.kept), Callee: nilSessionID}
	s.record = Record{
		Call: s.id, Tenant: c.record.Tenant, Origin: c.record.Origin, Start: time.Now(),
		From: in.req.From().Address.String(), To: to.bare(), TransferOf: c.id,
	}
	s.tape = newTape(decision.Record)
	b.calls.add(s)
	b.counters.callStarted()
	s.post("search", func() {
		s.event(Event{Started: &Started{Origin: s.record.Origin, From: s.record.From, To: s.record.To}})
		s.ring = s.after(b.cfg.RingLimit, "ring-limit", func() { s.fail(ringTimeout()) })
		s.tryNext()
	})
	go s.run()
	return s, nil
}

// invitation is the request of which the target's INVITE is made: it comes from the kept leg's user.
func (l *leg) invitation(to referTo, by sip.Header) *sip.Request {
	d := Dialog{
		LocalName: l.dialog.RemoteName, LocalURI: l.dialog.RemoteURI, RemoteURI: to.bare(), Target: to.bare(),
	}
	req := d.request(sip.INVITE).Request
	req.Recipient = to.uri
	req.AppendHeader(by)
	if to.replaces != nil {
		req.AppendHeader(sip.NewHeader("Replaces", to.replaces.String()))
	}
	for _, h := range to.headers {
		req.AppendHeader(h)
	}
	return req
}

// transferRoute asks the routes. A browser may send others only where it may call itself. A backend asks the kept leg's user to
// call: so where that may, else where the backend itself may.
func (b *Bridge) transferRoute(t *transfer, in inbound) route.Decision {
	askers := []*leg{t.by}
	if !t.by.browser() {
		askers = []*leg{t.kept, t.by}
	}
	var d route.Decision
	for _, asker := range askers {
		d = b.with.Router.Route(asker.inviteQuery(in.req.Recipient))
		if d.Reject == 0 {
			return d
		}
	}
	return d
}

func originOf(l *leg) string {
	if l.browser() {
		return route.Browsers
	}
	return poolOf(l.backend)
}

// relayed is what the leg's peer said, as the offer to another side is made of it.
func (l *leg) relayed() (sdp.Leg, error) {
	if l.neg.Direct {
		return l.neg.Relayed(sdp.Local{})
	}
	return l.neg.Rollback(), nil
}

// resemble gives a void leg what offers to another side are made of, as the kept leg's peer said it; nobody is held in them.
func (l *leg) resemble(kept *leg, said sdp.Leg) {
	l.profile, l.aor, l.flow, l.backend, l.policy = kept.profile, kept.aor, kept.flow, kept.backend, kept.policy
	l.neg = said.Resumed()
}

// searchAnswered asks for the kept leg.
func (c *call) searchAnswered(br *branch) {
	c.noteAnswer(br.leg.backend)
	s := c.searching
	if !s.origin.post("target answered", func() { s.origin.handOver(s.t, arrival{to: c, into: byCaller}) }) {
		c.giveUpSearch()
	}
}

// giveUpSearch ends a call that waits for a leg which will not come.
func (c *call) giveUpSearch() {
	if c.searching != nil || c.taking != nil {
		c.fail(transferLost(byGateway, 481))
	}
}

// endSearch ends the search of a transfer whose own call ends: whom it would be for is not there any more.
func (c *call) endSearch() {
	if t := c.transfer; t != nil && t.to != nil && !t.done {
		t.to.post("transfer given up", t.to.giveUpSearch)
	}
}

// searchFailed tells the transfer of the end of a search.
func (c *call) searchFailed() {
	s := c.searching
	if s == nil {
		return
	}
	c.searching = nil
	status, reason := c.term.Status, c.term.Reason
	if status == 401 || status == 407 { // nobody is there to answer it
		status = 403
	}
	s.origin.post("target not reached", func() { s.origin.transferFailed(s.t, status, reason) })
}
