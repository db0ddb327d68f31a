package bridge

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
)

// option100rel is the option tag of reliable provisional responses (RFC 3262).
const option100rel = "100rel"

// Reliable is how a pool's or trunk's provisional responses are made reliable (RFC 3262).
type Reliable string

const (
	ReliableAuto    Reliable = "auto"    // our INVITEs support it, a caller that supports it gets session descriptions so; the zero value too
	ReliableOff     Reliable = "off"     // neither; an INVITE that requires it is refused with 420
	ReliableRequire Reliable = "require" // as auto, and our INVITEs require it
)

// extensions are the option tags that we support towards a peer.
func (r Reliable) extensions() string {
	if r == ReliableOff {
		return supported
	}
	return supported + ", " + option100rel
}

// maxProvisionals is how many provisionals wait for a PRACK; what rings on and on says nothing new.
const maxProvisionals = 16

// provisionals are the provisional responses to a caller's INVITE that go reliably. Owned by the call's goroutine; the zero value
// is a caller that did not ask for any.
type provisionals struct {
	wanted   bool // those with a session description
	all      bool // the caller requires it of every one (§3)
	phase    reliablePhase
	seq      uint32 // RSeq of the latest; 0: none was sent
	acked    bool   // the latest got its PRACK
	answered bool   // the caller has acknowledged a session description
	again    *timer
	queue    []reply
	withheld func() // sends the 2xx
}

// wantsReliable says how a caller wants its provisionals. A browser that merely supports it is spared: JsSIP and most pages do
// not expect any.
func (l *leg) wantsReliable(req *sip.Request) provisionals {
	required := listHas(listed(req, "Require"), option100rel)
	mere := !l.browser() && listHas(listed(req, "Supported"), option100rel)
	off := l.call.bridge.peering(l.backend).Reliable == ReliableOff
	return provisionals{wanted: (required || mere) && !off, all: required && !off}
}

// covers says whether a provisional is to go reliably.
func (p *provisionals) covers(r reply) bool {
	return !r.plain && (p.all || p.wanted && len(r.body) > 0)
}

// sayReliably sends a provisional, or lets it wait for the PRACK of the one before.
func (l *leg) sayReliably(r reply) {
	p := &l.provisional
	input := reliableSay
	if len(r.body) > 0 {
		input = reliableSaySession
	}
	step := reliableTable[p.phase][input]
	p.phase = step.next
	switch {
	case step.do == reliableSend:
		l.sendReliably(r)
	case step.do == reliableQueue && (len(r.body) > 0 || len(p.queue) < maxProvisionals):
		p.queue = append(p.queue, r)
	}
}

// sendReliably sends a provisional with the next RSeq and repeats it, T1 doubling, until its PRACK or for 64·T1.
func (l *leg) sendReliably(r reply) {
	c, p, tx := l.call, &l.provisional, l.incoming.tx
	if p.seq++; p.seq == 1 {
		p.seq = 1 + rand.Uint32N(1<<30)
	}
	p.acked = false
	r.tag = l.dialog.LocalTag
	r.headers = append(r.headers, sip.NewHeader("Require", option100rel), sip.NewHeader("RSeq", fmt.Sprint(p.seq)), c.sessionID(l))
	res := c.bridge.response(tx.Request(), r)
	began := time.Now()
	var send func(wait time.Duration)
	send = func(wait time.Duration) {
		if err := tx.Respond(res); err != nil {
			l.log.Debug("provisional not sent", "status", r.status, "error", err)
		}
		p.again = c.after(wait, "provisional again", func() {
			if time.Since(began) >= ackPatience*c.bridge.cfg.T1 {
				l.prackLost()
				return
			}
			send(2 * wait)
		})
	}
	send(c.bridge.cfg.T1)
	l.saidEarly(r)
}

// prackLost is a caller that asked for reliable provisionals and acknowledges none.
func (l *leg) prackLost() {
	step := reliableTable[l.provisional.phase][reliableLost]
	l.provisional.phase = step.next
	if step.do == reliableGiveUp {
		l.call.fail(prackTimeout())
	}
}

// afterPracks lets a 2xx go: at once, or once the session description that is out has its PRACK (§3).
func (l *leg) afterPracks(send func()) {
	step := reliableTable[l.provisional.phase][reliable2xx]
	l.provisional.phase = step.next
	if step.do == reliableHold {
		l.provisional.withheld = send
		return
	}
	l.provisional.drop()
	send()
}

// withholds says that a 2xx waits for a PRACK.
func (l *leg) withholds() bool { return l.provisional.withheld != nil }

// refused is a final response other than a 2xx: nothing is repeated any more.
func (p *provisionals) refused() {
	p.phase = reliableTable[p.phase][reliableRefuse].next
	p.drop()
}

func (p *provisionals) drop() {
	p.again.stop()
	p.again, p.queue, p.withheld = nil, nil, nil // with the responses
}

// onPrack is the caller's PRACK (§3). One that acknowledges nothing that is out gets 481.
func (l *leg) onPrack(in inbound) {
	c, p := l.call, &l.provisional
	seq, cseq, method, ok := rackOf(headerValue(in.req, "RAck"))
	switch {
	case !ok:
		c.respond(l, in.tx, reply{status: 400, why: "RAck is missing or malformed"})
		return
	case p.seq == 0 || p.acked || seq != p.seq || cseq != l.dialog.FirstSeq || method != string(sip.INVITE):
		c.respond(l, in.tx, reply{status: 481, why: "nothing to acknowledge"})
		return
	}
	p.acked = true
	if !l.hearPrack(in) {
		return
	}
	step := reliableTable[p.phase][reliablePrack]
	p.phase = step.next
	if step.do != reliableNext {
		return
	}
	p.again.stop()
	p.again = nil
	if send := p.withheld; send != nil {
		p.withheld = nil
		l.afterPracks(send)
		return
	}
	if len(p.queue) > 0 {
		next := p.queue[0]
		p.queue = p.queue[1:]
		l.sayReliably(next)
	}
}

// hearPrack takes the PRACK's session description and answers it: the answer to the offer in our provisional, or an offer of the
// caller's (§5). False where the call ended for it.
func (l *leg) hearPrack(in inbound) bool {
	c := l.call
	body, err := sessionBody(in.req)
	if l.neg.Pending == sdp.Stable && l.provisional.phase == reliableSession {
		l.provisional.answered = true
	}
	offered := l.neg.Pending == sdp.SaidOffer && l.provisional.phase == reliableSession
	switch {
	case offered:
		if err == nil {
			err = l.hearDelayed(in.req)
		}
		if err != nil {
			c.respond(l, in.tx, reply{status: statusOf(err), why: err.Error()})
			c.fail(badSession(byCaller, err))
			return false
		}
		l.provisional.answered = true
		c.respond(l, in.tx, reply{status: 200})
		c.passPrackAnswer()
		if c.ringing != nil {
			c.join(l, c.ringing.leg)
		}
	case err != nil:
		c.respond(l, in.tx, reply{status: statusOf(err), why: err.Error()})
	case body != nil:
		l.answerEarlyOffer(in, body)
	default:
		c.respond(l, in.tx, reply{status: 200})
	}
	return true
}
