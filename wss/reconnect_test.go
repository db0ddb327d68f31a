package wss_test

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// TestReconnect loses the WebSocket in a running call and goes on with it on another one: media does not notice.
func TestReconnect(t *testing.T) {
	d := open(t, wss.Config{}, true)
	far := newMedia(t, wsstest.MediaOptions{Tone: 800})
	f := newCallee(t, far, "180 200")
	d.far.taking(f.take)
	b := d.dial(t, wsstest.Options{ContactUser: "page"})
	c, err := b.Invite(within(t), "600", wsstest.InviteOptions{})
	must(t, err)
	t.Cleanup(c.Close)
	must(t, c.Wait(within(t), wsstest.Confirmed))
	must(t, c.Media().WaitTone(within(t), 800))
	old := f.flow()
	b.Drop()
	<-old.Done()
	must(t, c.Media().WaitReceived(within(t), 5))
	if c.State() != wsstest.Confirmed {
		t.Fatal(c.State(), c.Why())
	}

	again := d.dial(t, wsstest.Options{ContactUser: "page"})
	c.Move(again)
	must(t, c.RestartICE(within(t)))
	if now := f.flow(); now == old || now.Flow() == old.Flow() {
		t.Error("the re-INVITE came over the old flow")
	}
	must(t, c.Media().WaitTone(within(t), 800))
	must(t, c.Bye(within(t)))
}

// flow is the connection of the callee's latest INVITE.
func (f *callee) flow() *wss.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.invite.Flow().(*wss.Conn)
}

// TestLostWhileCalling ends a call that has no answer yet, as JsSIP does, and fails what waits.
func TestLostWhileCalling(t *testing.T) {
	d := open(t, wss.Config{}, false)
	d.far.taking(func(_ *wss.Conn, tx *transaction.Server) bool { // nobody answers
		return tx.Request().Method == sip.INVITE || tx.Request().Method == sip.MESSAGE
	})
	b := d.dial(t, wsstest.Options{})
	c, err := b.Invite(within(t), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	must(t, err)
	failed := make(chan error, 1)
	go func() {
		_, err := b.Do(within(t), b.NewRequest(sip.MESSAGE, "bob"))
		failed <- err
	}()
	eventually(t, "the MESSAGE is out", func() bool { return strings.Contains(b.Ladder(), "──▶ MESSAGE") })
	b.Drop()
	must(t, c.Wait(within(t), wsstest.Ended))
	if err := <-failed; err == nil || c.Why() != "the WebSocket was lost" {
		t.Error(err, c.Why())
	}
}
