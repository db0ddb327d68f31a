package bridge

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/wss/wsstest"
)

// What differs in two answers to the same question: what is made up each time, replaced by as many letters; and the user's name,
// of as many letters itself.
var madeUp = regexp.MustCompile(`(nonce="|;tag=|branch=|rport=|SIP/2.0/WSS? )([^";\r\n]*)|(Call-ID: )([^\r\n]*)`)

func masked(res *sip.Response, user string) string {
	text := madeUp.ReplaceAllStringFunc(res.String(), func(found string) string {
		parts := madeUp.FindStringSubmatch(found)
		return parts[1] + parts[3] + strings.Repeat("x", len(parts[2])+len(parts[4]))
	})
	return strings.ReplaceAll(text, user, "-----")
}

// A stranger cannot tell an unknown user from a wrong password, nor by asking after somebody: every answer is the same, byte for byte.
func TestNobodyCanEnumerateUsers(t *testing.T) {
	t.Parallel()
	for mode, open := range map[string]func() *world{
		"vouch": func() *world { return newWorld(t, conditions{routes: vouchRoutes(), gate: newGate(t)}) },
		"local": func() *world { return localWorld(t, conditions{}) },
	} {
		w := open()
		home := w.browser(wsstest.Options{})
		_, err := home.Register(w.ctx(), "alice", "secret") // alice is known, and there
		w.check(err)
		answers := func(user string) []string {
			return []string{w.wrongPassword(user), w.asksFor(sip.INVITE, user, "mallory"), w.asksFor(sip.MESSAGE, user, "mallory"),
				w.asksFor(sip.SUBSCRIBE, user, "mallory"), w.asksFor(sip.OPTIONS, user, "mallory"),
				w.asksFor(sip.INVITE, "600", user), w.asksFor(sip.MESSAGE, "600", user)}
		}
		known, unknown := answers("alice"), answers("nobdy")
		for i := range known {
			if known[i] != unknown[i] {
				t.Errorf("%s: a known user\n%s\nan unknown one\n%s", mode, known[i], unknown[i])
			}
			if !strings.Contains(known[i], "Authenticate: Digest") && !strings.Contains(known[i], "CSeq: 1 OPTIONS") {
				t.Errorf("%s: no challenge:\n%s", mode, known[i])
			}
		}
	}
}

// wrongPassword is the answer to a REGISTER with credentials that are wrong.
func (w *world) wrongPassword(user string) string {
	w.t.Helper()
	_, err := w.browser(wsstest.Options{}).Register(w.ctx(), user, "wrong")
	var refused *wsstest.StatusError
	if !errors.As(err, &refused) {
		w.t.Fatalf("%s with a wrong password: %v", user, err)
	}
	return masked(refused.Response, user)
}

// asksFor is the answer to a stranger's request for somebody, in the name of somebody.
func (w *world) asksFor(method sip.RequestMethod, to, from string) string {
	w.t.Helper()
	b := w.browser(wsstest.Options{Raw: true})
	w.check(b.SendRaw(fmt.Appendf(nil, "%[1]s sip:%[2]s@example.com SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n"+
		"From: <sip:%[3]s@example.com>;tag=1\r\nTo: <sip:%[2]s@example.com>\r\nCall-ID: 1\r\nCSeq: 1 %[1]s\r\nMax-Forwards: 70\r\n"+
		"Contact: <sip:%[3]s@x.invalid;transport=ws>\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n", method, to, from)))
	for {
		msg, err := b.Expect(w.ctx(), func(m sip.Message) bool { _, ok := m.(*sip.Response); return ok })
		w.check(err)
		if res := msg.(*sip.Response); res.StatusCode >= 200 {
			return masked(res, map[bool]string{true: from, false: to}[to == "600"])
		}
	}
}
