package bridge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/media"
	"tandem/bridge/route"
	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// supported are the extensions that every leg understands; see Peering.extensions.
const supported = "timer, replaces, norefersub"

// errBodyType is a body that is no session description.
var errBodyType = errors.New("the body is not application/sdp")

// errNoMedia is a media engine that has no room for a leg.
var errNoMedia = errors.New("no room for media")

// serveInvite admits, routes and opens a call. It runs on the door's goroutine and answers refusals itself.
func (b *Bridge) serveInvite(in inbound) {
	if r, ok := b.refuseInvite(in); ok {
		b.respond(in.tx, r)
		return
	}
	b.verified(in, func(in inbound) { b.routed(in, b.openInvite) })
}

// openInvite opens the call of an INVITE that was let in.
func (b *Bridge) openInvite(in inbound, decision route.Decision) {
	if b.serveTaker(in, decision) {
		return
	}
	if nobodyToReplace(in, decision) {
		b.respond(in.tx, reply{status: 481, why: "Replaces names no dialog"})
		return
	}
	stages, err := b.targets(in, decision)
	if err != nil {
		b.respond(in.tx, reply{status: err.status, why: err.why})
		return
	}
	c := b.openCall(in, decision.Tenant, stages[0][0].backendName())
	c.stages, c.tape = stages, newTape(decision.Record)
	c.direct = c.goesDirect(stages)
	c.record.Direct = c.direct
	if over := c.admit(in, stages); over != nil {
		b.respond(in.tx, over.reply())
		return
	}
	if !b.begin(c, in) {
		c.caller.releaseQuota()
		return
	}
	c.post("start", c.start)
	c.work(in.tx.Lent())
}

// begin makes a call known; false for one whose INVITE came by another path, too.
func (b *Bridge) begin(c *call, in inbound) bool {
	b.calls.add(c)
	if !b.calls.addInvite(c.caller.incoming.key, in.tx, c) {
		b.calls.remove(c)
		b.respond(in.tx, reply{status: 482, why: "merged request"})
		return false
	}
	b.respond(in.tx, reply{status: 100})
	c.caller.register()
	b.counters.callStarted()
	if c.direct {
		b.counters.directStarted()
	}
	return true
}

// refuseInvite says what is wrong with an INVITE before it is routed.
func (b *Bridge) refuseInvite(in inbound) (reply, bool) {
	req := in.req
	if b.draining.Load() {
		return reply{status: 503, why: noNewCalls, headers: []sip.Header{sip.NewHeader("Retry-After", "10")}}, true
	}
	if !b.overload.admit(time.Now()) && !b.control.IsEmergency(dialledUser(req.Recipient)) {
		b.counters.overloaded()
		return reply{status: 503, why: "the gateway is overloaded", headers: []sip.Header{retryAfter()}}, true
	}
	if _, err := sessionBody(req); err != nil {
		return reply{status: statusOf(err), why: err.Error(), headers: []sip.Header{sip.NewHeader("Accept", "application/sdp")}}, true
	}
	if r, bad := tooShort(req); bad && in.browser == nil {
		return r, true
	}
	if b.with.Guard != nil {
		if err := b.with.Guard.Admit(in.origin(), aorOf(req.From().Address), req.Method); err != nil {
			return reply{status: 503, why: err.Error(), headers: []sip.Header{sip.NewHeader("Retry-After", "10")}}, true
		}
	}
	return reply{}, false
}

// retryAfter spreads those who come again over some seconds.
func retryAfter() sip.Header {
	return sip.NewHeader("Retry-After", strconv.Itoa(2+rand.IntN(9)))
}

// openCall makes the call with its caller leg; far is the backend it goes to, "" for a browser.
func (b *Bridge) openCall(in inbound, tenant, far string) *call {
	c := b.newCall(b.ids.call())
	c.in, c.uri = in, in.requestURI()
	l := &leg{
		name:     byCaller,
		profile:  sdp.RTP,
		peer:     in.peer(),
		state:    legIncoming,
		dialog:   dialogOfInvite(in.tx.Request(), b.ids.tag(), b.ids.token()),
		incoming: &incomingInvite{tx: in.tx, req: in.req, key: initialKeyOf(in.req), delayed: len(in.req.Body()) == 0},
	}
	c.adopt(l)
	c.tag = l.dialog.LocalTag
	if in.browser != nil {
		l.profile, l.flow, l.aor = sdp.WebRTC, in.browser.Flow(), aorOf(in.req.From().Address)
	} else {
		l.backend = in.backend.Name()
	}
	l.digits, l.policy = b.peering(l.backend).DTMF, b.policy(l.backend, far)
	l.conn, l.log = l.peer.Name(), newLegLog(l)
	l.provisional = l.wantsReliable(in.req)
	c.caller = l
	c.sessions = sessionIDs{Caller: b.ids.sessionID(), Callee: nilSessionID}
	c.hearSessionID(l, in.req)
	c.record = Record{
		Call: c.id, Tenant: tenant, Origin: in.origin(), Start: time.Now(),
		From: transaction.URI(&in.req.From().Address), To: transaction.URI(&in.req.Recipient), STIR: in.verdict.record(),
	}
	if in.browser != nil {
		c.record.Client, c.record.Subject = in.browser.Remote().Addr().String(), in.browser.Certificate()
	}
	return c
}

