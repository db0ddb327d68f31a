package bridge

import (
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// earlyDialog is what one To-tag said before the 2xx: a dialog of its own, with sequence numbers of its own (RFC 3261 §12.1).
type earlyDialog struct {
	dialog   Dialog
	neg      sdp.Leg // Stable where an answer came
	rseqs    rseqs
	answered bool // reliably, or anew by UPDATE: session descriptions in later responses are passed over (RFC 3262 §5)

	// of direct calls
	tag  string        // ours in the caller's dialog of this fork; "": it heard nothing of it yet
	said sdp.Leg       // the caller's half there, where that is not the caller's leg's
	firm bool          // the caller has it reliably
	owed *sip.Response // offered, and its PRACK waits for the caller's answer
}

// earlyOf is the early dialog of a response with a To-tag, made where it is new: its route set is then settled (RFC 3261 §12.1.2). Nil
// without a tag.
func (br *branch) earlyOf(res *sip.Response) *earlyDialog {
	tag, _ := res.To().Params.Get("tag")
	if tag == "" {
		return nil
	}
	e, known := br.early[tag]
	if !known {
		e = &earlyDialog{dialog: br.leg.dialog.answered(res), neg: br.offered}
		br.early[e.dialog.RemoteTag] = e
		return e
	}
	e.dialog.hear(res)
	return e
}

// dialogOf is the dialog that a 2xx confirms: its early one goes on.
func (br *branch) dialogOf(res *sip.Response) Dialog {
	tag, _ := res.To().Params.Get("tag")
	if e, known := br.early[tag]; known {
		return e.dialog.answered(res)
	}
	return br.leg.dialog.answered(res)
}

// inOrder says whether a provisional is news: any that is not reliable, and a reliable one in its order.
func (e *earlyDialog) inOrder(res *sip.Response) bool {
	seq := reliableSeq(res)
	if seq == 0 {
		return true
	}
	next, order := e.rseqs.hear(seq)
	e.rseqs = next
	return order == rseqNext
}

// hear takes the answer to our INVITE's offer from a provisional, or the offer where we made none.
func (br *branch) hear(e *earlyDialog, res *sip.Response) {
	br.call.hearSessionID(br.leg, res)
	body := br.answerIn(res)
	if body == nil || e.answered {
		return
	}
	hear := br.offered.HearAnswer
	if br.offered.Direct && br.offered.Said == nil {
		if reliableSeq(res) == 0 {
			return
		}
		hear = br.offered.HearOffer
	}
	neg, err := hear(body)
	if err != nil {
		br.leg.log.Warn("early answer passed over", "status", res.StatusCode, "error", err)
		return
	}
	e.neg, e.answered = neg, reliableSeq(res) != 0 && neg.Pending == sdp.Stable
}

// acknowledges sends the PRACK of a reliable provisional, at once but where it made an offer.
func (br *branch) acknowledges(e *earlyDialog, res *sip.Response) {
	if e.neg.Pending == sdp.HeardOffer {
		e.owed = res
		return
	}
	br.leg.prack(&e.dialog, br.leg.dialog.InviteSeq, res, nil, br.onPracked)
}

// prack acknowledges a reliable provisional (RFC 3262 §4) in its dialog, with the answer where that made the offer; on gets the final
// response or the failure.
func (l *leg) prack(d *Dialog, invite uint32, res *sip.Response, answer []byte, on func(transaction.Event)) {
	out := d.request(sip.PRACK)
	setSession(out.Request, answer)
	out.AppendHeader(sip.NewHeader("RAck", fmt.Sprintf("%d %d %s", reliableSeq(res), invite, sip.INVITE)))
	l.send(out, on)
}

// onPracked is what the callee says to our PRACK. Its 100rel may be shaky (FreeSWITCH): only a dialog that is gone ends the branch.
func (br *branch) onPracked(ev transaction.Event) {
	switch res := ev.Response; {
	case res == nil && errors.Is(ev.Err, transaction.ErrTimeout):
		br.leg.log.Warn("PRACK not answered")
	case res == nil:
		br.leg.log.Warn("PRACK not sent", "error", ev.Err)
	case res.StatusCode == 481 && !br.over:
		br.leg.log.Warn("the callee knows the early dialog no more")
		br.leg.bye = reasonValue(481, "PRACK refused")
		br.leg.step(legEnd)
		br.ended(dialogLost(br.leg.name), true)
	case !res.IsSuccess():
		br.leg.log.Warn("PRACK refused", "status", res.StatusCode)
	}
}

// branchOf is the branch of a leg whose INVITE has no 2xx yet, nil for any other.
func (c *call) branchOf(l *leg) *branch {
	for _, br := range c.branches {
		if br.leg == l && br.tag == "" {
			return br
		}
	}
	return nil
}

// dialogFor is the dialog of the leg that a request is in: of several early ones the one with the peer's tag.
func (l *leg) dialogFor(req *sip.Request) *Dialog {
	if e := l.earlyFor(req); e != nil {
		return &e.dialog
	}
	return &l.dialog
}

func (l *leg) earlyFor(req *sip.Request) *earlyDialog {
	br := l.call.branchOf(l)
	if br == nil {
		return nil
	}
	tag, _ := req.From().Params.Get("tag")
	return br.early[tag]
}
