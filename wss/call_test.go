package wss_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// TestCall is a browser's call, with tones both ways: challenge, early media, answer, hold, digits, restart, BYE.
func TestCall(t *testing.T) {
	d := open(t, wss.Config{}, true)
	far := newMedia(t, wsstest.MediaOptions{Tone: 800})
	f := newCallee(t, far, "challenge 180 183 200")
	d.far.taking(f.take)
	b := d.dial(t, wsstest.Options{})
	b.SetUser("alice", "secret")
	c, err := b.Invite(within(t), "600", wsstest.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Wait(within(t), wsstest.Confirmed); err != nil {
		t.Fatal(err)
	}
	if got := statuses(c); got != "407 180 183 200" || len(c.ToTags()) != 1 || c.Status() != 200 {
		t.Errorf("responses %s, tags %v", got, c.ToTags())
	}
	if c.Invitation().CSeq().SeqNo != 2 {
		t.Errorf("CSeq %d of the second INVITE", c.Invitation().CSeq().SeqNo)
	}
	near := c.Media()
	must(t, near.WaitConnected(within(t)))
	must(t, near.WaitTone(within(t), 800))
	must(t, far.WaitTone(within(t), 440))

	must(t, c.SendInfo(within(t), '5'))
	must(t, c.Update(within(t)))
	must(t, near.SendDigit('7', 100*time.Millisecond))
	eventually(t, "the digit is heard", func() bool { return far.Digits() == "7" })

	must(t, c.Hold(within(t)))
	must(t, near.WaitQuiet(within(t), 200*time.Millisecond))
	must(t, far.WaitTone(within(t), 440)) // sendonly: we still send
	must(t, c.Resume(within(t)))
	must(t, near.WaitTone(within(t), 800))
	must(t, c.Reinvite(within(t), wsstest.Change{Direction: "inactive"}))
	must(t, far.WaitQuiet(within(t), 200*time.Millisecond))
	must(t, c.Resume(within(t)))
	must(t, c.RestartICE(within(t)))
	near.SetTone(1000)
	must(t, far.WaitTone(within(t), 1000))
	must(t, near.WaitTone(within(t), 800))

	must(t, c.Bye(within(t)))
	if got := f.methods(); got != "INVITE,INVITE,ACK,INFO Signal=5,UPDATE,INVITE,ACK,INVITE,ACK,INVITE,ACK,INVITE,ACK,INVITE,ACK,BYE" {
		t.Error(got)
	}
	if near.Sent() == 0 || near.Received() == 0 || near.Codec() != "PCMU" {
		t.Errorf("sent %d, received %d of %q", near.Sent(), near.Received(), near.Codec())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCallRefused(t *testing.T) {
	d := open(t, wss.Config{}, false)
	d.far.taking(newCallee(t, wsstest.FixedAudio(), "180 486").take)
	b := d.dial(t, wsstest.Options{})
	c, err := b.Invite(within(t), "607", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	must(t, err)
	var refused *wsstest.StatusError
	if err := c.Wait(within(t), wsstest.Confirmed); !errors.As(err, &refused) || refused.Response.StatusCode != 486 {
		t.Error(err)
	}
	if c.Status() != 486 || c.State() != wsstest.Ended || c.Why() != "486 Busy Here" {
		t.Error(c.Status(), c.State(), c.Why())
	}
}

func TestCallCancelled(t *testing.T) {
	d := open(t, wss.Config{}, false)
	f := newCallee(t, wsstest.FixedAudio(), "180 wait")
	d.far.taking(f.take)
	b := d.dial(t, wsstest.Options{})
	c, err := b.Invite(within(t), "609", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	must(t, err)
	must(t, c.Cancel(within(t))) // before the 180 perhaps: it waits for it
	if c.Status() != 487 {
		t.Error(c.Status(), c.Why())
	}
	eventually(t, "CANCEL arrived", func() bool { return f.methods() == "INVITE,CANCEL" })
}

// TestIncomingCall is a call to the browser, ended by either side.
func TestIncomingCall(t *testing.T) {
	for _, byBrowser := range []bool{true, false} {
		d := open(t, wss.Config{}, true)
		far := newMedia(t, wsstest.MediaOptions{Tone: 800, Send: "PCMA"})
		f := newCallee(t, far, "")
		d.far.taking(f.take)
		b := d.dial(t, wsstest.Options{NewSession: func() (wsstest.Session, error) {
			return wsstest.NewMedia(wsstest.MediaOptions{Send: "PCMA", Tone: 600})
		}})
		b.SetUser("alice", "")
		door := d.conn(t, b)
		events, _ := f.call(t, door, "alice")
		c, err := b.NextCall(within(t))
		must(t, err)
		t.Cleanup(c.Close)
		must(t, c.Ring())
		must(t, c.Progress(within(t)))
		if res := next(t, events); res.StatusCode != 180 {
			t.Fatal(res)
		}
		early := next(t, events)
		must(t, far.Accept(early.Body()))
		answered := make(chan error, 1)
		go func() { answered <- c.Answer(within(t)) }()
		ok := next(t, events)
		if ok.StatusCode != 200 || !bytes.Equal(ok.Body(), early.Body()) {
			t.Fatal(ok)
		}
		must(t, door.Ack(transaction.Outbound{Request: inDialog(sip.ACK, ok, 1)}))
		must(t, <-answered)
		must(t, c.Media().WaitTone(within(t), 800))
		must(t, far.WaitTone(within(t), 600))
		if byBrowser {
			must(t, c.Bye(within(t)))
			eventually(t, "BYE arrived", func() bool { return f.methods() == "OPTIONS,BYE" })
			continue
		}
		_, err = door.Request(transaction.Outbound{Request: inDialog(sip.BYE, ok, 2)}, func(e transaction.Event) { events <- e })
		must(t, err)
		must(t, c.Wait(within(t), wsstest.Ended))
		if res := next(t, events); res.StatusCode != 200 || c.Why() != "BYE received" {
			t.Error(res.StatusCode, c.Why())
		}
	}
}

func TestIncomingCallNotTaken(t *testing.T) {
	d := open(t, wss.Config{}, false)
	f := newCallee(t, wsstest.FixedAudio(), "")
	b := d.dial(t, wsstest.Options{NewSession: func() (wsstest.Session, error) { return wsstest.FixedAudio(), nil }})
	b.SetUser("alice", "")
	door := d.conn(t, b)
	events, _ := f.call(t, door, "alice")
	c, err := b.NextCall(within(t))
	must(t, err)
	must(t, c.Reject(486, "Busy Here"))
	if res := next(t, events); res.StatusCode != 486 {
		t.Error(res)
	}

	req := toBrowser(sip.INVITE)
	another := sip.CallIDHeader("another")
	req.ReplaceHeader(&another)
	contact := door.Contact("callee")
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	tx, err := door.Request(transaction.Outbound{Request: req}, func(e transaction.Event) { events <- e })
	must(t, err)
	c, err = b.NextCall(within(t))
	must(t, err)
	must(t, c.Ring())
	if res := next(t, events); res.StatusCode != 180 {
		t.Error(res)
	}
	must(t, tx.Cancel())
	if res := next(t, events); res.StatusCode != 487 {
		t.Error(res)
	}
	must(t, c.Wait(within(t), wsstest.Ended))
	if c.Why() != "CANCEL received" {
		t.Error(c.Why())
	}
}

// TestOpusPassesThrough compares payloads byte for byte.
func TestOpusPassesThrough(t *testing.T) {
	d := open(t, wss.Config{}, false)
	far := newMedia(t, wsstest.MediaOptions{Send: "opus"})
	d.far.taking(newCallee(t, far, "200").take)
	b := d.dial(t, wsstest.Options{})
	near := newMedia(t, wsstest.MediaOptions{Send: "opus", Payload: func(n int) []byte { return []byte{0xf8, 0xaa, byte(n)} }})
	c, err := b.Invite(within(t), "600", wsstest.InviteOptions{Session: near})
	must(t, err)
	t.Cleanup(c.Close)
	must(t, far.WaitReceived(within(t), 5))
	for i, p := range far.Payloads() {
		if !bytes.Equal(p, []byte{0xf8, 0xaa, byte(i)}) {
			t.Errorf("payload %d: %x", i, p)
		}
	}
	if far.Codec() != "opus" {
		t.Error(far.Codec())
	}
	must(t, c.Bye(within(t)))
}

// TestWrongFingerprint gets no media: the far end checks the certificate against the SDP.
func TestWrongFingerprint(t *testing.T) {
	d := open(t, wss.Config{}, false)
	far := newMedia(t, wsstest.MediaOptions{})
	d.far.taking(newCallee(t, far, "200").take)
	b := d.dial(t, wsstest.Options{})
	near := newMedia(t, wsstest.MediaOptions{WrongFingerprint: true})
	c, err := b.Invite(within(t), "600", wsstest.InviteOptions{Session: near})
	must(t, err)
	t.Cleanup(c.Close)
	must(t, c.Wait(within(t), wsstest.Confirmed))
	if err := far.WaitConnected(within(t)); err == nil || far.Received() != 0 {
		t.Errorf("connected (%v), %d packets", err, far.Received())
	}
}
