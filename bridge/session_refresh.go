package bridge

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// refresh sends our refresh: an UPDATE without a body where the backend allows it, else a re-INVITE with an unchanged offer. One
// that brings no 2xx until the interval is over ends the session (RFC 4028 §10).
func (l *leg) refresh() {
	byUpdate := !l.browser() && l.dialog.allows(sip.UPDATE) && !l.timer.noUpdate
	if l.state != legConfirmed || l.neg.Resting && !byUpdate { // an offer would bring back what the peer took away
		l.startTimer()
		return
	}
	t := &l.timer
	t.refreshing = true
	t.clock.stop()
	t.clock = l.call.after(t.Interval-time.Since(t.since), "session expiry", func() {
		if l.browser() {
			l.startTimer()
			return
		}
		l.expired()
	})
	if !byUpdate {
		l.offer(offerWanted)
		return
	}
	out := l.dialog.request(sip.UPDATE)
	for _, h := range t.refreshHeaders() {
		out.AppendHeader(h)
	}
	l.send(out, func(ev transaction.Event) { l.onRefreshed(ev) })
}

// refreshHeaders are the Session-Expires of a request of ours.
func (s sessionTimer) refreshHeaders() []sip.Header {
	if s.Interval == 0 {
		return nil
	}
	role := "uac"
	if s.Refresher == "them" {
		role = "uas"
	}
	return append([]sip.Header{s.expires(s.Interval, role)}, s.least()...)
}

// least is the Min-SE of a request of ours, once the peer named one.
func (s sessionTimer) least() []sip.Header {
	if s.Least == 0 {
		return nil
	}
	return []sip.Header{sip.NewHeader("Min-SE", strconv.Itoa(int(s.Least/time.Second)))}
}

// onRefreshed is what the peer says to a refresh. Only silence and a lost dialog end the session at once (RFC 4028 §7.4).
func (l *leg) onRefreshed(ev transaction.Event) {
	switch res := ev.Response; {
	case l.state != legConfirmed:
	case res == nil && errors.Is(ev.Err, transaction.ErrTimeout):
		l.lost()
	case res == nil:
		l.log.Warn("session refresh not sent", "error", ev.Err)
		l.refreshAgain()
	case res.IsSuccess():
		l.dialog.hear(res)
		l.startTimer()
		l.agreeTimer(res)
	case lostDialog(res.StatusCode) || res.StatusCode == 408:
		l.lost()
	case l.lengthen(res):
		l.refresh()
	default:
		l.log.Info("session refresh refused", "status", res.StatusCode)
		l.timer.noUpdate = l.timer.noUpdate || refusesUpdate(res.StatusCode)
		l.refreshAgain()
	}
}

// refusesUpdate says of a refusal that the peer takes no UPDATE without a body, whatever its Allow says: a re-INVITE may do.
func refusesUpdate(status int) bool {
	switch status {
	case 403, 405, 406, 415, 420, 488, 501, 606:
		return true
	}
	return false
}

// refreshAgain tries a refused refresh again before the interval is over.
func (l *leg) refreshAgain() {
	t := &l.timer
	left := t.Interval - time.Since(t.since)
	if !t.refreshing || left <= t.Interval/8 {
		return // the clock runs to the end
	}
	t.clock.stop()
	t.clock = l.call.after(t.Interval/8, "session refresh again", l.refresh)
}

// lengthen takes the interval that a 422 asks for (RFC 4028 §7.4); false where that leads nowhere.
func (l *leg) lengthen(res *sip.Response) bool {
	least := minSE(res)
	if res.StatusCode != 422 || least <= l.timer.Interval || l.timer.longer == longerAgain {
		return false
	}
	l.timer.longer++
	l.timer.Interval, l.timer.Least = least, least
	return true
}

// minSE reads a Min-SE header; 0 where there is none.
func minSE(msg headed) time.Duration {
	seconds, _, _ := strings.Cut(headerValue(msg, "Min-SE"), ";")
	n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// askTimer are the Session-Expires and Min-SE of our INVITE to a backend that is to have a timer.
func (l *leg) askTimer() []sip.Header {
	if l.browser() || l.peering().SessionExpires == 0 {
		return nil
	}
	return append([]sip.Header{l.timer.expires(max(l.peering().SessionExpires, l.timer.Least), "")}, l.timer.least()...)
}

// askLonger sends a branch's INVITE again with the session interval that the callee wants at least: Call-ID and tag are the same
// (RFC 4028 §7.3).
func (br *branch) askLonger(res *sip.Response) bool {
	l, least := br.leg, minSE(res)
	asked := max(l.peering().SessionExpires, l.timer.Least)
	calling := l.state == legCalling || l.state == legProceeding
	if res.StatusCode != 422 || asked == 0 || least <= asked || l.timer.longer == longerAgain || br.over || !calling {
		return false
	}
	l.timer.longer++
	l.timer.Least = least
	l.step(legAgain)
	br.early = map[string]*earlyDialog{}
	if err := br.sendInvite(br.offered.Repeat()); err != nil {
		br.call.post("INVITE failure", func() { br.failed(err) })
	}
	return true
}

// lost ends the call for a peer that knows the dialog no more.
func (l *leg) lost() {
	l.call.because(dialogLost(l.name))
	l.step(legLost)
	l.call.step(callFault, nil, nil)
}
