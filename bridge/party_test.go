package bridge

import (
	"regexp"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// anyone is one who calls and is called, at a browser or at a phone of the PBX. What a flow of the RFCs says of Alice and Bob is
// tested with each of them at either.
type anyone interface {
	calls(user string, headers ...sip.Header) // an INVITE to who has that name
	rings(early bool) replaces                // takes the INVITE with 180, or 183 and media; gives how a third names the dialog
	hearsRinging()
	answers()
	connected()       // the call that was made, or picked up, is up
	hears(hz float64) // the party at the other end
	hangsUp()
	holds()
	resumes()
	hearsNothing()
	ended()          // by another
	cancels()        // the INVITE that was made; waits for 487
	refused() int    // the final response to the INVITE that was made
	rejects(int)     // the INVITE that rings
	names() replaces // how a third names the dialog of the call that is up
	again() anyone   // the same one with another call
	forwards(user string)
	refreshes() // a re-INVITE that changes no direction
}

// quietFor is how long no packet comes where nobody is heard.
const quietFor = 300 * time.Millisecond

// kinds of parties.
const (
	atBrowser = "browser"
	atPhone   = "phone"
)

// parties are a world where anybody reaches anybody: browsers by their names, phones by what begins so.
func parties(t *testing.T) *world {
	return newWorld(t, conditions{routes: []route.Rule{
		{User: regexp.MustCompile("^phone-"), To: "pbx"}, {From: "browsers", User: regexp.MustCompile("."), To: "browsers"},
		{From: "browsers", To: "pbx"}, {From: "pbx", To: "browsers"},
	}})
}

// party makes one that speaks with a tone of its own, and is named so.
func (w *world) party(kind, name string, tone float64) anyone {
	w.t.Helper()
	if kind == atBrowser {
		return &webParty{w: w, b: w.toned(name, tone)}
	}
	m := w.rtp()
	m.Tone(tone)
	return &phoneParty{w: w, agent: w.agents[0], m: m}
}

// called is how others call a party by name.
func called(kind, name string) string {
	if kind == atPhone {
		return "phone-" + name
	}
	return name
}

// webParty is at a browser.
type webParty struct {
	w      *world
	b      *wsstest.Browser
	call   *wsstest.Call
	caller bool
}

func (p *webParty) calls(user string, headers ...sip.Header) {
	p.w.t.Helper()
	var err error
	p.call, err = p.b.Invite(p.w.ctx(), user, wsstest.InviteOptions{Headers: headers})
	p.w.check(err)
	p.caller = true
}

func (p *webParty) rings(early bool) replaces {
	p.w.t.Helper()
	var err error
	p.call, err = p.b.NextCall(p.w.ctx())
	p.w.check(err)
	if early {
		p.w.check(p.call.Progress(p.w.ctx()))
	} else {
		p.w.check(p.call.Ring())
	}
	return p.names()
}

func (p *webParty) names() replaces {
	said := p.call.Responses()
	last := said[len(said)-1]
	ours, theirs := tagOf(last.To().Params), tagOf(last.From().Params)
	if p.caller {
		ours, theirs = theirs, ours
	}
	return replaces{callID: p.call.CallID(), toTag: theirs, fromTag: ours}
}

func (p *webParty) hearsRinging() {
	p.w.t.Helper()
	p.w.check(p.call.Wait(p.w.ctx(), wsstest.Ringing))
}

func (p *webParty) holds() {
	p.w.t.Helper()
	p.w.check(p.call.Hold(p.w.ctx()))
}

func (p *webParty) resumes() {
	p.w.t.Helper()
	p.w.check(p.call.Resume(p.w.ctx()))
}

func (p *webParty) hearsNothing() {
	p.w.t.Helper()
	p.w.check(p.call.Media().WaitQuiet(p.w.ctx(), quietFor))
}

func (p *webParty) answers() {
	p.w.t.Helper()
	p.w.check(p.call.Answer(p.w.ctx()))
}

func (p *webParty) connected() {
	p.w.t.Helper()
	p.w.check(p.call.Wait(p.w.ctx(), wsstest.Confirmed))
}

func (p *webParty) hears(hz float64) {
	p.w.t.Helper()
	p.w.check(p.call.Media().WaitTone(p.w.ctx(), hz))
}

func (p *webParty) hangsUp() {
	p.w.t.Helper()
	p.w.check(p.call.Bye(p.w.ctx()))
}

func (p *webParty) ended() {
	p.w.t.Helper()
	p.w.check(p.call.Wait(p.w.ctx(), wsstest.Ended))
}

func (p *webParty) cancels() {
	p.w.t.Helper()
	p.w.check(p.call.Cancel(p.w.ctx()))
	p.ended()
}

func (p *webParty) refused() int {
	p.w.t.Helper()
	p.ended()
	return p.call.Status()
}

func (p *webParty) rejects(status int) {
	p.w.t.Helper()
	p.w.check(p.call.Reject(status, "Refused"))
}

// phoneParty is at a phone of the PBX.
type phoneParty struct {
	w     *world
	agent *siptest.Agent
	m     *siptest.Media
	out   *siptest.Outgoing
	in    *siptest.Incoming
	up    *phone
}

func (p *phoneParty) calls(user string, headers ...sip.Header) {
	p.w.t.Helper()
	at := p.w.sip.Addrs()[0]
	to := sip.Uri{Scheme: "sip", User: user, Host: "example.com"}
	if p.w.store.ByAOR("sip:"+user+"@example.com") != nil {
		to = p.w.toBrowser(user)
	}
	var err error
	p.up = nil
	p.out, err = p.agent.Invite(siptest.Call{To: to, Target: at, SDP: p.m.Offer("sendrecv"), Headers: headers})
	p.w.check(err)
}

func (p *phoneParty) rings(early bool) replaces {
	p.w.t.Helper()
	var err error
	p.in, err = p.agent.Expect(p.w.ctx(), sip.INVITE)
	p.w.check(err)
	p.up = nil
	if early {
		p.w.check(p.in.Respond(siptest.Reply{Status: 183, SDP: p.answer()}))
	} else {
		p.w.check(p.in.Respond(siptest.Reply{Status: 180}))
	}
	return namingDialog(p.in.Early())
}

func (p *phoneParty) hearsRinging() {
	p.w.t.Helper()
	_, err := p.out.Await(p.w.ctx(), 180)
	p.w.check(err)
}

func (p *phoneParty) holds() { p.changes("sendonly") }

func (p *phoneParty) resumes() { p.changes("sendrecv") }

func (p *phoneParty) changes(direction string) {
	p.w.t.Helper()
	res, err := p.up.dialog.Reinvite(p.w.ctx(), p.m.Offer(direction))
	p.w.check(err)
	if res.StatusCode != 200 {
		p.w.t.Errorf("%s is answered %d", direction, res.StatusCode)
	}
}

func (p *phoneParty) hearsNothing() {
	p.w.t.Helper()
	p.w.check(p.m.WaitQuiet(p.w.ctx(), quietFor))
}

func (p *phoneParty) answer() string {
	p.w.t.Helper()
	answer, err := p.m.Answer(p.in.SDP())
	p.w.check(err)
	return answer
}

func (p *phoneParty) names() replaces { return namingDialog(p.up.dialog) }

func (p *phoneParty) answers() {
	p.w.t.Helper()
	d, err := p.in.Accept(p.w.ctx(), siptest.Reply{SDP: p.answer()})
	p.w.check(err)
	p.up = p.w.phone(d, p.m)
}

func (p *phoneParty) connected() {
	p.w.t.Helper()
	res, err := p.out.Final(p.w.ctx())
	p.w.check(err)
	if res.StatusCode != 200 {
		p.w.t.Fatalf("the phone's INVITE is answered %d", res.StatusCode)
	}
	d, err := p.out.Ack(res, "")
	p.w.check(err)
	p.w.check(p.m.Connect(sdpOf(res)))
	p.up = p.w.phone(d, p.m)
}

func (p *phoneParty) hears(hz float64) {
	p.w.t.Helper()
	p.w.check(p.m.WaitTone(p.w.ctx(), hz))
}

func (p *phoneParty) hangsUp() {
	p.w.t.Helper()
	p.w.check(p.up.dialog.Bye(p.w.ctx()))
}

// ended takes the BYE, or the CANCEL of what rang.
func (p *phoneParty) ended() {
	p.w.t.Helper()
	if p.up != nil {
		p.up.hungUp()
		return
	}
	cancel, err := p.agent.Expect(p.w.ctx(), sip.CANCEL)
	p.w.check(err)
	w := p.w
	w.check(cancel.Respond(siptest.Reply{Status: 200}))
	w.check(p.in.Respond(siptest.Reply{Status: 487}))
}

func (p *phoneParty) cancels() {
	p.w.t.Helper()
	p.out.Hangup()
	if status := p.refused(); status != 487 {
		p.w.t.Errorf("the phone's INVITE is answered %d after its CANCEL", status)
	}
}

func (p *phoneParty) refused() int {
	p.w.t.Helper()
	res, err := p.out.Final(p.w.ctx())
	p.w.check(err)
	return res.StatusCode
}

func (p *phoneParty) rejects(status int) {
	p.w.t.Helper()
	p.w.check(p.in.Respond(siptest.Reply{Status: status}))
}
