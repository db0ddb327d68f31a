package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// namingDialog is the Replaces by which a third party names a phone's dialog with the gateway.
func namingDialog(d *siptest.Dialog) replaces {
	return replaces{callID: d.CallID(), toTag: d.RemoteTag(), fromTag: d.LocalTag()}
}

// takes sends an INVITE with Replaces to alice's Contact.
func (w *world) takes(from *siptest.Agent, m *siptest.Media, r replaces) *siptest.Outgoing {
	w.t.Helper()
	out, err := from.Invite(siptest.Call{To: w.toBrowser("alice"), Target: w.sip.Addrs()[0], SDP: m.Offer("sendrecv"),
		Headers: []sip.Header{sip.NewHeader("Replaces", r.String()), sip.NewHeader("Require", "replaces")}})
	w.check(err)
	return out
}

// A third phone of the PBX takes the place of the first; the browser keeps its dialog.
func TestInviteWithReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	m := w.rtp()
	m.Tone(1500)
	out := w.takes(w.agents[0], m, namingDialog(bob.dialog))
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 200 {
		t.Fatalf("answered %d", res.StatusCode)
	}
	d, err := out.Ack(res, "")
	w.check(err)
	w.check(m.Connect(sdpOf(res)))
	carol := w.phone(d, m)
	bob.hungUp()
	w.check(call.Media().WaitTone(w.ctx(), 1500))
	carol.hears(440)
	if r := w.recordOf("replaced"); r.Transfer == nil || r.Transfer.Kind != "replaced" || r.Transfer.Call == "" {
		t.Errorf("record %+v", r)
	}
	w.check(call.Bye(w.ctx()))
	carol.hungUp()
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

func sdpOf(res *sip.Response) string { return string(res.Body()) }

// Replaces that names nothing, or what is not the sender's, is refused (RFC 3891 §3), and the call goes on.
func TestInviteWithReplacesRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, bridge: Config{Peerings: map[string]Peering{"other": {Untrusted: true}}}})
	b := w.registered("alice", wsstest.Options{})
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	good := namingDialog(bob.dialog)
	wrong, early, gone := good, good, good
	wrong.fromTag, early.earlyOnly, gone.toTag = "wrong", true, "gone"
	for name, c := range map[string]struct {
		by     *siptest.Agent
		named  replaces
		status int
	}{
		"another's tag":   {w.agents[0], wrong, 481},
		"early only":      {w.agents[0], early, 486},
		"unknown":         {w.agents[0], gone, 481},
		"of another pool": {w.other, good, 481},
		"malformed":       {w.agents[0], replaces{callID: "x"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := w.takes(c.by, w.rtp(), c.named).Final(w.ctx())
			w.check(err)
			if res.StatusCode != c.status {
				t.Errorf("answered %d, want %d", res.StatusCode, c.status)
			}
		})
	}
	bob.hears(440)
	w.check(call.Bye(w.ctx()))
	bob.hungUp()
}
