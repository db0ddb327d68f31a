package bridge

import (
	"github.com/emiago/sipgo/sip"
)

// onRequest is a request within the dialog of a leg.
func (c *call) onRequest(l *leg, in inbound) {
	if !l.owns(in) {
		c.bridge.respond(in.tx, reply{status: 481, why: "not a party to this dialog"})
		return
	}
	inOrder, err := l.dialogFor(in.req).check(in.req)
	switch {
	case err != nil:
		c.bridge.respond(in.tx, reply{status: 481, why: err.Error()})
		return
	case !inOrder:
		c.respond(l, in.tx, reply{status: 500, why: "CSeq is out of order"})
		return
	case in.req.Method == sip.ACK:
		l.onAck(in.req)
		return
	case l.state == legGone, l.state == legLeaving && beginsAnew(in.req.Method): // our BYE is out (RFC 5407 §3.2.2, §3.3.3)
		c.respond(l, in.tx, reply{status: 481})
		return
	}
	c.hearSessionID(l, in.req)
	c.serve(l, in)
}

// beginsAnew is what makes no sense of a dialog that ends.
func beginsAnew(method sip.RequestMethod) bool {
	return method == sip.INVITE || method == sip.UPDATE || method == sip.REFER
}

// serve deals with a request by its method.
func (c *call) serve(l *leg, in inbound) {
	switch in.req.Method {
	case sip.BYE:
		l.onBye(in)
	case sip.INVITE:
		l.onReinvite(in)
	case sip.UPDATE:
		l.onUpdate(in)
	case sip.PRACK:
		l.onPrack(in)
	case sip.INFO:
		l.onInfo(in)
	case sip.REFER:
		l.onRefer(in)
	case sip.NOTIFY:
		l.onNotify(in)
	case sip.MESSAGE:
		l.passMessage(in)
	case sip.OPTIONS:
		c.respond(l, in.tx, reply{status: 200, headers: l.capabilities()})
	default:
		c.respond(l, in.tx, notAllowed(in.req.Method))
	}
}

// owns says whether a request comes from where the leg's peer may send: the browser's own connection, or another on which the
// registrar accepted the same address of record; any address of a backend's.
func (l *leg) owns(in inbound) bool {
	if in.browser == nil {
		return !l.browser()
	}
	if !l.browser() {
		return false
	}
	flow := in.browser.Flow()
	if flow == l.flow {
		return true
	}
	for _, binding := range l.call.bridge.with.Store.ByFlow(flow) {
		if binding.AOR == l.aor {
			l.moveTo(in.browser)
			return true
		}
	}
	return false
}

// onBye ends the call. The other side hears the Reason that it carried.
func (l *leg) onBye(in inbound) {
	c := l.call
	switch l.state {
	case legCalling, legProceeding, legCancelPending, legCancelling: // a callee may not end an early dialog (RFC 3261 §15)
		c.respond(l, in.tx, reply{status: 481})
		return
	}
	c.respond(l, in.tx, reply{status: 200})
	if c.referrerLeaves(l) {
		l.step(legHeardBye)
		return
	}
	c.because(hungUp(l.name, reasonsOf(in.req)))
	l.step(legHeardBye)
	c.step(callHangUp, nil, nil)
	c.settle()
}

// onUpdate is an UPDATE (RFC 3311): a session refresh without a body is answered at once, an offer as in a re-INVITE.
func (l *leg) onUpdate(in inbound) {
	if l.early() {
		l.onEarlyUpdate(in)
		return
	}
	body, ok := l.updateBody(in)
	switch {
	case !ok:
		return
	case body != nil:
		l.hearReoffer(in, body)
		return
	}
	l.dialog.hear(in.req)
	l.agreeTimer(in.req)
	l.call.respond(l, in.tx, reply{status: 200, headers: l.sessionHeaders()})
	l.startTimer()
}

// early says that the leg's INVITE has no final response.
func (l *leg) early() bool {
	return l.state == legIncoming || l.call.branchOf(l) != nil
}

// updateBody is what an UPDATE offers, nil for nothing. Not ok where the UPDATE is refused, and answered so.
func (l *leg) updateBody(in inbound) (body []byte, ok bool) {
	body, err := sessionBody(in.req)
	if err != nil {
		l.call.respond(l, in.tx, reply{status: statusOf(err), why: err.Error(), headers: []sip.Header{sip.NewHeader("Accept", "application/sdp")}})
		return nil, false
	}
	if r, bad := tooShort(in.req); bad && !l.browser() {
		l.call.respond(l, in.tx, r)
		return nil, false
	}
	return body, true
}

// sessionHeaders are what every 2xx to INVITE and UPDATE carries.
func (l *leg) sessionHeaders() []sip.Header {
	var headers []sip.Header
	if l.peer != nil {
		headers = append(headers, l.contact())
	}
	headers = append(headers, l.capabilities()...)
	return append(headers, l.timer.headers()...)
}
