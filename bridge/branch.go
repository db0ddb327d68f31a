package bridge

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// branch is one INVITE of ours, with its early dialogs by To-tag. The winner's leg becomes the call's second leg.
type branch struct {
	call   *call
	leg    *leg
	target target

	// owned by the call's goroutine
	early   map[string]*earlyDialog
	sounds  *earlyDialog // whose early media runs
	offered sdp.Leg      // with our offer open: each early dialog hears its own answer to it
	try     *timer       // nothing but 100 so far
	tag     string       // of the 2xx; "" before it
	lost    bool         // its member died while it rang
	over    bool         // ended, or given up: what it still says does not concern the caller
	answer  sip.Header   // the gateway's own credentials, which a backend asked for
	answers int          // how often it asked
}

// tryNext opens the branches of the next stage.
func (c *call) tryNext() {
	current := c.stages[0]
	c.stages = c.stages[1:]
	for _, t := range current {
		c.openBranch(t)
	}
}

// openBranch sends one INVITE.
func (c *call) openBranch(t target) {
	br := &branch{call: c, target: t, early: map[string]*earlyDialog{}}
	br.leg = c.newCallee(t)
	br.shownVerstat()
	c.branches = append(c.branches, br)
	if over := br.leg.takeQuota(dialledUser(c.in.req.Recipient), t.answersChallenge()); over != nil {
		c.post("over quota", func() { br.overQuota(over) })
		return
	}
	if no := br.placeToll(); no != nil {
		c.post("toll refused", func() { br.tollRefused(no) })
		return
	}
	c.record.Tried = append(c.record.Tried, t.peer().Name())
	if err := br.send(); err != nil { // in its turn: the stage's other branches come first
		c.post("INVITE failure", func() { br.failed(err) })
	}
}

// newCallee is a branch's leg: a dialog of its own, or that of the challenged INVITE which this one answers.
func (c *call) newCallee(t target) *leg {
	l := &leg{name: byCallee, profile: sdp.RTP, peer: t.peer(), state: legCalling}
	l.dialog = c.bridge.presented(c.in, t, c.bridge.dialogTowards(c.in.req, t, c.uri))
	if t.backend != nil {
		l.backend = t.backend.Name()
	} else {
		l.profile, l.flow, l.aor = sdp.WebRTC, t.browser.Flow(), t.binding.AOR
	}
	c.adopt(l)
	l.digits, l.policy = c.bridge.peering(l.backend).DTMF, c.bridge.policy(l.backend, c.caller.backend)
	l.policy.Transcode = l.policy.Transcode && c.caller.policy.Transcode // it takes both legs
	l.conn, l.log = l.peer.Name(), newLegLog(l)
	return l
}

// dialogTowards is our half of the dialog, or of the request without one, that carries a request on to a target: one of its own, or
// that of the challenged request which this one answers. uri is the Request-URI towards backends.
func (b *Bridge) dialogTowards(in *sip.Request, t target, uri string) Dialog {
	from, to := bare(callerAs(in.From().Address, t.change)), bare(in.To().Address)
	if now, changed := rewritten(in.Recipient, t.change); changed {
		to = calleeAs(to, in.Recipient, now)
	}
	d := Dialog{
		CallID: b.ids.callID(), LocalTag: b.ids.tag(), Token: b.ids.token(), Target: uri,
		LocalName: strings.Clone(in.From().DisplayName), LocalURI: transaction.URI(&from),
		RemoteName: strings.Clone(in.To().DisplayName), RemoteURI: transaction.URI(&to),
	}
	if t.backend == nil {
		d.Target = withoutHeaders(t.binding.Contact)
		d.LocalURI = forBrowser(from, "")
		d.RemoteURI = forBrowser(to, t.binding.AOR)
		return d
	}
	if t.uri != "" {
		d.Target = t.uri
	}
	if t.binding.Contact != "" { // a phone behind it, registered here
		d.Target, d.Routes = t.binding.Contact, strings.FieldsFunc(t.binding.Path, func(r rune) bool { return r == '\n' })
	}
	if by := t.issuer; by != nil && by.CallID != "" { // CSeq + 1 on the same leg
		d.CallID, d.LocalTag, d.LocalSeq = by.CallID, by.FromTag, by.CSeq
	}
	return d
}

