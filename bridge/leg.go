package bridge

import (
	"log/slog"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
	"tandem/sipside"
	"tandem/sipside/transaction"
)

// leg is one side of a call: a dialog with one peer, its half of offer and answer, its media.
type leg struct {
	// static after construction
	profile sdp.Profile
	aor     string // the browser's address of record, "" for a backend
	digits  DTMF

	home home // whose call is below

	// owned by the goroutine of the call that owns the leg
	call        *call
	name        string // "caller", "callee"
	log         *slog.Logger
	peer        peer   // nil: a browser whose flow is gone
	conn        string // the peer's name in logs, the lost one's too
	flow        string // the browser's connection, the lost one too; "" for a backend
	backend     string // the backend's name; "" for a browser
	counts      counting
	goneAt      time.Time // since when the flow is gone
	state       legState
	session     sessionHeader
	dialog      Dialog
	keyed       []dialogKey // what the registry knows of this leg
	policy      sdp.Policy
	neg         sdp.Leg
	offers      offers
	open        *openOffer // the peer's offer that we owe an answer
	glares      int        // offers of ours in a row that crossed theirs
	sent        *sentOffer // our offer that is out
	media       *media.Leg // nil too where the leg is direct
	owed        uint32     // CSeq of an INVITE whose 2xx made an offer that we have not answered yet; 0: none
	answered    []byte     // what the ACK of the first INVITE's 2xx answers, where that made the offer
	echo        bool       // our next offer is one of level's
	dead        bool       // media
	asked       bool       // by askAlive, and has not answered yet
	converts    string     // the codec of this leg where its audio is, or was last, converted; "": never
	repeats     map[uint32]*repetition
	timer       sessionTimer
	bye         string // value of the Reason header that a BYE or CANCEL to this peer carries
	incoming    *incomingInvite
	provisional provisionals
	outgoing    *transaction.Client
	referred    int               // REFERs that the peer sent
	passed      map[uint32]string // Event of the NOTIFYs to the far leg, by the CSeq of the REFER that we passed to this one
	mended      func()            // what comes after our offer to a leg that moved
	counted     *sipside.Backend  // has this leg among its calls
}

// incomingInvite is the caller's INVITE while it has no final response.
type incomingInvite struct {
	tx  *transaction.Server
	req *sip.Request
	key initialKey

	delayed bool         // it made no offer
	said    []byte       // the session of our 2xx where it is new; nil: the latest said
	offered sdp.Leg      // of a direct call, once a provisional answered: with the caller's offer open
	headers []sip.Header // what crosses from the callee's 2xx
}

// browser says whether the peer is a browser.
func (l *leg) browser() bool { return l.profile == sdp.WebRTC }

// peering is how calls with the leg's peer are made.
func (l *leg) peering() *Peering { return l.call.bridge.peering(l.backend) }

// capabilities are what every INVITE and UPDATE, and every 2xx to one, says of us.
func (l *leg) capabilities() []sip.Header {
	reliable := l.peering().Reliable
	if l.sent != nil && l.sent.wish || !l.call.asksReliably() {
		reliable = ReliableOff
	}
	return capabilities(reliable)
}

// register makes in-dialog requests find the leg.
func (l *leg) register() {
	key := dialogKey{l.dialog.CallID, l.dialog.LocalTag}
	l.keyed = append(l.keyed, key)
	l.call.bridge.calls.addDialog(key, l)
	if l.flow != "" {
		l.call.bridge.calls.addFlow(l.flow, l.call)
	}
	if b, ok := l.peer.(*sipside.Backend); ok && l.counted == nil {
		l.counted = b
		b.CallBegins()
	}
}

// uncount takes a leg that is gone out of its backend's calls.
func (l *leg) uncount() {
	if l.counted != nil {
		l.counted.CallEnds()
		l.counted = nil
	}
}

// unregister forgets the leg; later requests for it get 481.
func (l *leg) unregister() {
	for _, key := range l.keyed {
		l.call.bridge.calls.dropDialog(key, l)
	}
	if len(l.keyed) > 0 && l.flow != "" {
		l.call.bridge.calls.dropFlow(l.flow, l.call)
	}
	l.keyed = nil
	l.uncount()
}

