package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tandem/e2e/lab"
)

func loud(level int) bool { return level > 20 }

// office is the demo with people at phones.
func office(t *testing.T, names ...string) map[string]*lab.Person {
	t.Helper()
	url := lab.StartTandem(t, "demo").Find(t, `(http://127\.0\.0\.1:\d+/)`)
	chromium := lab.StartChromium(t)
	people := map[string]*lab.Person{}
	for _, name := range names {
		people[name] = sitsDown(t, chromium, url)
		registers(people[name], name)
	}
	return people
}

// sitsDown opens a phone of 360 pixels' width, whose page keeps to its own security policy until the test ends.
func sitsDown(t *testing.T, chromium *lab.Chromium, url string) *lab.Person {
	t.Helper()
	tab := chromium.Visit(t, url)
	tab.Faultless(t)
	act(t, tab, chromedp.EmulateViewport(360, 740))
	return tab.Person(t)
}

func registers(p *lab.Person, name string) {
	p.Write("User", name)
	p.Press("button", "Register")
	p.Reads("status", "Registration", name)
}

func call(from, to *lab.Person, name string) {
	from.Write("Number or name", name+kb.Enter)
	to.Press("button", "Answer")
	for _, p := range []*lab.Person{from, to} {
		p.Meets("Their level", "the other side is heard", loud)
	}
}

// The settings, by their roles and labels: devices and their tests, the bell, notifications.
func TestPhoneSettings(t *testing.T) {
	alice := office(t, "alice")["alice"]
	alice.Press("button", "Settings")
	alice.Press("button", "Test the microphone")
	alice.Meets("Microphone level", "the microphone is heard", loud)
	alice.Picture("settings")
	alice.Press("button", "Test the microphone")
	alice.Meets("Microphone level", "the test is over", func(level int) bool { return level == 0 })
	alice.Press("button", "Test the speaker")
	alice.Focus("combobox", "Microphone")
	alice.Type(kb.ArrowDown)
	alice.Focus("combobox", "Speaker")
	alice.Type(kb.ArrowDown)
	alice.Press("checkbox", "Ring when a call comes")
	alice.Press("checkbox", "Show a notification when a call comes")
	alice.Press("button", "Dial")
	alice.Press("button", "600")
	alice.Meets("Their level", "the echo is heard by the chosen devices", loud)
	alice.Press("button", "Hang up")
	alice.Press("button", "History")
	alice.Picture("history")
	alice.Press("button", "Call 600 again…")
	alice.Meets("Their level", "the echo is heard again", loud)
	alice.Press("button", "Hang up")
	alice.Press("button", "Call") // of nobody: whom alice has called last
	alice.Reads("textbox", "Number or name", "600")
	alice.Press("button", "601")
	alice.Meets("Their level", "the tone is heard", loud)
	alice.Press("button", "Hang up")
	alice.Press("button", "History")
	alice.Press("button", "Clear the history")
	alice.Reads("region", "History", "No calls yet.")
	alice.Press("button", "Settings")
	alice.Press("button", "Sign out")
	alice.Reads("textbox", "User", "alice")
	alice.Press("button", "Forget this account")
	alice.Reads("status", "Registration", "Not registered")
}