// hopsLeft is the Max-Forwards with which a request goes on.
func hopsLeft(req *sip.Request) sip.MaxForwardsHeader {
	if h := req.MaxForwards(); h != nil && h.Val() > 0 && h.Val() <= 70 {
		return sip.MaxForwardsHeader(h.Val() - 1)
	}
	return 69
}

// forBrowser is a URI as a browser's library takes it: JsSIP answers 416 to a To that is not sip:.
func forBrowser(uri sip.Uri, instead string) string {
	switch uri.Scheme {
	case "", "sip":
		return uri.String()
	case "sips":
		uri.Scheme = "sip"
		return uri.String()
	}
	if instead == "" {
		instead = "sip:anonymous@anonymous.invalid"
		if uri.Scheme == "tel" {
			instead = "sip:" + uri.Raw() + "@anonymous.invalid"
		}
	}
	return instead
}

// send makes our offer and sends the INVITE.
func (br *branch) send() error {
	c, l := br.call, br.leg
	reached := addr{}
	if br.target.browser != nil {
		reached = br.target.browser.Local().Addr()
	}
	if err := l.openMedia(reached, nil); err != nil {
		return err
	}
	var offer []byte
	if !c.direct || c.caller.neg.Heard != nil { // else the callee makes it
		neg, text, err := l.ready(c.caller.neg.Heard).Offer(c.caller.neg.Heard)
		if err != nil {
			return err
		}
		l.neg, offer = neg, text
	}
	br.offered = l.neg
	l.register()
	return br.sendInvite(offer)
}

// sendInvite sends the INVITE with our offer, the first or one in another form.
func (br *branch) sendInvite(offer []byte) (err error) {
	c, l := br.call, br.leg
	if l.outgoing, err = l.peer.Request(br.invite(offer), func(ev transaction.Event) {
		l.hand(event{name: "INVITE response", lent: ev.Lent, do: func() { br.onEvent(ev) }})
	}); err != nil {
		return err
	}
	if br.target.backend != nil {
		br.try.stop()
		br.try = c.after(c.bridge.patience(l.backend), "try-timeout", br.tryTimeout)
	}
	return nil
}

// invite builds the INVITE of the branch.
func (br *branch) invite(offer []byte) transaction.Outbound {
	c, l := br.call, br.leg
	out := l.dialog.request(sip.INVITE)
	l.dialog.InviteSeq = l.dialog.LocalSeq
	hops := hopsLeft(c.in.req)
	out.ReplaceHeader(&hops)
	l.dress(out.Request)
	require := l.peering().Reliable == ReliableRequire || c.direct && c.caller.incoming.delayed && c.caller.provisional.all
	if !l.browser() && require {
		out.AppendHeader(sip.NewHeader("Require", option100rel))
	}
	for _, h := range append(l.askTimer(), append(c.cross(l, c.in.req.Headers()), br.asserted()...)...) {
		out.AppendHeader(h)
	}
	if value := headerValue(c.in.req, "Replaces"); br.mayName(value) { // a dialog of two others
		out.AppendHeader(sip.NewHeader("Replaces", value))
	}
	for _, h := range l.veil().Headers(br.target.diversion) {
		out.AppendHeader(h)
	}
	if br.target.credentials && !c.bridge.peering(l.backend).Own {
		for _, h := range credentials(c.in.req.Headers()) {
			out.AppendHeader(h)
		}
	}
	br.tellVerstat(out.Request)
	obey(out.Request, br.target.change)
	br.attest(out.Request)
	setSession(out.Request, offer)
	if br.answer == nil {
		br.answer = c.bridge.ahead(l.peer, c.in.identity, out)
	}
	if br.answer != nil {
		out.AppendHeader(br.answer)
		br.answer = nil // its nonce count is used up
	}
	out.Prompt = true // it posts, and works where the goroutine is lent
	return out
}

// mayName says whether a backend may be told of a dialog of two others: one outside knows none of ours.
func (br *branch) mayName(replaces string) bool {
	return replaces != "" && br.target.backend != nil && br.leg.veil().Text(replaces) == replaces
}