// ready is the leg's half of offer and answer with a port for each stream that the far leg's description has. A stream for which
// there is no port is not carried.
func (l *leg) ready(far *sdp.Description) sdp.Leg { return l.readyFor(l.neg, far) }

// readyFor is ready for another half than the leg's latest: that of an early dialog.
func (l *leg) readyFor(neg sdp.Leg, far *sdp.Description) sdp.Leg {
	if neg.Direct {
		return neg
	}
	for slot := sdp.Video; slot < sdp.Slots; slot++ {
		if !far.Carries(slot) || slot == sdp.Video && !l.policy.Video {
			continue
		}
		if err := l.media.Reserve(slot); err != nil {
			l.log.Warn("stream not carried", "error", err)
		}
	}
	local := l.media.Local()
	neg.Local.Ports, neg.Local.Crypto = local.Ports, local.Crypto
	return neg
}

// hearFrom tells media where the peer is by what was heard. Works without media, as answerSent does.
func (l *leg) hearFrom() {
	if l.media != nil {
		l.media.SetRemote(l.neg.Remote())
	}
}

// answerSent tells media that an answer is out, or came.
func (l *leg) answerSent() {
	if l.media != nil {
		l.media.AnswerSent()
	}
}

// step applies an input to the leg's table and does what it says.
func (l *leg) step(in legInput) {
	step := legTable[l.state][in]
	if step.next != l.state {
		l.log.Debug("leg", "state", step.next, "was", l.state)
	}
	l.state = step.next
	if l.state == legGone {
		l.uncount()
	}
	if step.do&legSendAck != 0 {
		l.sendAck()
	}
	if step.do&legSendBye != 0 {
		l.sendBye()
	}
	if step.do&legSendCancel != 0 {
		l.sendCancel()
	}
	if step.do&legSend2xx != 0 {
		l.accept()
	}
	if step.do&legRefuse != 0 {
		l.refuse()
	}
	if l.state == legGone {
		l.stop()
	}
}

// stop ends what runs for the leg: repetitions, timers, media.
func (l *leg) stop() {
	for _, r := range l.repeats {
		r.timer.stop()
	}
	l.repeats = nil
	l.provisional.drop()
	l.timer.stop()
	l.releaseQuota()
	l.closeMedia()
	l.dropOpen(487, "the call ended")
}

// forget lets go of the INVITE's transaction, which goes on for half a minute to see what may still come of other forks: the call
// could do nothing about that any more, and should not be held by it.
func (l *leg) forget() {
	if l.outgoing != nil {
		l.outgoing.Abandon()
		l.outgoing = nil
	}
}

func (l *leg) closeMedia() {
	if l.media == nil {
		return
	}
	l.media.Close() // its last seconds are in the figures then
	l.call.keepFigures(l)
	l.media = nil
}

// send sends an in-dialog request; on gets its final response or its failure, once, on the call's goroutine.
func (l *leg) send(out transaction.Outbound, on func(transaction.Event)) {
	if l.peer == nil {
		l.post("flow-gone", func() { on(transaction.Event{Err: transaction.ErrFlowLost}) })
		return
	}
	l.dress(out.Request)
	if h := l.call.bridge.ahead(l.peer, l.call.in.identity, out); h != nil {
		out.AppendHeader(h)
	}
	l.exchange(out, 0, on)
}

// exchange sends a dressed request; a challenge that is the gateway's to answer is answered. asked is how often one was.
func (l *leg) exchange(out transaction.Outbound, asked int, on func(transaction.Event)) {
	method := string(out.Method)
	out.Prompt = true
	late := l.lateAck(out)
	_, err := l.peer.Request(out, func(ev transaction.Event) {
		taken := l.hand(event{name: method + " response", lent: ev.Lent, do: func() {
			if ev.Response != nil && ev.Response.IsProvisional() {
				l.hearReprovisional(ev.Response)
				return
			}
			if !l.again(out, ev.Response, asked, on) {
				on(ev)
			}
		}})
		if !taken {
			late(ev)
		}
	})
	if err != nil {
		l.post(method+" failure", func() { on(transaction.Event{Err: err}) })
	}
}

