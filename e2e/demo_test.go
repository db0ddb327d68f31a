package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tandem/e2e/lab"
)

// The demo as a newcomer meets it: the printed URL, the phone's own buttons, an echo of the browser's microphone.
func TestDemoPhone(t *testing.T) {
	demo := lab.StartTandem(t, "demo")
	url := demo.Find(t, `(http://127\.0\.0\.1:\d+/)`)
	chromium := lab.StartChromium(t)
	alice, bob := chromium.Visit(t, url), chromium.Visit(t, url)
	for user, tab := range map[string]*lab.Tab{"alice": alice, "bob": bob} {
		act(t, tab, chromedp.SendKeys("#user", user), chromedp.Click("#account button.primary"), chromedp.WaitVisible("#dialer"))
	}

	act(t, alice, chromedp.Click("[data-dial='600']"), chromedp.WaitVisible("#mute"))
	level(t, alice, "level-in", func(l int) bool { return l > 20 }, "the echo is heard")
	act(t, alice, chromedp.Click("#mute"))
	level(t, alice, "level-in", func(l int) bool { return l == 0 }, "a muted microphone gives no echo")
	act(t, alice, chromedp.Click("#mute"), chromedp.Click("#hold"), chromedp.WaitVisible("#hold[aria-pressed=true]"))
	act(t, alice, chromedp.Click("#hold"), chromedp.WaitVisible("#hold[aria-pressed=false]"))
	level(t, alice, "level-in", func(l int) bool { return l > 20 }, "the echo is heard after the hold")
	act(t, alice, chromedp.Click("#keypad"), chromedp.Click("#keys button:nth-child(5)"))
	act(t, alice, chromedp.Click("#hangup"), chromedp.WaitVisible("#dialer"))

	act(t, alice, chromedp.SendKeys("#target", "bob"), chromedp.Click("#dial .call"), chromedp.WaitVisible("#call"))
	act(t, bob, chromedp.WaitVisible("#answer"), chromedp.Click("#answer"), chromedp.WaitVisible("#mute"))
	for _, tab := range []*lab.Tab{alice, bob} {
		level(t, tab, "level-in", func(l int) bool { return l > 20 }, "the other browser is heard")
		level(t, tab, "level-out", func(l int) bool { return l > 20 }, "the microphone is seen")
	}
	act(t, bob, chromedp.Click("#hangup"), chromedp.WaitVisible("#dialer"))
	act(t, alice, chromedp.WaitVisible("#dialer"))
}

func act(t *testing.T, tab *lab.Tab, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := tab.Act(30*time.Second, steps...); err != nil {
		t.Fatalf("chromium: %v", err)
	}
}

// level waits until a meter shows what is wanted, 0 to 100.
func level(t *testing.T, tab *lab.Tab, meter string, wanted func(int) bool, what string) {
	t.Helper()
	lab.Eventually(t, 10*time.Second, what, func() error {
		var now int
		tab.Do(t, &now, "((id) => Number(document.getElementById(id).getAttribute('aria-valuenow')))", meter)
		if !wanted(now) {
			return fmt.Errorf("the meter shows %d", now)
		}
		return nil
	})
}
