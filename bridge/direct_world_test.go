package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
)

// directWorld is a world in which the trunk "other" and the pool call each other, and their media goes from peer to peer.
func directWorld(t *testing.T, change ...func(*conditions)) *world {
	t.Helper()
	with := conditions{
		other:  true,
		routes: []route.Rule{{From: "other", To: "pbx"}, {From: "pbx", To: "other"}, {From: "browsers", To: "pbx"}},
		bridge: Config{Peerings: map[string]Peering{"pbx": {Direct: true}, "other": {Direct: true}}},
	}
	for _, do := range change {
		do(&with)
	}
	return newWorld(t, with)
}

// dials has the trunk call a user of the pool.
func (w *world) dials(sdp string, headers ...sip.Header) *siptest.Outgoing {
	w.t.Helper()
	out, err := w.other.Invite(siptest.Call{
		To: sip.Uri{Scheme: "sip", User: "600", Host: "example.com"}, Target: w.sip.Addrs()[0], SDP: sdp, Headers: headers,
	})
	w.check(err)
	return out
}

// updates says that a side takes UPDATE.
func updates() sip.Header { return sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE") }

// called waits for the next INVITE at an agent.
func (w *world) called(at *siptest.Agent) *siptest.Incoming {
	w.t.Helper()
	in, err := at.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	return in
}

// withoutOrigin is a session description but for its o= line.
func withoutOrigin(sdp string) string {
	var lines []string
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "o=") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// passedOn checks that a session description came through as it was said.
func (w *world) passedOn(what, said, heard string) {
	w.t.Helper()
	if said == "" || withoutOrigin(said) != withoutOrigin(heard) {
		w.t.Errorf("%s: said\n%sheard\n%s", what, said, heard)
	}
}

// origin is the session id and the version of a session description.
func (w *world) origin(sdp string) (id, version string) {
	w.t.Helper()
	for line := range strings.Lines(sdp) {
		if f := strings.Fields(line); strings.HasPrefix(line, "o=") && len(f) == 6 {
			return f[1], f[2]
		}
	}
	w.t.Fatalf("no o= line in\n%s", sdp)
	return "", ""
}

// sdpIn is the session description of a message.
func sdpIn(msg interface{ Body() []byte }) string { return string(msg.Body()) }

// noPorts checks that the gateway has no port for a call.
func (w *world) noPorts() {
	w.t.Helper()
	if used := w.media.Stats().PortsUsed; used != 0 {
		w.t.Errorf("%d ports are in use", used)
	}
}

// direct is a call from the trunk to the pool that is up, with media at both ends.
type direct struct {
	*world
	caller, callee *siptest.Dialog
	near, far      *siptest.Media
}

// talks sets up a direct call whose ends hear each other.
func (w *world) talks() *direct {
	w.t.Helper()
	d := &direct{world: w, near: w.rtp(), far: w.rtp()}
	offer := d.near.Offer("sendrecv")
	out := w.dials(offer, updates())
	in := w.called(w.agents[0])
	w.passedOn("the offer", offer, in.SDP())
	answer, err := d.far.Answer(in.SDP())
	w.check(err)
	d.callee, err = in.Accept(w.ctx(), siptest.Reply{SDP: answer, Headers: []sip.Header{updates()}})
	w.check(err)
	d.caller, err = out.Answered(w.ctx(), "")
	w.check(err)
	w.passedOn("the answer", answer, d.caller.Remote)
	w.check(d.near.Connect(d.caller.Remote))
	d.near.Tone(440)
	d.far.Tone(880)
	w.check(d.near.WaitTone(w.ctx(), 880))
	w.check(d.far.WaitTone(w.ctx(), 440))
	w.noPorts()
	return d
}

// hangsUp ends it from the caller's side and gives its record.
func (d *direct) hangsUp() Record {
	d.t.Helper()
	done := make(chan error, 1)
	d.meanwhile(func() { done <- d.caller.Bye(d.ctx()) })
	bye, err := d.callee.Expect(d.ctx(), sip.BYE)
	d.check(err)
	d.check(bye.Respond(siptest.Reply{Status: 200}))
	d.check(<-done)
	return d.record()
}

// reoffers has one side offer something new in a re-INVITE or UPDATE, which the other answers; it gives the response.
func (w *world) reoffers(method sip.RequestMethod, from, to *siptest.Dialog, offer, answer string) *sip.Response {
	w.t.Helper()
	out, err := from.Send(method, "application/sdp", offer)
	w.check(err)
	in, err := to.Expect(w.ctx(), method)
	w.check(err)
	w.passedOn("the new offer", offer, in.SDP())
	if method == sip.INVITE {
		_, err = in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	} else {
		err = in.Respond(siptest.Reply{Status: 200, SDP: answer})
	}
	w.check(err)
	res, err := out.Final(w.ctx())
	w.check(err)
	if method == sip.INVITE {
		_, err = out.Ack(res, "")
		w.check(err)
	}
	w.passedOn("the new answer", answer, sdpIn(res))
	return res
}
