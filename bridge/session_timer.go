package bridge

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// minSessionExpires is RFC 4028's least Min-SE; JsSIP asks for exactly that, and knows no 422.
const minSessionExpires = 90 * time.Second

// SessionTimer is one leg's RFC 4028 agreement: each leg has its own. Plain value.
type SessionTimer struct {
	Interval  time.Duration // 0: none
	Refresher string        // "us", "them"
}

// sessionTimer is the agreement with its clock.
type sessionTimer struct {
	SessionTimer
	clock *timer
}

func (s *sessionTimer) stop() { s.clock.stop() }

// sessionExpires reads a Session-Expires header; interval 0 where there is none.
func sessionExpires(msg headed) (interval time.Duration, refresher string) {
	value := headerValue(msg, "Session-Expires")
	if value == "" {
		value = headerValue(msg, "x")
	}
	seconds, params, _ := strings.Cut(value, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 31)
	if err != nil {
		return 0, ""
	}
	for param := range strings.SplitSeq(params, ";") {
		if name, value, ok := strings.Cut(param, "="); ok && strings.EqualFold(strings.TrimSpace(name), "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(value))
		}
	}
	return time.Duration(n) * time.Second, refresher
}

// tooShort refuses a backend's session interval below the least (RFC 4028 §9).
func tooShort(req *sip.Request) (reply, bool) {
	interval, _ := sessionExpires(req)
	if interval == 0 || interval >= minSessionExpires {
		return reply{}, false
	}
	least := strconv.Itoa(int(minSessionExpires / time.Second))
	return reply{status: 422, why: "session interval too small", headers: []sip.Header{sip.NewHeader("Min-SE", least)}}, true
}

// agreeTimer takes what a request or a 2xx says of the session's interval. In a request we are the UAS and let the peer refresh
// where it did not choose; in a 2xx the peer has decided, offered or not (FreeSWITCH).
func (l *leg) agreeTimer(msg headed) {
	interval, refresher := sessionExpires(msg)
	if interval == 0 {
		return
	}
	request := false
	if _, ok := msg.(*sip.Request); ok {
		request = true
	}
	l.timer.Interval = max(interval, minSessionExpires)
	l.timer.Refresher = "them"
	if (request && refresher == "uas") || (!request && refresher != "uas") {
		l.timer.Refresher = "us"
	}
	if !request {
		l.startTimer()
	}
}

// headers are the Session-Expires of a 2xx of ours, where the peer asked for a timer.
func (s sessionTimer) headers() []sip.Header {
	if s.Interval == 0 {
		return nil
	}
	value := fmt.Sprintf("%d;refresher=uac", s.Interval/time.Second)
	if s.Refresher == "us" {
		return []sip.Header{sip.NewHeader("Session-Expires", strings.Replace(value, "uac", "uas", 1))}
	}
	return []sip.Header{sip.NewHeader("Require", "timer"), sip.NewHeader("Session-Expires", value)}
}

// startTimer starts the interval anew. Ours to refresh: at half of it (RFC 4028 §7.2). Theirs: the session ends shortly before
// it is over (§10), but never a browser's: a tab asleep refreshes late, and WebSocket and ICE watch over that leg.
func (l *leg) startTimer() {
	l.timer.clock.stop()
	if l.timer.Interval == 0 || l.state == legGone || l.state == legLeaving {
		return
	}
	if l.timer.Refresher == "us" {
		l.timer.clock = l.call.after(l.timer.Interval/2, "session refresh", l.refresh)
		return
	}
	if l.browser() {
		return
	}
	early := min(32*time.Second, l.timer.Interval/3)
	l.timer.clock = l.call.after(l.timer.Interval-early, "session expiry", func() { l.call.fail(sessionExpired(l.name)) })
}

// refresh sends our refresh: an UPDATE without a body where the backend allows it, else a re-INVITE with an unchanged offer.
func (l *leg) refresh() {
	if l.state != legConfirmed {
		l.startTimer()
		return
	}
	if l.browser() || !l.dialog.allows(sip.UPDATE) {
		l.offer(offerWanted)
		l.startTimer()
		return
	}
	out := l.dialog.request(sip.UPDATE)
	for _, h := range l.timer.refreshHeaders() {
		out.AppendHeader(h)
	}
	l.send(out, func(ev transaction.Event) { l.onRefreshed(ev) })
	l.startTimer()
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
	return []sip.Header{sip.NewHeader("Session-Expires", fmt.Sprintf("%d;refresher=%s", s.Interval/time.Second, role))}
}

// onRefreshed is what the peer says to a refresh. One that failed is tried again with the next (RFC 4028 §7.4 ends a session only
// for 408 and 481).
func (l *leg) onRefreshed(ev transaction.Event) {
	switch res := ev.Response; {
	case res == nil:
		l.log.Warn("session refresh not answered", "error", ev.Err)
	case res.IsSuccess():
		l.dialog.hear(res)
		l.agreeTimer(res)
	case lostDialog(res.StatusCode):
		l.lost()
	default:
		l.log.Info("session refresh refused", "status", res.StatusCode)
	}
}

// lost ends the call for a peer that knows the dialog no more.
func (l *leg) lost() {
	l.call.because(dialogLost(l.name))
	l.step(legLost)
	l.call.step(callFault, nil, nil)
}