// A call with everything that can be done within it, and a second one beside it.
func TestPhoneCalls(t *testing.T) {
	people := office(t, "alice", "bob", "carol")
	alice, bob, carol := people["alice"], people["bob"], people["carol"]
	call(alice, bob, "bob")
	alice.Press("DisclosureTriangle", "Connection…")
	alice.Reads("definition", "", "direct")
	alice.Reads("status", "Quality", "good")
	alice.Picture("call")
	alice.Press("button", "Mute")
	bob.Meets("Their level", "a muted microphone is silent", func(level int) bool { return level == 0 })
	alice.Press("button", "Mute")
	alice.Press("button", "Hold")
	alice.Finds("button", "Hold", "aria-pressed", "true")
	bob.Reads("status", "Progress", "held by the other side")
	alice.Press("button", "Hold")
	bob.Meets("Their level", "the call is taken back", loud)
	alice.Press("button", "Keypad")
	alice.Press("button", "5")
	alice.Type("#")
	alice.Reads("status", "Digits sent", "5#")
	alice.Type(kb.Escape)
	alice.Finds("button", "Keypad", "aria-pressed", "false")
	alice.Reads("timer", "Duration", ":")
	alice.Press("button", "Sound")
	alice.Focus("combobox", "Microphone")
	alice.Type(kb.ArrowDown)
	alice.Press("button", "bob, talking")
	bob.Meets("Their level", "the other microphone is heard", loud)
	alice.Press("button", "Add call")
	alice.Reads("textbox", "Number or name", "")
	alice.Press("button", "bob, talking")

	carol.Write("Number or name", "bob")
	carol.Press("button", "Call")
	bob.Press("button", "Decline carol")
	carol.Reads("status", "", "bob declined the call.")
	carol.Write("Number or name", "bob"+kb.Enter)
	bob.Press("button", "Answer carol")
	carol.Meets("Their level", "bob is heard", loud)
	bob.Press("button", "Hang up")
	carol.Reads("button", "Dial", "Dial")
	bob.Press("button", "Hold")
	alice.Meets("Their level", "bob is back", loud)
	carol.Write("Number or name", "bob"+kb.Enter)
	bob.Press("button", "carol, is calling")
	bob.Picture("second-call")
	bob.Press("button", "Answer")
	carol.Meets("Their level", "bob is heard", loud)
	alice.Reads("status", "Progress", "held by the other side")
	bob.Press("button", "alice, on hold")
	alice.Meets("Their level", "bob is back", loud)
	carol.Reads("status", "Progress", "held by the other side")
	bob.Press("button", "carol, on hold")
	bob.Press("button", "Hang up")
	carol.Reads("button", "Dial", "Dial")
	bob.Press("button", "Hang up")
	alice.Reads("button", "Dial", "Dial")
	alice.Press("button", "History")
	alice.Reads("list", "Past calls", "bob")
	carol.Press("button", "Dial")
	for _, digit := range "6*#" {
		carol.Press("button", map[rune]string{'6': "6", '*': "star", '#': "hash"}[digit])
	}
	carol.Reads("textbox", "Number or name", "6*#")
	carol.Press("button", "Delete the last character")
	carol.Hold("button", "0", func() { carol.Reads("textbox", "Number or name", "6*+") })
	carol.Press("button", "1")
	carol.Reads("textbox", "Number or name", "6*+1")
}

// Transfers: at once, and after having asked.
func TestPhoneTransfers(t *testing.T) {
	people := office(t, "alice", "bob", "carol")
	alice, bob, carol := people["alice"], people["bob"], people["carol"]
	for _, asked := range []bool{false, true} {
		call(alice, bob, "bob")
		alice.Press("button", "Transfer")
		alice.Write("Transfer to", "carol")
		alice.Picture("transfer")
		if asked {
			alice.Press("button", "Ask first")
			carol.Press("button", "Answer")
			carol.Meets("Their level", "alice asks", loud)
			bob.Reads("status", "Progress", "held by the other side")
			alice.Press("button", "Complete the transfer")
		} else {
			alice.Press("button", "Transfer now")
			carol.Press("button", "Answer")
		}
		alice.Reads("status", "", "bob was transferred to carol.")
		alice.Reads("button", "Dial", "Dial")
		for _, p := range []*lab.Person{bob, carol} {
			p.Meets("Their level", "bob and carol hear each other", loud)
		}
		carol.Press("button", "Hang up")
		bob.Reads("button", "Dial", "Dial")
		carol.Reads("button", "Dial", "Dial")
	}
}

// What is refused and declined is told in plain words.
func TestPhoneTellsWhy(t *testing.T) {
	people := office(t, "alice", "bob")
	alice, bob := people["alice"], people["bob"]
	for _, row := range []struct{ target, answer, notice string }{
		{"bob", "Decline", "bob declined the call."},
		{"nobody-at-all", "", "nobody-at-all "},
		{"sip:@@", "", "cannot be called"},
	} {
		alice.Write("Number or name", row.target+kb.Enter)
		if row.answer != "" {
			bob.Press("button", row.answer)
			bob.Reads("status", "", "You declined the call from alice.")
		}
		alice.Reads("status", "", row.notice)
		if strings.HasPrefix(row.target, "sip:") {
			continue
		}
		alice.Reads("button", "Dial", "Dial")
	}
	alice.Write("Number or name", "bob")
	alice.Press("button", "Call")
	bob.Reads("button", "Answer", "Answer")
	alice.Press("button", "Cancel")
	bob.Reads("status", "", "You missed a call from alice.")
	bob.Reads("button", "History", "1 missed call")
	bob.Press("button", "History")
	bob.Reads("list", "Past calls", "missed")
	bob.Press("button", "Dial")
	alice.Press("button", "Dial")
	for _, row := range []struct{ fault, notice string }{
		{"NotAllowedError", "allow it beside the address bar"},
		{"NotFoundError", "No microphone was found"},
		{"NotReadableError", "another program may hold it"},
		{"AbortError", "could not be opened"},
	} {
		alice.Does("((name) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); })", row.fault)
		alice.Write("Number or name", "bob"+kb.Enter)
		alice.Reads("status", "", row.notice)
		alice.Reads("button", "Dial", "Dial")
	}
}
