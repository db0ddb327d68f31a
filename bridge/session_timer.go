package bridge

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// minSessionExpires is RFC 4028's least Min-SE; JsSIP asks for exactly that, and knows no 422.
const minSessionExpires = 90 * time.Second

// longerAgain is how often in a row a peer may ask for a longer interval.
const longerAgain = 3

// SessionTimer is one leg's RFC 4028 agreement: each leg has its own. Plain value.
type SessionTimer struct {
	Interval  time.Duration // 0: none
	Refresher string        // "us", "them"
	Least     time.Duration // the Min-SE that the peer named in a 422; 0: none
}

// sessionTimer is the agreement with its clock.
type sessionTimer struct {
	SessionTimer
	clock      *timer
	since      time.Time // of the latest refresh, or of the agreement
	refreshing bool      // ours is out
	noUpdate   bool      // the peer refused one, and is refreshed by re-INVITE
	longer     int       // how often in a row the peer asked for a longer interval
}

func (s *sessionTimer) stop() { s.clock.stop() }

// sessionExpires reads a Session-Expires header; interval 0 where there is none.
func sessionExpires(msg headed) (interval time.Duration, refresher string) {
	value := headerValue(msg, "Session-Expires")
	if value == "" {
		value = headerValue(msg, "x")
	}
	if value == "" {
		return 0, ""
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
// where it did not choose and knows how; in a 2xx the peer has decided, offered or not (FreeSWITCH).
func (l *leg) agreeTimer(msg headed) {
	interval, refresher := sessionExpires(msg)
	_, request := msg.(*sip.Request)
	if interval == 0 {
		if !request && l.timer.Refresher == "them" { // it refreshes no more (§7.2)
			l.timer.Interval, l.timer.Refresher = 0, ""
			l.timer.stop()
		}
		return
	}
	l.timer.Interval = max(interval, minSessionExpires)
	l.timer.Refresher = "them"
	if request && (refresher == "uas" || refresher == "" && !l.dialog.Timer) || !request && refresher != "uas" {
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
	if s.Refresher == "us" {
		return []sip.Header{s.expires(s.Interval, "uas")}
	}
	return []sip.Header{sip.NewHeader("Require", "timer"), s.expires(s.Interval, "uac")}
}

// expires is a Session-Expires header; refresher "" leaves the choice to the peer.
func (s sessionTimer) expires(interval time.Duration, refresher string) sip.Header {
	value := strconv.Itoa(int(interval / time.Second))
	if refresher != "" {
		value += ";refresher=" + refresher
	}
	return sip.NewHeader("Session-Expires", value)
}

// startTimer starts the interval anew. Ours to refresh: at half of it (RFC 4028 §7.2). Theirs: the session ends shortly before
// it is over (§10), but never a browser's: a tab asleep refreshes late, and WebSocket and ICE watch over that leg.
func (l *leg) startTimer() {
	t := &l.timer
	t.clock.stop()
	t.since, t.refreshing, t.longer = time.Now(), false, 0
	if t.Interval == 0 || l.state == legGone || l.state == legLeaving {
		return
	}
	if t.Refresher == "us" {
		t.clock = l.call.after(t.Interval/2, "session refresh", l.refresh)
		return
	}
	if l.browser() {
		return
	}
	early := min(32*time.Second, t.Interval/3)
	t.clock = l.call.after(t.Interval-early, "session expiry", l.expired)
}

func (l *leg) expired() { l.call.fail(sessionExpired(l.name)) }