// start hears the caller's offer and opens the first stage.
func (c *call) start() {
	if !c.hearCaller() {
		return
	}
	c.ring = c.after(c.bridge.cfg.RingLimit, "ring-limit", func() { c.fail(ringTimeout()) })
	if limit := expiryOf(c.in.req); limit > 0 {
		c.expiry = c.after(limit, "INVITE expiry", func() { c.fail(expired()) })
	}
	c.tryNext()
}

// expiryOf is how long an INVITE's sender wants it to be tried (RFC 3261 §13.3.1); 0: it does not say.
func expiryOf(req *sip.Request) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(headerValue(req, "Expires")), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// hearCaller hears the caller's offer; false where that ended the call.
func (c *call) hearCaller() bool {
	c.event(Event{Started: &Started{Origin: c.record.Origin, From: c.record.From, To: c.record.To}})
	c.log.Info("call", "origin", c.record.Origin, "from", c.record.From, "to", c.record.To)
	body, err := sessionBody(c.in.req)
	if err == nil && len(body) > 0 {
		err = c.caller.hearFirst(body, c.in.reached())
	}
	switch {
	case errors.Is(err, errNoMedia):
		c.fail(noResources(err))
		return false
	case err != nil:
		c.fail(badSession(byCaller, err))
		return false
	}
	c.caller.agreeTimer(c.in.req)
	return true
}

// hearFirst opens the leg's media and hears the peer's first offer on it.
func (l *leg) hearFirst(body []byte, reached addr) error {
	if err := l.openMedia(reached, body); err != nil {
		return err
	}
	neg, err := l.hearOffer(l.neg, body)
	if err != nil {
		return err
	}
	l.neg = neg
	l.hearFrom()
	return nil
}

// hearOffer hears an offer on a half of offer and answer, with keys of ours to answer the peer's.
func (l *leg) hearOffer(half sdp.Leg, body []byte) (sdp.Leg, error) {
	if l.media != nil && len(half.Local.Crypto) == 0 && sdp.OffersKeys(body) {
		half.Local.Crypto = l.media.Key().Crypto
	}
	return half.HearOffer(body)
}

// openMedia reserves the leg's transport and starts its half of offer and answer. To a caller that offers ICE it is answered,
// for an ICE-lite one hears nobody otherwise. heard is the peer's offer; nil: ours goes first.
func (l *leg) openMedia(reached addr, heard []byte) error {
	if l.call.direct {
		l.openDirect()
		return nil
	}
	shared := !l.browser() && l.call.bridge.peering(l.backend).Shared
	var offered *sdp.RemoteStream
	if shared && heard != nil {
		audio, _ := sdp.OfferedAudio(heard)
		offered = &audio
	}
	m, err := l.call.bridge.with.Media.NewLeg(media.LegSpec{
		Profile:    l.profile,
		Call:       l.call.id,
		Leg:        l.name,
		Reached:    reached,
		Signalling: l.signalling(),
		Learn:      l.call.bridge.peering(l.backend).Learn,
		Shared:     shared,
		Offered:    offered,
		Secure:     !l.browser() && !l.call.bridge.peering(l.backend).Insecure,
		Keyed:      l.policy.Keying == sdp.SDES || sdp.OffersKeys(heard),
		ICE:        !l.browser() && (l.policy.ICE || l.incoming != nil && (heard == nil || sdp.OffersICE(heard))),
		OnEvent:    l.onMedia,
		Tap:        l.call.tap(),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errNoMedia, err)
	}
	l.media = m
	l.neg = sdp.NewLeg(l.profile, m.Local(), uint64(time.Now().UnixNano())>>1)
	l.neg.Policy = l.policy
	return nil
}
