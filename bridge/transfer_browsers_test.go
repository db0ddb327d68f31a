package bridge

import (
	"regexp"
	"testing"

	"tandem/bridge/route"
	"tandem/wss/wsstest"
)

// toned is a browser whose own tone tells it from the others.
func (w *world) toned(user string, tone float64) *wsstest.Browser {
	w.t.Helper()
	return w.registered(user, wsstest.Options{NewSession: func() (wsstest.Session, error) {
		return wsstest.NewMedia(wsstest.MediaOptions{Codecs: []string{"PCMU"}, Tone: tone})
	}})
}

// Three browsers and no PBX: one transfers the second to the third, which then hear each other; each keeps the dialog it has.
func TestTransferBetweenBrowsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: []route.Rule{
		{From: "browsers", User: regexp.MustCompile("."), To: "browsers"}, {From: "browsers", To: "pbx"}, // REGISTER names no user
	}})
	alice, bob, carol := w.toned("alice", 440), w.toned("bob", 1000), w.toned("carol", 1500)
	out, err := alice.Invite(w.ctx(), "bob", wsstest.InviteOptions{})
	w.check(err)
	in, err := bob.NextCall(w.ctx())
	w.check(err)
	w.check(in.Answer(w.ctx()))
	w.check(out.Wait(w.ctx(), wsstest.Confirmed))
	w.check(in.Media().WaitTone(w.ctx(), 440))
	w.refer(out, "<sip:carol@example.com>")
	third, err := carol.NextCall(w.ctx())
	w.check(err)
	w.check(third.Answer(w.ctx()))
	w.told(out, 200)
	w.check(in.Media().WaitTone(w.ctx(), 1500))
	w.check(third.Media().WaitTone(w.ctx(), 1000))
	w.leaves(out)
	w.check(in.Bye(w.ctx()))
	w.check(third.Wait(w.ctx(), wsstest.Ended))
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}
