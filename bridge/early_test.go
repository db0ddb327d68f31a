package bridge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// Early media runs before the 200, and the 200 says what the 183 said.
func TestEarlyMedia(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{TryTimeout: 200 * time.Millisecond}})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "604", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1000)
	w.check(in.Respond(siptest.Reply{Status: 183, SDP: answer}))
	w.check(call.Wait(w.ctx(), wsstest.Early))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(in.Respond(siptest.Reply{Status: 180, SDP: answer}))
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(m.WaitTone(w.ctx(), 440))
	var said []string
	for _, res := range call.Responses() {
		if len(res.Body()) > 0 {
			said = append(said, string(res.Body()))
		}
	}
	if len(said) < 2 || len(slices.Compact(slices.Clone(said))) != 1 { // the 200 is repeated where its ACK is slow
		t.Errorf("%d bodies, want the same in 183 and 200:\n%s", len(said), strings.Join(said, "\n"))
	}
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("To-tags %q", tags)
	}
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	for _, req := range call.Received() {
		if req.Method == sip.INVITE {
			t.Error("a re-INVITE, though nothing changed")
		}
	}
}

// A 200 without SDP after a 183 with it: the browser's 200 carries SDP all the same.
func TestAnswerOnlyInProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "604", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1000)
	w.check(in.Respond(siptest.Reply{Status: 183, SDP: answer}))
	_, err = in.Accept(w.ctx(), siptest.Reply{})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(m.WaitTone(w.ctx(), 440))
}

// Two forks ring with early media of their own codecs and the second one wins with a codec that the browser's answer does not name:
// the 200 repeats the answer given, and a re-INVITE follows the ACK.
func TestWinnerWithAnotherCodec(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	m := w.rtp()
	pcma := sessionOf(m, 8, "PCMA/8000")
	w.check(in.Respond(siptest.Reply{Status: 183, Tag: "one", SDP: pcma}))
	w.check(call.Wait(w.ctx(), wsstest.Early))
	w.check(call.Media().WaitConnected(w.ctx())) // pion takes an offer before that for an ICE restart
	d, err := in.Accept(w.ctx(), siptest.Reply{Tag: "two", SDP: sessionOf(m, 0, "PCMU/8000")})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	_, err = call.WaitReceived(w.ctx(), wsstest.Request(sip.INVITE))
	w.check(err)
	w.check(m.Connect(in.SDP()))
	m.Tone(1000)
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	var said []string
	for _, res := range call.Responses() {
		if len(res.Body()) > 0 {
			said = append(said, string(res.Body()))
		}
	}
	if len(said) < 2 || len(slices.Compact(slices.Clone(said))) != 1 { // the 200 is repeated where its ACK is slow
		t.Errorf("the 200 does not repeat the 183:\n%s", strings.Join(said, "\n"))
	}
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("To-tags %q", tags)
	}
	w.check(d.Bye(w.ctx()))
}

// sessionOf is a description with one codec.
func sessionOf(m *siptest.Media, payload int, codec string) string {
	at := m.Addr()
	return strings.NewReplacer("ADDR", at.Addr().String(), "PORT", decimal(int(at.Port())), "PT", decimal(payload), "CODEC", codec).Replace(
		"v=0\r\no=- 1 1 IN IP4 ADDR\r\ns=-\r\nc=IN IP4 ADDR\r\nt=0 0\r\nm=audio PORT RTP/AVP PT\r\na=rtpmap:PT CODEC\r\na=sendrecv\r\n")
}

// An answer that the browser never acknowledges is repeated, and then the call ends with BYE on both legs.
func TestUnacknowledgedAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{T1: 100 * time.Millisecond}})
	b := w.browser(wsstest.Options{Raw: true})
	invite := b.NewRequest(sip.INVITE, "600")
	contact := b.Contact()
	invite.AppendHeader(&sip.ContactHeader{Address: contact})
	offer, err := wsstest.FixedAudio().Offer(w.ctx(), wsstest.Change{})
	w.check(err)
	setSession(invite, offer)
	w.check(b.Send(invite))
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	answer, err := w.rtp().Answer(in.SDP())
	w.check(err)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	for range 4 {
		_, err = b.Expect(w.ctx(), wsstest.Response(200, sip.INVITE))
		w.check(err)
	}
	_, err = b.Expect(w.ctx(), wsstest.Request(sip.BYE))
	w.check(err)
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.until("the end", func() bool { return w.bridge.Stats().CallsEnded["ack-timeout"] == 1 })
}

// A backend's 2xx is ACKed at every repetition.
func TestRepeatedAnswerIsAcknowledgedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{timers: single()})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	answer, err := w.rtp().Answer(in.SDP())
	w.check(err)
	for range 3 {
		w.check(in.Respond(siptest.Reply{Status: 200, SDP: answer}))
	}
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.until("three ACKs", func() bool { return strings.Count(w.agents[0].Ladder(), "ACK sip:") == 3 })
}
