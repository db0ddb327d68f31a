package bridge

import (
	"time"

	"tandem/wss"
)

// onFlowGone is a browser's connection that was lost. Before the answer that ends its part; a running call goes on, and waits for
// the browser to come back: FlowGrace once media is dead, OrphanLimit in any case.
func (c *call) onFlowGone(flow string) {
	for _, l := range c.legs() {
		if l.flow != flow || l.peer == nil || l.state == legGone {
			continue
		}
		l.peer, l.goneAt = nil, time.Now()
		l.log.Info("flow lost")
		switch {
		case l == c.caller && l.state == legIncoming:
			c.because(noFlow(byCaller))
			c.callerGone()
		case l == c.caller || l == c.callee:
			c.awaitReturn(l)
		}
	}
}

// awaitReturn starts the limits of a call without a flow.
func (c *call) awaitReturn(l *leg) {
	cfg := c.bridge.cfg
	c.after(cfg.FlowGrace, "flow-grace", func() {
		if l.home.is(c) {
			c.endOrphan(l)
		}
	})
	if !c.orphan.running() {
		c.orphan = c.after(cfg.OrphanLimit, "orphan-limit", func() {
			if c.caller.peer == nil || c.callee.peer == nil {
				c.fail(orphaned())
			}
		})
	}
}

// endOrphan ends the call once a leg has been without a flow for FlowGrace and its media is dead.
func (c *call) endOrphan(l *leg) {
	if l.peer == nil && l.dead && time.Since(l.goneAt) >= c.bridge.cfg.FlowGrace {
		c.fail(orphaned())
	}
}

// onFlowMoved is a REGISTER that the registrar accepted over a new flow for the address of record of a leg.
func (c *call) onFlowMoved(aor, oldFlow, newFlow string) {
	conn := c.bridge.with.Browsers.Find(newFlow)
	if conn == nil {
		return
	}
	for _, l := range c.legs() {
		if l.flow != oldFlow || l.aor != aor || l.state == legGone {
			continue
		}
		if !c.forgotten(l) {
			l.moveTo(conn)
		}
	}
}

// forgotten ends what had no final response when the browser's connection was lost: its library has forgotten the INVITE.
func (c *call) forgotten(l *leg) bool {
	br := c.branchOf(l)
	switch {
	case l == c.caller && l.state == legIncoming:
		c.because(noFlow(byCaller))
		c.callerGone()
	case br != nil && !br.over:
		l.bye = noFlow(byCallee).reasonFor()
		l.step(legEnd)
		br.ended(noFlow(byCallee), false)
	default:
		return false
	}
	return true
}

// moveTo lets the leg go on over another connection of the same user. What was on its way over the one before is sent again.
func (l *leg) moveTo(conn *wss.Conn) {
	c := l.call
	c.bridge.calls.dropFlow(l.flow, c)
	l.flow, l.peer, l.goneAt = conn.Flow(), conn, time.Time{}
	c.bridge.calls.addFlow(l.flow, c)
	l.conn = conn.Name()
	l.log.Info("flow moved")
	switch {
	case l.state == legLeaving:
		l.sendBye()
	case l.sent != nil:
		l.yield()
		l.offer(answerHeard)
	case l.offers.Queued && l.offers.Phase == offersStable:
		l.offers.Queued = false
		l.offer(offerWanted)
	}
}
