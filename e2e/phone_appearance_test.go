package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tandem/e2e/lab"
)

// Every part of the phone, light and dark, at 360 pixels' width: it can be read, nothing is off the side, every control is reached.
func TestPhoneLooks(t *testing.T) {
	url := lab.StartTandem(t, "demo").Find(t, `(http://127\.0\.0\.1:\d+/)`)
	chromium := lab.StartChromium(t)
	breach := chromium.Visit(t, url)
	breach.Do(t, nil, "(() => document.body.setAttribute('style', 'color: red'))")

	wire := lab.LayWire(t, strings.Trim(strings.TrimPrefix(url, "http:"), "/")) // of another origin: with a history of his own
	tab := chromium.Visit(t, url)
	alice, bob := tab.Person(t), sitsDown(t, chromium, "http://"+wire.Addr+"/")
	tab.Faultless(t)
	act(t, tab, chromedp.EmulateViewport(360, 740))
	alice.Press("DisclosureTriangle", "Domain")
	alice.Looks("account")
	registers(alice, "alice")
	registers(bob, "bob")
	alice.Write("Number or name", "sip:@@")
	alice.Press("button", "Call")
	alice.Reads("status", "", "cannot be called")
	alice.Looks("dial")
	alice.Press("button", "Settings")
	alice.Looks("settings")
	alice.Press("button", "Dial")

	alice.Press("button", "600")
	alice.Press("DisclosureTriangle", "Connection…")
	alice.Reads("status", "Quality", "good")
	alice.Press("button", "Mute")
	alice.Looks("call")
	alice.Press("button", "Keypad")
	alice.Looks("keypad")
	alice.Press("button", "Transfer")
	alice.Finds("button", "Keypad", "aria-pressed", "false")
	alice.Looks("transfer")
	alice.Press("button", "Transfer")
	bob.Write("Number or name", "alice")
	bob.Press("button", "Call")
	alice.Reads("button", "Answer bob", "")
	alice.Looks("second-call-line")
	alice.Press("button", "bob, is calling")
	alice.Looks("calls")
	alice.Press("button", "Decline")
	bob.Reads("status", "", "declined")
	alice.Press("button", "Hang up")
	alice.Press("button", "History")
	alice.Reads("list", "Past calls", "declined")
	alice.Looks("history")
	alice.Press("button", "Dial")
	act(t, tab, chromedp.EmulateViewport(1280, 800))
	alice.Looks("wide")

	lab.Eventually(t, 30*time.Second, "an inline style is seen as a fault", func() error {
		if len(breach.Faults()) == 0 {
			return errors.New("the console is empty")
		}
		return nil
	})
}
