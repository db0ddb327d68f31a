package bridge

import (
	"log/slog"
	"runtime/debug"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// call is a caller leg and a list of branches; the winner becomes the second leg. One goroutine at a time owns it: run, which is
// there while there is something to do; which one says work. Everything reaches it through its mailbox.
type call struct {
	// static after construction
	bridge *Bridge
	tape   *tape // nil: the call is not recorded
	id     string
	log    *slog.Logger
	tag    string // ours towards the caller that began it
	box    mailbox

	// owned by run
	state    callState
	in       inbound   // the caller's INVITE, while it is unanswered
	uri      string    // its Request-URI, byte for byte
	user     string    // whom what the call costs is counted as; "": nobody
	stages   []stage   // not yet tried
	branches []*branch // tried, newest last; once the caller's ACK is there, only who has not ended yet
	caller   *leg
	callee   *leg    // the winner; a void leg once it went to another call
	ringing  *branch // whose early media the caller hears
	stale    bool    // the caller changed its session before the answer: the callee hears of it once the call is up
	best     *Termination
	refused  bool // a branch ended by more than its member's own failure: no other member is tried
	term     *Termination
	sessions sessionIDs
	timers   []*timer
	ring     *timer // ends the search
	expiry   *timer // so does the caller's own limit; nil: none
	again    *timer // repeats the last provisional
	orphan   *timer
	record   Record

	transfer  *transfer    // a REFER that we carry out ourselves
	direct    bool         // its media goes from peer to peer; see direct.go
	passing   *passedOffer // an offer before the answer that is on its way
	searching *search      // the call looks for the target of another call's transfer
	redirects []string     // the addresses of 3xx that were followed
	taking    *leg         // the caller takes the place of this leg of another call
	heir      *call        // picked up the call while it rang, and gets the caller
}

// newCall makes a call without legs; run is not started.
func (b *Bridge) newCall(id string) *call {
	c := &call{bridge: b, id: id}
	c.log = newCallLog(c)
	return c
}

// post hands the call an event from any goroutine; false once it has ended.
func (c *call) post(name string, do func()) bool { return c.hand(event{name: name, do: do}) }

// hand is post for events of any kind.
func (c *call) hand(e event) bool {
	taken, start := c.box.post(e)
	if start {
		c.work(e.lent)
	}
	return taken
}

// work has a goroutine own the call: the caller's where that is lent, for waking another costs more than most events.
func (c *call) work(lent bool) {
	if lent {
		c.run()
		return
	}
	c.bridge.runners.run(c.run)
}

// run owns the call as long as there are events. Whoever made the call enters it first, on a goroutine of its own, and what was
// posted before waits for that; later post does.
func (c *call) run() {
	for c.state != callEnded {
		batch := c.box.take()
		if batch == nil {
			return
		}
		for _, e := range batch {
			c.do(e)
		}
	}
	for _, e := range c.box.close() { // requests that crossed the end still get their answer
		c.do(e)
	}
}

// do runs one event. A panic ends this call only.
func (c *call) do(e event) {
	defer func() {
		if what := recover(); what != nil {
			c.panicked(errPanic{where: e.name, what: what})
		}
	}()
	e.do()
}

// panicked ends the call in an orderly way; where the ending itself is at fault, by force.
func (c *call) panicked(err errPanic) {
	c.bridge.counters.panicked()
	c.log.Error("fault in a call", "error", err, "stack", string(debug.Stack()))
	switch {
	case c.state < callEnding:
		c.do(event{name: "end after a fault", do: func() { c.fail(internalError()) }})
	case c.state == callEnding:
		c.state = callEnded
		c.because(internalError())
		c.do(event{name: "forced end", do: c.finish})
		c.bridge.calls.remove(c)
	}
}

// step applies an input to the call's table and does what it says; br is the branch that it is about, res its response.
func (c *call) step(in callInput, br *branch, res *sip.Response) {
	step := callTable[c.state][in]
	if step.next != c.state {
		c.log.Debug("call", "state", step.next, "was", c.state)
	}
	c.state = step.next
	if step.do&actRing != 0 {
		c.passProgress(br, res)
	}
	if step.do&actTryNext != 0 {
		c.tryNext()
	}
	if step.do&actAccept != 0 {
		c.accept(br, res)
	}
	if step.do&actEndRest != 0 {
		c.endBranches(br, reasonValue(200, "Call completed elsewhere"))
	}
	if step.do&actHangUpLate != 0 {
		br.hangUpLate(res)
	}
	if step.do&actConfirmed != 0 {
		c.confirmed()
	}
	if step.do&actEndLegs != 0 {
		c.endLegs()
	}
	if step.do&actFinish != 0 {
		c.finish()
	}
}

// fail ends the call for a reason of the gateway's, or one that a peer gave.
func (c *call) fail(t Termination) {
	c.because(t)
	c.step(callFault, nil, nil)
}

// because notes why the call ends; the first reason counts.
func (c *call) because(t Termination) {
	if c.term == nil {
		c.term = &t
	}
}

// legs are the caller's, the winner's, and every other branch's.
func (c *call) legs() []*leg {
	var out []*leg
	if c.caller != nil {
		out = append(out, c.caller)
	}
	if c.callee != nil {
		out = append(out, c.callee)
	}
	for _, br := range c.branches {
		if br.leg != c.callee {
			out = append(out, br.leg)
		}
	}
	return out
}

// far is the other leg of an established call, nil where there is none.
func (c *call) far(l *leg) *leg {
	if l == c.caller {
		return c.callee
	}
	return c.caller
}

// endLegs ends every leg in its own way: refusal, CANCEL, BYE, or BYE after the ACK. BYE goes out before media is closed.
func (c *call) endLegs() {
	if c.term == nil {
		c.because(internalError())
	}
	for _, t := range []*timer{c.ring, c.expiry, c.again, c.orphan} {
		t.stop()
	}
	c.searchFailed()
	c.endSearch()
	c.dropPassing()
	c.disinherit()
	header := c.term.reasonFor()
	for _, l := range c.legs() {
		if l.bye == "" {
			l.bye = header
		}
		l.dropOpen(487, "the call ended")
		l.step(legEnd)
	}
	for _, l := range c.legs() {
		if l.media != nil {
			l.media.BeginClose()
		}
	}
	for _, l := range c.legs() {
		l.closeMedia()
	}
	c.writeRecord()
	c.bridge.calls.over(c)
	c.settle()
}

// endBranches gives up every branch but one; reason is the value of their Reason header.
func (c *call) endBranches(but *branch, reason string) {
	for _, br := range c.branches {
		if br != but {
			br.giveUp(reason)
		}
	}
}

// settle tells the table once every leg is gone.
func (c *call) settle() {
	for _, l := range c.legs() {
		if l.state != legGone {
			return
		}
	}
	c.step(callSettled, nil, nil)
}

// finish frees everything.
func (c *call) finish() {
	c.stopTimers()
	for _, l := range c.legs() {
		l.stop()
		l.unregister()
		l.forget()
	}
	c.dropInvite()
	c.writeRecord()
	c.bridge.calls.remove(c)
}

// dropInvite forgets the caller's INVITE once it has its final response.
func (c *call) dropInvite() {
	if c.caller == nil || c.caller.incoming == nil {
		return
	}
	c.bridge.calls.dropInvite(c.caller.incoming.key, c.caller.incoming.tx)
	c.caller.incoming = nil
}

// onCancel is the caller's CANCEL; the dispatcher answered it (RFC 3261 §9.2).
func (c *call) onCancel(reason string) {
	if c.unanswered() {
		c.because(cancelled(reason))
	}
	c.callerGone()
}

// unanswered says that the caller has no final response yet.
func (c *call) unanswered() bool {
	return c.state == callSeeking || c.state == callRinging || c.state == callAnswered && c.caller.withholds()
}

// callerGone is a caller that gave up before it had an answer; one that crossed the 2xx says BYE itself.
func (c *call) callerGone() {
	in := callCancel
	if c.state == callAnswered && c.caller.withholds() {
		in = callFault
	}
	c.step(in, nil, nil)
}

// onShutdown is the end of the process's patience.
func (c *call) onShutdown() { c.fail(shuttingDown()) }

// respond answers a request of the call's.
func (c *call) respond(l *leg, tx *transaction.Server, r reply) {
	if tx.Request().IsAck() {
		return
	}
	r = r.through(l.veil())
	if r.tag == "" {
		r.tag = l.dialog.LocalTag
	}
	r.headers = append(r.headers, c.sessionID(l))
	if err := tx.Respond(c.bridge.response(tx.Request(), r)); err != nil {
		l.log.Debug("response not sent", "status", r.status, "error", err)
	}
}

// sessionIDs are the RFC 7989 halves of the two users; the gateway keeps them end to end and makes up what a user does not give.
type sessionIDs struct{ Caller, Callee string }

// sessionHeader is the header that says them to a leg, as it was last made.
type sessionHeader struct {
	local, remote string
	header        sip.Header
}

const nilSessionID = "00000000000000000000000000000000"

// sessionID is the header towards a leg: the other user's half first.
func (c *call) sessionID(l *leg) sip.Header {
	local, remote := c.sessions.Caller, c.sessions.Callee
	if l == c.caller {
		local, remote = remote, local
	}
	if made := &l.session; made.header == nil || made.local != local || made.remote != remote {
		*made = sessionHeader{local, remote, sip.NewHeader("Session-ID", local+";remote="+remote)}
	}
	return l.session.header
}

// hearSessionID takes a user's half from a message; without one the call's own stays.
func (c *call) hearSessionID(l *leg, msg headed) {
	id := sessionIDOf(headerValue(msg, "Session-ID"))
	if id == "" {
		return
	}
	if l == c.caller {
		c.sessions.Caller = id
	} else {
		c.sessions.Callee = id
	}
}