// setSession gives a message a session description.
func setSession(msg interface {
	AppendHeader(sip.Header)
	SetBody([]byte)
}, text []byte) {
	if len(text) == 0 {
		return
	}
	kind := sip.ContentTypeHeader("application/sdp")
	msg.AppendHeader(&kind)
	msg.SetBody(text)
}

// onEvent is whatever the INVITE's transaction tells.
func (br *branch) onEvent(ev transaction.Event) {
	switch res := ev.Response; {
	case res == nil:
		br.failed(ev.Err)
	case res.IsProvisional():
		br.onProvisional(res)
	case res.IsSuccess():
		br.on2xx(res)
	default:
		br.onRefusal(res)
	}
}

// onProvisional is a 1xx. A 100 says only that the member lives: the try goes on.
func (br *branch) onProvisional(res *sip.Response) {
	br.leg.step(legProvisional)
	if res.StatusCode == 100 || br.over {
		return
	}
	br.try.stop()
	if e := br.earlyOf(res); e != nil {
		if !e.inOrder(res) {
			return
		}
		br.hear(e, res)
		if reliableSeq(res) != 0 {
			br.acknowledges(e, res)
		}
	}
	br.call.restartRing()
	if res.StatusCode != 199 { // an early dialog's end (RFC 6228) is no news for the caller
		br.call.step(callProgress, br, res)
	}
}

// on2xx is the 2xx, its repetition, or one of another fork.
func (br *branch) on2xx(res *sip.Response) {
	tag, _ := res.To().Params.Get("tag")
	switch {
	case br.tag == tag && tag != "":
		br.leg.step(legHeard2xx)
	case br.tag != "":
		br.hangUpFork(res)
	default:
		br.try.stop()
		br.tag = tag
		if br.leg.counts.meter != nil {
			br.leg.counts.meter.Answered()
		}
		br.leg.dialog = br.dialogOf(res)
		br.call.hearSessionID(br.leg, res)
		br.hearOffered(br.answerIn(res))
		if br.over {
			br.leg.step(legHeard2xx) // ACK and BYE
			return
		}
		br.over = true
		br.call.step(callAnswer, br, res)
	}
}

// hangUpFork ends a further dialog that the backend's forking opened (RFC 3261 §13.2.2.4): ACK, then BYE, neither of which the
// call's own dialog notices.
func (br *branch) hangUpFork(res *sip.Response) {
	l := br.leg
	fork := br.dialogOf(res)
	l.ack(fork, l.dialog.InviteSeq, br.refusing(res))
	out := fork.request(sip.BYE)
	out.AppendHeader(reasonHeader("SIP", 200, "Call completed elsewhere"))
	l.log.Info("further 2xx hung up", "tag", fork.RemoteTag)
	l.send(out, func(transaction.Event) {})
}

// hangUpLate ends a branch whose 2xx came when the call was decided.
func (br *branch) hangUpLate(*sip.Response) {
	br.leg.step(legHeard2xx)
	br.leg.step(legEnd)
}

// onRefusal is a final response of 300 and above.
func (br *branch) onRefusal(res *sip.Response) {
	br.try.stop()
	if br.askLonger(res) || br.answered(res) || br.redirected(res) {
		return
	}
	br.leg.step(legHeardFinal)
	br.call.hearSessionID(br.leg, res)
	status := res.StatusCode
	br.again(status)
	br.ended(br.refused(res), br.moves(status) || br.call.bridge.worthTrying(br.leg.backend, status))
}

// failed is an INVITE that ended without a response.
func (br *branch) failed(err error) {
	br.try.stop()
	br.leg.step(legHeardFinal)
	br.leg.log.Info("no answer", "error", err)
	why, other := br.call.failure(err)
	other = other && br.target.backend != nil
	if other && !br.over {
		br.target.backend.Suspect()
		br.lost = br.unheard() // its transport says so, before the probes do
	}
	br.ended(why, other)
}

// giveUp ends the branch without waiting for it.
func (br *branch) giveUp(reason string) {
	br.over = true
	br.try.stop()
	if br.leg.bye == "" {
		br.leg.bye = reason
	}
	br.leg.step(legEnd)
	br.leg.closeMedia()
}
