package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"tandem/bridge/media"
)

// lose takes the browser's flow away.
func lose(c *call) {
	hear(c, func() {
		c.caller.flow = "f1"
		c.bridge.calls.addFlow("f1", c)
		c.onFlowGone("f1")
	})
}

func TestCallWithoutFlow(t *testing.T) {
	dead := func(c *call) { hear(c, func() { c.caller.dead = true; c.endOrphan(c.caller) }) }
	tests := []struct {
		name  string
		then  func(c *call)
		after time.Duration // when the call ends
	}{
		{"media lives: the limit ends it", func(*call) {}, 10 * time.Minute},
		{"media dies within the grace: the grace ends it", func(c *call) { time.Sleep(10 * time.Second); dead(c) }, 35 * time.Second},
		{"media dies after the grace: at once", func(c *call) { time.Sleep(time.Minute); dead(c) }, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
				c := established(browser, backend)
				began := time.Now()
				lose(c)
				test.then(c)
				for c.bridge.Stats().Calls > 0 && time.Since(began) < time.Hour {
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(began).Round(time.Second); took != test.after {
					t.Errorf("ended after %v, want %v", took, test.after)
				}
				if backend.methods() != "BYE" || browser.methods() != "" {
					t.Errorf("backend %q, browser %q: a lost browser cannot be told", backend.methods(), browser.methods())
				}
				if ended := c.bridge.Stats().CallsEnded; ended["orphaned"] != 1 {
					t.Errorf("ended %v", ended)
				}
			})
		})
	}
}

// A browser that came back keeps its call for ever.
func TestReturnedBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		lose(c)
		time.Sleep(20 * time.Second)
		hear(c, func() { c.caller.peer = browser; c.caller.goneAt = time.Time{} })
		time.Sleep(time.Hour)
		synctest.Wait()
		if c.bridge.Stats().Calls != 1 || backend.methods() != "" {
			t.Errorf("the call ended: backend heard %q", backend.methods())
		}
		hear(c, func() { c.fail(shuttingDown()) })
	})
}

// Media that dies on a leg whose peer can be told ends the call on both.
func TestDeadMedia(t *testing.T) {
	for _, name := range []string{"caller", "callee"} {
		synctest.Test(t, func(t *testing.T) {
			browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
			c := established(browser, backend)
			l := c.caller
			if name == "callee" {
				l = c.callee
			}
			hear(c, func() { l.judge(media.Event{Kind: media.Dead}) })
			synctest.Wait()
			if backend.methods() != "BYE" || browser.methods() != "BYE" {
				t.Errorf("%s dead: backend %q, browser %q", name, backend.methods(), browser.methods())
			}
			if ended := c.bridge.Stats().CallsEnded; ended["media-timeout"] != 1 {
				t.Errorf("ended %v", ended)
			}
		})
	}
}

// A leg that is silent while it rings is given time after the answer; silent on, it ends the call.
func TestSilentWhileRinging(t *testing.T) {
	for _, revives := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
			c := established(browser, backend)
			hear(c, func() {
				c.state = callRinging
				c.callee.judge(media.Event{Kind: media.Dead})
				c.state = callUp
				c.confirmed()
			})
			time.Sleep(reviveLimit / 2)
			if revives {
				hear(c, func() { c.callee.judge(media.Event{Kind: media.Alive}) })
			}
			time.Sleep(reviveLimit)
			synctest.Wait()
			if alive := c.bridge.Stats().Calls == 1; alive != revives {
				t.Errorf("revives: %v; the call lives: %v", revives, alive)
			}
			c.post("end", func() { c.fail(shuttingDown()) })
		})
	}
}

// A fault in one event ends this call in an orderly way: BYE on both legs, under its own reason.
func TestPanicEndsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		c.post("a fault", func() { panic("of the test") })
		synctest.Wait()
		if backend.methods() != "BYE" || browser.methods() != "BYE" {
			t.Errorf("backend %q, browser %q", backend.methods(), browser.methods())
		}
		stats := c.bridge.Stats()
		if stats.CallsEnded["internal-error"] != 1 || stats.Panics != 1 || stats.Calls != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// A fault in the ending itself still frees the call.
func TestPanicInTheEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := established(&scripted{answer: ok()}, nil) // a nil peer in an interface: every use of it panics
		c.post("hang up", func() { c.fail(shuttingDown()) })
		synctest.Wait()
		if stats := c.bridge.Stats(); stats.Calls != 0 || stats.Panics == 0 {
			t.Errorf("%+v", stats)
		}
	})
}
