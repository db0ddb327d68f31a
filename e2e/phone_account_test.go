package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"tandem/e2e/lab"
)

// Accounts are remembered, passwords where that is asked for: with one a page signs in by itself, until its user has signed out. A page
// with a call is not left without a question.
func TestPhoneRemembers(t *testing.T) {
	url := lab.StartTandem(t, "demo").Find(t, `(http://127\.0\.0\.1:\d+/)`)
	tab := lab.StartChromium(t).Visit(t, url)
	tab.Faultless(t)
	p := tab.Person(t)
	signOut := func() {
		p.Press("button", "Settings")
		p.Press("button", "Sign out")
		p.Reads("status", "Registration", "Not registered")
	}
	p.Write("User", "alice")
	p.Write("Password", "a secret")
	p.Press("checkbox", "Remember the password in this browser")
	p.Press("DisclosureTriangle", "Domain")
	p.Write("SIP domain", "alice.example")
	p.Press("button", "Register")
	p.Reads("status", "Registration", "Registered as alice")
	tab.Reload(t)
	p.Reads("status", "Registration", "Registered as alice")
	p.Write("Number or name", "600"+kb.Enter)
	p.Meets("Their level", "the echo is heard", loud)
	var asks bool
	const leaves = "(() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true })))"
	if tab.Do(t, &asks, leaves); !asks {
		t.Error("the page with a call is left without a question")
	}
	p.Press("button", "Hang up")
	p.Reads("button", "Dial", "Dial")
	if tab.Do(t, &asks, leaves); asks {
		t.Error("the page without a call asks before it is left")
	}

	signOut()
	tab.Reload(t)
	p.Reads("textbox", "User", "alice")
	p.Reads("status", "Registration", "Not registered")
	p.Write("User", "bob")
	p.Press("checkbox", "Remember the password in this browser")
	p.Press("button", "Register")
	p.Reads("status", "Registration", "Registered as bob")
	signOut()
	var kept string
	if tab.Do(t, &kept, "(() => localStorage.getItem('accounts'))"); strings.Count(kept, "a secret") != 1 {
		t.Errorf("a password is kept that was not to be: %s", kept)
	}
	p.Reads("textbox", "User", "bob")
	p.Focus("combobox", "Remembered account")
	p.Type(kb.ArrowDown)
	p.Reads("textbox", "User", "alice")
	p.Reads("textbox", "Password", "a secret")
	p.Finds("combobox", "Remembered account", "id", "accounts")
	p.Press("button", "Forget this account")
	p.Reads("textbox", "User", "bob")
	p.Press("button", "Forget this account")
	p.Reads("textbox", "User", "")
}

// What is said about how a call went, by what the browser tells of it.
func TestPhoneWords(t *testing.T) {
	url := lab.StartTandem(t, "demo").Find(t, `(http://127\.0\.0\.1:\d+/)`)
	tab := lab.StartChromium(t).Visit(t, url)
	type call = map[string]any
	for _, row := range []struct {
		function string
		heard    call
		want     string
	}{
		{"trouble", call{"lossIn": 0.04, "lossOut": nil, "roundTrip": nil}, ""},
		{"trouble", call{"lossIn": 0.06}, "on the way to you"},
		{"trouble", call{"lossIn": 0, "lossOut": 0.06}, "on the way from you"},
		{"trouble", call{"roundTrip": 0.5}, "arrives late"},
		{"trouble", call{"deaf": true, "lossIn": 0.06}, "Nothing comes from the other side"},
		{"outcome", call{"established": true, "incoming": true, "originator": "local"}, "answered"},
		{"outcome", call{"originator": "local"}, "unanswered"},
		{"outcome", call{"incoming": true, "originator": "local"}, "declined"},
		{"outcome", call{"incoming": true, "originator": "remote"}, "missed"},
		{"outcome", call{"incoming": true, "originator": "remote", "reason": `SIP;cause=200;text="Call completed elsewhere"`}, "elsewhere"},
		{"outcome", call{"incoming": true, "originator": "remote", "reason": "Q.850;cause=200"}, "missed"},
		{"ending", call{"incoming": true, "originator": "remote", "name": "bob", "cause": "Canceled", "reason": "SIP ;cause=200"}, "was answered elsewhere."},
		{"ending", call{"incoming": true, "originator": "remote", "name": "bob", "cause": "Canceled", "reason": "SIP;cause=480"}, "You missed a call from bob."},
		{"ending", call{"name": "bob", "cause": "Busy"}, "bob is busy."},
		{"ending", call{"name": "bob", "cause": "SIP Failure Code"}, "The call to bob ended: SIP Failure Code."},
	} {
		var got string
		tab.Do(t, &got, `(async (name, { reason, ...heard }) => {
			const message = { hasHeader: () => reason !== undefined, getHeader: () => reason };
			const said = (await import('/words.js'))[name]({ ...heard, message });
			return said.text || said;
		})`, row.function, row.heard)
		if !strings.Contains(got, row.want) || (got == "") != (row.want == "") {
			t.Errorf("%s(%v) = %q, want %q", row.function, row.heard, got, row.want)
		}
	}
	var typed []string
	tab.Do(t, &typed, `(async () => {
		const [{ Account }, { aor }] = await Promise.all([import('/account.js'), import('/call.js')]);
		const none = { getItem: () => null, setItem() {}, removeItem() {} };
		const account = Object.assign(new Account(none, none, {}), { host: 'example.com' });
		return ['600', 'Jürgen B', 'sip:50%25@example.com', 'sip:x@example.org'].map((text) => account.typed(aor(JsSIP.URI.parse(account.address(text)))));
	})`)
	if want := "600|Jürgen B|50%|sip:x@example.org"; strings.Join(typed, "|") != want {
		t.Errorf("an address as a person types it: %q, want %s", typed, want)
	}
	var deaf []bool
	tab.Do(t, &deaf, `(async () => {
		const { Quality } = await import('/quality.js');
		let packetsReceived = 0;
		const quality = new Quality({ getStats: async () => new Map([['in', { id: 'in', type: 'inbound-rtp', kind: 'audio', packetsReceived, packetsLost: 0 }]]) });
		const found = [];
		for (const [expected, more] of [[true, 50], [true, 0], [true, 0], [true, 0], [false, 0], [true, 0], [true, 50]]) {
			packetsReceived += more;
			found.push((await quality.sample(expected)).deaf);
		}
		return found;
	})`)
	for i, want := range []bool{false, false, false, true, false, false, false} {
		if i >= len(deaf) || deaf[i] != want {
			t.Fatalf("silence is noticed: %v", deaf)
		}
	}
}