// dress adds what every request and response with a dialog carries on this leg.
func (l *leg) dress(req *sip.Request) {
	req.AppendHeader(l.call.sessionID(l))
	switch req.Method {
	case sip.REFER, sip.NOTIFY:
		req.AppendHeader(l.contact())
	case sip.INVITE, sip.UPDATE:
		req.AppendHeader(l.contact())
		for _, h := range l.capabilities() {
			req.AppendHeader(h)
		}
	}
}

func (l *leg) contact() sip.Header {
	return &sip.ContactHeader{Address: l.peer.Contact(l.dialog.Token)}
}

// lateAck acknowledges the 2xx of a re-INVITE that comes when the call is gone (RFC 5407 §3.2.3), of which it needs nothing any more.
func (l *leg) lateAck(out transaction.Outbound) func(transaction.Event) {
	if out.Method != sip.INVITE {
		return func(transaction.Event) {}
	}
	d, peer, id, log, seq := l.dialog, l.peer, l.call.sessionID(l), l.log, out.CSeq().SeqNo
	return func(ev transaction.Event) {
		if ev.Response == nil || !ev.Response.IsSuccess() {
			return
		}
		d.hear(ev.Response)
		acknowledge(peer, d.ack(seq), id, log)
	}
}

// sendAck acknowledges the first INVITE's 2xx; one that made an offer once the answer is there, or the leg ends.
func (l *leg) sendAck() {
	switch {
	case l.owed == 0:
		l.ack(l.dialog, l.dialog.InviteSeq, l.answered)
	case l.state != legConfirmed:
		l.forsake()
	}
}

// ack sends the ACK of a 2xx on the given dialog, with the answer where that made the offer; it is not of a transaction and nothing
// answers it.
func (l *leg) ack(d Dialog, seq uint32, answer []byte) {
	if l.peer == nil {
		return
	}
	out := d.ack(seq)
	setSession(out.Request, answer)
	acknowledge(l.peer, out, l.call.sessionID(l), l.log)
}

func acknowledge(p peer, ack transaction.Outbound, id sip.Header, log *slog.Logger) {
	ack.AppendHeader(id)
	if err := p.Ack(ack); err != nil {
		log.Warn("ACK not sent", "error", err)
	}
}

// sendBye says good-bye; to a browser that is away once it is back, even if the call is gone then.
func (l *leg) sendBye() {
	l.forsake()
	flow := l.flow
	l.send(l.goodbye(), func(ev transaction.Event) {
		if ev.Response == nil && l.browser() && l.flow == flow && l.state != legGone {
			l.keepBye()
		}
		l.gone(legByeDone)
	})
}

func (l *leg) sendCancel() {
	if l.outgoing == nil {
		return
	}
	var extra []sip.Header
	if l.bye != "" {
		extra = append(extra, sip.NewHeader("Reason", l.veil().Reasons(l.bye)))
	}
	if err := l.outgoing.Cancel(extra...); err != nil {
		l.log.Debug("CANCEL not sent", "error", err)
	}
}

// gone applies an input that may have been the last one of the call.
func (l *leg) gone(in legInput) {
	l.step(in)
	l.call.settle()
}

// protocol is that of the leg's packets, as an m-line names it.
func (l *leg) protocol() string {
	streams := l.neg.Remote().Streams
	switch {
	case l.browser():
		return "UDP/TLS/RTP/SAVPF"
	case len(streams) > 0 && streams[0].Keying == sdp.SDES:
		return "RTP/SAVP"
	case len(streams) > 0 && streams[0].Keying == sdp.DTLS:
		return "UDP/TLS/RTP/SAVP"
	}
	return "RTP/AVP"
}

// figures are the leg's media figures for the record.
func (l *leg) figures() RecordMedia {
	out := RecordMedia{Leg: l.name, Profile: l.protocol(), Converted: l.converts}
	stats := l.media.Stats()
	if stats.Remote.IsValid() {
		out.Remote = stats.Remote.String()
	}
	out.SRTP = stats.SRTPProfile
	out.PacketsIn, out.PacketsOut, out.Drops = stats.PacketsIn, stats.PacketsOut, stats.Drops
	out.Streams = recordStreams(stats.Quality)
	return out
}
