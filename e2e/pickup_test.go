package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/e2e/lab"
	"tandem/sipside/transaction"
)

// earlyDialog is one of the gateway with a callee, as one who watches the callee's dialogs is told of it.
type earlyDialog struct{ callID, callees, ours string } // the last two are tags

// replaces names it in an INVITE (RFC 3891 §3): the gateway's tag is to-tag.
func (r earlyDialog) replaces() string {
	return fmt.Sprintf("%s;to-tag=%s;from-tag=%s;early-only", r.callID, r.ours, r.callees)
}

// listen notes the dialog of a callee's 180.
func (l *ladder) listen(m transaction.Traced) {
	if m.Sent || !bytes.HasPrefix(m.Data, []byte("SIP/2.0 180")) {
		return
	}
	msg, err := transaction.Parse(bytes.Clone(m.Data))
	if err != nil {
		return
	}
	if res, ok := msg.Message.(*sip.Response); ok {
		l.rings = &earlyDialog{res.CallID().Value(), res.To().Params.GetOr("tag", ""), res.From().Params.GetOr("tag", "")}
	}
}

// rung waits until a callee rings.
func (s *site) rung(t *testing.T) (r earlyDialog) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, "a callee rings", func() error {
		s.ladder.mu.Lock()
		defer s.ladder.mu.Unlock()
		if s.ladder.rings == nil {
			return errors.New("no 180")
		}
		r = *s.ladder.rings
		return nil
	})
	return r
}

const withPickups = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
  phone: {members: ["sip:127.0.0.1:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, user: '^baresip$', to: phone}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`

const daveTone = 1700

// RFC 5359 §2.16 between real phones: what rings at a baresip or in a browser is picked up by Asterisk, JsSIP or SIP.js. The caller
// notices nothing but the voice.
func TestPickupByPhones(t *testing.T) {
	s := newSite(t, withPickups)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Peer: "127.0.0.20:5060"})
	desk := lab.Baresip{Codec: "PCMA/8000/1", Rings: true}.Start(t)
	chromium := lab.StartChromium(t)
	phone := func(library lab.Library, user string, tone float64) *lab.Phone {
		p := chromium.Open(t).Phone(t, library, s.account(user, tone))
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
		return p
	}
	alice, bob := phone(lab.JsSIP, "alice", aliceTone), phone(lab.SIPJS, "bob", bobTone)
	dave := map[lab.Library]*lab.Phone{lab.JsSIP: phone(lab.JsSIP, "dave", daveTone), lab.SIPJS: phone(lab.SIPJS, "erin", daveTone)}

	t.Run("Asterisk, from a baresip", func(t *testing.T) {
		s.ladderOnFailure(t)
		out := alice.Call("sip:baresip@example.com")
		s.pickUpAt(t, s.rung(t))
		out.Wait("answered", 30*time.Second)
		out.Hears(milliwatt)
		s.stopped(t, desk)
		out.Hangup()
		s.quiet(t)
	})
	for library, picker := range dave {
		t.Run(string(library)+", from a baresip", func(t *testing.T) {
			s.ladderOnFailure(t)
			out := alice.Call("sip:baresip@example.com")
			in := picker.PickUp("sip:baresip@example.com", s.rung(t).replaces())
			in.Wait("answered", 30*time.Second)
			out.Hears(daveTone)
			in.Hears(aliceTone)
			s.stopped(t, desk)
			in.Hangup()
			out.Wait("ended", 30*time.Second)
			s.quiet(t)
		})
		t.Run(string(library)+", from a browser that Asterisk calls", func(t *testing.T) {
			s.ladderOnFailure(t)
			if _, err := s.asterisk.CLI("channel originate PJSIP/bob extension 601@lab"); err != nil {
				t.Fatal(err)
			}
			rings := bob.Incoming()
			in := picker.PickUp("sip:bob@example.com", s.rung(t).replaces())
			in.Wait("answered", 30*time.Second)
			in.Hears(milliwatt)
			rings.Wait("ended", 30*time.Second)
			in.Hangup()
			s.asterisk.Idle(t)
			s.quiet(t)
		})
	}
}

// pickUpAt has Asterisk pick up a dialog and play a tone.
func (s *site) pickUpAt(t *testing.T, r earlyDialog) {
	t.Helper()
	for _, command := range []string{
		"dialplan set global PICK_CALL " + r.callID, "dialplan set global PICK_TO " + r.ours, "dialplan set global PICK_FROM " + r.callees,
		"channel originate Local/660@lab extension 601@lab",
	} {
		if _, err := s.asterisk.CLI(command); err != nil {
			t.Fatal(err)
		}
	}
}

// stopped waits until a desk phone has no call.
func (s *site) stopped(t *testing.T, desk *lab.Desk) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, "the phone stops ringing", func() error {
		if shown := desk.Press(t, "l"); !bytes.Contains([]byte(shown), []byte("(0)")) {
			return fmt.Errorf("it shows %s", shown)
		}
		return nil
	})
}
