package bridge

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// scripted is a peer that answers each request by a function, where that gives nil by a timeout; it needs no socket.
type scripted struct {
	answer func(out transaction.Outbound) *sip.Response // nil: never answers

	mu   sync.Mutex
	sent []transaction.Outbound // guarded by mu
}

func (p *scripted) Name() string                       { return "scripted" }
func (p *scripted) Ack(out transaction.Outbound) error { return nil }
func (p *scripted) Contact(user string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: user, Host: "127.0.0.1", Port: 5060}
}

func (p *scripted) Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	p.mu.Lock()
	p.sent = append(p.sent, out)
	p.mu.Unlock()
	if p.answer != nil {
		res := p.answer(out)
		ev := transaction.Event{Response: res}
		if res == nil {
			ev.Err = transaction.ErrTimeout
		}
		go on(ev)
	}
	return nil, nil
}

func (p *scripted) methods() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, out := range p.sent {
		all = append(all, string(out.Method))
	}
	return strings.Join(all, " ")
}

// ok answers 200 with the given headers.
func ok(headers ...sip.Header) func(transaction.Outbound) *sip.Response {
	return func(out transaction.Outbound) *sip.Response {
		res := sip.NewResponseFromRequest(out.Request, 200, "OK", nil)
		for _, h := range headers {
			res.AppendHeader(h)
		}
		return res
	}
}

// established is a running call between two scripted peers, without media: a browser that called and a backend.
func established(browser, backend *scripted) *call {
	b := New(Config{Node: "n1", Secret: []byte("x")}, Wiring{})
	b.runners = nil // a goroutine that waits for more would outlive the test's clock
	c := b.newCall("c1")
	c.state = callUp
	side := func(name string, profile sdp.Profile, p peer) *leg {
		l := &leg{name: name, profile: profile, peer: p, state: legConfirmed, log: c.log, offers: offers{Phase: offersStable}}
		c.adopt(l)
		l.dialog = Dialog{
			CallID: name, LocalTag: "us", RemoteTag: "them", LocalURI: "sip:us@example.com", RemoteURI: "sip:them@example.com",
			Target: "sip:them@127.0.0.1", Allow: "INVITE, UPDATE", Token: "t1", Timer: true,
		}
		l.register()
		return l
	}
	c.caller, c.callee = side("caller", sdp.WebRTC, browser), side("callee", sdp.RTP, backend)
	b.calls.add(c)
	go c.run()
	return c
}

// hear runs f on the call's goroutine and waits for it.
func hear(c *call, f func()) {
	done := make(chan struct{})
	c.post("test", func() { defer close(done); f() })
	<-done
}

// refreshed is a 2xx with what FreeSWITCH answers to an INVITE that never offered a timer, or another refresher.
func refreshed(value string) *sip.Response {
	res := sip.NewResponse(200, "OK")
	res.AppendHeader(sip.NewHeader("Session-Expires", value))
	return res
}

func TestWeRefreshTheBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{}
		backend.answer = ok(sip.NewHeader("Session-Expires", "1800;refresher=uac"))
		c := established(browser, backend)
		hear(c, func() { c.callee.agreeTimer(refreshed("1800;refresher=uac")) })
		time.Sleep(10*15*time.Minute + time.Second) // synctest's time
		synctest.Wait()
		if got := backend.methods(); got != strings.TrimSpace(strings.Repeat("UPDATE ", 10)) {
			t.Errorf("the backend heard %q in ten periods of 15 minutes", got)
		}
		if got := header(backend.sent[0], "Session-Expires"); got != "1800;refresher=uac" {
			t.Errorf("Session-Expires %q", got)
		}
		if got := browser.methods(); got != "" {
			t.Errorf("the browser heard %q: timers are per leg", got)
		}
		hear(c, func() { c.fail(shuttingDown()) })
	})
}

func TestBackendThatDoesNotRefreshLosesTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		hear(c, func() { c.callee.agreeTimer(refreshed("120;refresher=uas")) })
		time.Sleep(79 * time.Second)
		synctest.Wait()
		if backend.methods()+browser.methods() != "" {
			t.Fatal("ended too early")
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if backend.methods() != "BYE" || browser.methods() != "BYE" {
			t.Errorf("backend %q, browser %q, want BYE shortly before 120 s", backend.methods(), browser.methods())
		}
		if ended := c.bridge.Stats().CallsEnded; ended["session-expired"] != 1 {
			t.Errorf("ended %v", ended)
		}
	})
}

func TestBrowserNeedNotRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		req := sip.NewRequest(sip.UPDATE, sip.Uri{Scheme: "sip", Host: "127.0.0.1"})
		req.AppendHeader(sip.NewHeader("Session-Expires", "90;refresher=uac"))
		hear(c, func() { c.caller.agreeTimer(req); c.caller.startTimer() })
		time.Sleep(time.Hour)
		synctest.Wait()
		if backend.methods()+browser.methods() != "" {
			t.Errorf("a tab asleep lost its call: %q", browser.methods())
		}
		hear(c, func() { c.fail(shuttingDown()) })
	})
}

func TestRefreshOfALostDialogEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{}
		backend.answer = func(out transaction.Outbound) *sip.Response {
			return sip.NewResponseFromRequest(out.Request, 481, "Gone", nil)
		}
		c := established(browser, backend)
		hear(c, func() { c.callee.agreeTimer(refreshed("90;refresher=uac")) })
		time.Sleep(46 * time.Second)
		synctest.Wait()
		if backend.methods() != "UPDATE" || browser.methods() != "BYE" {
			t.Errorf("backend %q, browser %q", backend.methods(), browser.methods())
		}
	})
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value     string
		interval  time.Duration
		refresher string
	}{
		{"1800;refresher=uac", 30 * time.Minute, "uac"},
		{" 90 ; Refresher = UAS ", 90 * time.Second, "uas"},
		{"120", 2 * time.Minute, ""},
		{"", 0, ""},
		{"-5;refresher=uac", 0, ""},
		{"99999999999999999999", 0, ""},
	}
	for _, test := range tests {
		res := sip.NewResponse(200, "OK")
		if test.value != "" {
			res.AppendHeader(sip.NewHeader("x", test.value))
		}
		if interval, refresher := sessionExpires(res); interval != test.interval || refresher != test.refresher {
			t.Errorf("%q: %v %q", test.value, interval, refresher)
		}
	}
}
