package bridge

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A tab that loses its WebSocket keeps its media, and moves its call by registering again.
func TestCallSurvivesALostWebSocket(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{Instance: "urn:uuid:a1", ContactUser: "page"})
	k.browser.Drop()
	k.until("the gateway to notice", func() bool { return k.wss.Stats().Connections == 0 })
	k.check(k.rtp.WaitTone(k.ctx(), 440))
	k.check(k.call.Media().WaitTone(k.ctx(), 1000))
	again := k.registered("alice", wsstest.Options{Instance: "urn:uuid:a1", ContactUser: "page"})
	k.call.Move(again)
	k.check(k.call.RestartICE(k.ctx()))
	k.check(k.rtp.WaitTone(k.ctx(), 440))
	k.check(k.backend.Bye(k.ctx())) // finds its way to the new connection
	k.check(k.call.Wait(k.ctx(), wsstest.Ended))
	if r := k.record(); r.Reason != "hangup" {
		t.Errorf("record %+v", r)
	}
}

// Another user's connection cannot take a call over, nor end it.
func TestStrangerCannotTakeOver(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	k.browser.Drop()
	k.until("the gateway to notice", func() bool { return k.wss.Stats().Connections == 0 })
	mallory := k.registered("mallory", wsstest.Options{})
	k.call.Move(mallory)
	res, err := k.call.Request(k.ctx(), sip.BYE, "", nil)
	if res == nil || res.StatusCode != 481 {
		t.Errorf("a stranger's BYE: %v, %v", res, err)
	}
	k.check(k.rtp.WaitTone(k.ctx(), 440))
	k.check(k.backend.Bye(k.ctx()))
}

// A closed tab: no WebSocket, no media. The call ends after the grace, and the backend is told.
func TestClosedTab(t *testing.T) {
	t.Parallel()
	limits := conditions{bridge: Config{FlowGrace: 300 * time.Millisecond}}
	limits.media.Consent = 10 * time.Second // pion checks every two
	k := newTalk(t, limits, wsstest.Options{})
	k.browser.Drop()
	k.check(k.call.Media().Close())
	bye, err := k.backend.Expect(k.ctx(), sip.BYE)
	k.check(err)
	k.check(bye.Respond(siptest.Reply{Status: 200}))
	if r := k.record(); r.Reason != "orphaned" || r.By != "gateway" {
		t.Errorf("record %+v", r)
	}
}

// A browser whose media died but whose WebSocket lives hears BYE.
func TestDeadMediaEndsBothLegs(t *testing.T) {
	t.Parallel()
	limits := conditions{}
	limits.media.Consent = 10 * time.Second // pion checks every two
	k := newTalk(t, limits, wsstest.Options{})
	k.check(k.call.Media().Close())
	bye, err := k.backend.Expect(k.ctx(), sip.BYE)
	k.check(err)
	k.check(bye.Respond(siptest.Reply{Status: 200}))
	k.check(k.call.Wait(k.ctx(), wsstest.Ended))
	if r := k.record(); r.Reason != "media-timeout" {
		t.Errorf("record %+v", r)
	}
	if got := header(bye.Request(), "Reason"); got == "" {
		t.Error("the backend's BYE has no Reason")
	}
}

// Hold without music lasts longer than the time after which a silent peer that is to send counts as dead.
func TestHoldWithoutMusicSurvives(t *testing.T) {
	t.Parallel()
	limits := conditions{}
	limits.media.Silence = 5 * time.Second
	k := newTalk(t, limits, wsstest.Options{})
	res, err := k.backend.Reinvite(k.ctx(), k.rtp.Offer("inactive"))
	k.check(err)
	if res.StatusCode != 200 {
		t.Fatalf("hold: %d", res.StatusCode)
	}
	k.rtp.Stop()
	held := time.Now()
	k.until("twice the limit to pass", func() bool { return time.Since(held) > 10*time.Second })
	if k.bridge.Stats().Calls != 1 || k.call.State() != wsstest.Confirmed {
		t.Fatal("the held call ended")
	}
	k.rtp.Tone(1000)
	_, err = k.backend.Reinvite(k.ctx(), k.rtp.Offer("sendrecv"))
	k.check(err)
	k.check(k.call.Media().WaitTone(k.ctx(), 1000))
	k.hangUp()
}

// The certificate differs from the SDP: no media, and the call ends under its own reason on both legs.
func TestWrongFingerprint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{})
	session, err := wsstest.NewMedia(wsstest.MediaOptions{WrongFingerprint: true})
	w.check(err)
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: session})
	w.check(err)
	m := w.rtp()
	d := w.answered(w.agents[0], m, 1000)
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if r := w.record(); r.Reason != "dtls-fingerprint-mismatch" {
		t.Errorf("record %+v", r)
	}
	if session.Received() != 0 || m.Stats().Received != 0 {
		t.Errorf("media went through: browser %d, backend %d", session.Received(), m.Stats().Received)
	}
}

// Before the answer a lost WebSocket is the end: the backend hears CANCEL.
func TestLostWebSocketWhileRinging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{handler: behave()})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "609", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	w.check(call.Wait(w.ctx(), wsstest.Ringing))
	b.Drop()
	w.until("CANCEL", func() bool { return in.Server != nil && w.events.record() != nil })
	w.check(in.Respond(siptest.Reply{Status: 487}))
	if r := w.record(); r.Reason != "flow-lost" || r.By != "caller" {
		t.Errorf("record %+v", r)
	}
}

// A backend that calls a browser whose connection is gone is told at once.
func TestCallToAGoneBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	to := w.toBrowser("alice")
	b.Drop()
	w.until("the binding to be dormant", func() bool {
		all := w.store.ByAOR("sip:alice@example.com")
		return len(all) == 1 && all[0].Flow == ""
	})
	for status, uri := range map[int]sip.Uri{480: to, 404: {Scheme: "sip", User: "nobody", Host: to.Host, Port: to.Port}} {
		out, err := w.agents[0].Invite(siptest.Call{To: uri, SDP: w.rtp().Offer("sendrecv")})
		w.check(err)
		res, err := out.Final(w.ctx())
		w.check(err)
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", uri.String(), res.StatusCode, status)
		}
	}
}
