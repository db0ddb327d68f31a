package siptest

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// A call from agent to agent: ringing, early media, answer, audio both ways, digits both ways, hold, resume, BYE.
func TestAgentsCall(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			ctx := within(t)
			alice, bob := agent(t, AgentConfig{User: "alice"}), agent(t, AgentConfig{User: "bob"})
			am, bm := media(t), media(t)

			out := got[*Outgoing](t)(alice.Invite(Call{To: bob.URI(transport), Transport: transport, SDP: am.Offer("sendrecv")}))
			in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
			must(t, in.Respond(Reply{Status: 180}))
			got[*sip.Response](t)(out.Await(ctx, 180))
			answer := got[string](t)(bm.Answer(in.SDP()))
			must(t, in.Respond(Reply{Status: 183, SDP: answer}))
			early := got[*sip.Response](t)(out.Await(ctx, 183))
			must(t, am.Connect(sdpOf(early)))
			bm.Tone(425)
			must(t, am.WaitTone(ctx, 425))

			accepted := make(chan *Dialog, 1)
			go func() {
				d, err := in.Accept(ctx, Reply{SDP: answer})
				if err != nil {
					t.Error(err)
				}
				accepted <- d
			}()
			ad := got[*Dialog](t)(out.Answered(ctx, ""))
			bd := <-accepted
			am.Tone(1200)
			bm.Tone(600)
			must(t, am.WaitTone(ctx, 600))
			must(t, bm.WaitTone(ctx, 1200))
			must(t, am.SendDigits(ctx, "19*#"))
			must(t, bm.WaitDigits(ctx, "19*#"))
			if am.Stats().Lost != 0 || bm.Stats().Lost != 0 {
				t.Errorf("lost %d and %d packets", am.Stats().Lost, bm.Stats().Lost)
			}

			held := make(chan error, 1)
			go func() {
				again, err := bd.Expect(ctx, sip.INVITE)
				if err == nil {
					var sdp string
					if sdp, err = bm.Answer(again.SDP()); err == nil {
						_, err = again.Accept(ctx, Reply{SDP: sdp})
					}
				}
				held <- err
			}()
			res := got[*sip.Response](t)(ad.Reinvite(ctx, am.Offer("inactive")))
			must(t, <-held)
			if res.StatusCode != 200 || !strings.Contains(sdpOf(res), "a=inactive") {
				t.Errorf("hold answered %d\n%s", res.StatusCode, sdpOf(res))
			}
			must(t, am.WaitQuiet(ctx, 100_000_000))

			gone := make(chan error, 1)
			go func() { gone <- bd.Bye(ctx) }()
			bye := got[*Incoming](t)(ad.Expect(ctx, sip.BYE))
			must(t, bye.Respond(Reply{Status: 200}))
			must(t, <-gone)
		})
	}
}

func TestAgentForks(t *testing.T) {
	ctx := within(t)
	alice, bob := agent(t, AgentConfig{User: "alice"}), agent(t, AgentConfig{User: "bob"})
	am, bm := media(t), media(t)
	out := got[*Outgoing](t)(alice.Invite(Call{To: bob.URI(""), SDP: am.Offer("sendrecv")}))
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	answer := got[string](t)(bm.Answer(in.SDP()))
	for _, r := range []Reply{{Status: 180, Tag: "one"}, {Status: 183, Tag: "two", SDP: answer}, {Status: 200, Tag: "one", SDP: answer}, {Status: 200, Tag: "two", SDP: answer}} {
		must(t, in.Respond(r))
	}
	var tags []string
	for range 2 {
		res := got[*sip.Response](t)(out.Await(ctx, 200))
		d := got[*Dialog](t)(out.Ack(res, ""))
		tags = append(tags, d.RemoteTag())
	}
	if strings.Join(tags, " ") != "one two" {
		t.Errorf("dialogs with %v\n%s", tags, alice.Ladder())
	}
}

func TestAgentCancels(t *testing.T) {
	ctx := within(t)
	alice, bob := agent(t, AgentConfig{}), agent(t, AgentConfig{})
	out := got[*Outgoing](t)(alice.Invite(Call{To: bob.URI("")}))
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	out.Hangup(sip.NewHeader("Reason", "SIP;cause=200")) // before any response: waits for the 180
	must(t, in.Respond(Reply{Status: 180}))
	cancel := got[*Incoming](t)(bob.Expect(ctx, sip.CANCEL))
	if cancel.Cancels() != in.Server || cancel.Request().GetHeader("Reason") == nil {
		t.Error("the CANCEL names another INVITE, or no Reason")
	}
	must(t, cancel.Respond(Reply{Status: 200}))
	must(t, in.Respond(Reply{Status: 487}))
	got[*sip.Response](t)(out.Await(ctx, 487))
}

// The answer crosses the wish to hang up: it is acknowledged and ended.
func TestAgentHangsUpALateAnswer(t *testing.T) {
	ctx := within(t)
	alice, bob := agent(t, AgentConfig{}), agent(t, AgentConfig{})
	am, bm := media(t), media(t)
	out := got[*Outgoing](t)(alice.Invite(Call{To: bob.URI(""), SDP: am.Offer("sendrecv")}))
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	out.Hangup()
	d := got[*Dialog](t)(in.Accept(ctx, Reply{SDP: got[string](t)(bm.Answer(in.SDP()))}))
	bye := got[*Incoming](t)(d.Expect(ctx, sip.BYE))
	must(t, bye.Respond(Reply{Status: 200}))
}

// A lost ACK: the 2xx comes again, and is acknowledged again without the script.
func TestAgentRepeatsTheAck(t *testing.T) {
	ctx := within(t)
	alice, bob := agent(t, AgentConfig{}), agent(t, AgentConfig{})
	am, bm := media(t), media(t)
	out := got[*Outgoing](t)(alice.Invite(Call{To: bob.URI(""), SDP: am.Offer("sendrecv")}))
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	answer := Reply{Status: 200, SDP: got[string](t)(bm.Answer(in.SDP()))}
	must(t, in.Respond(answer))
	got[*Dialog](t)(out.Answered(ctx, ""))
	d := got[*Dialog](t)(in.Accept(ctx, answer))
	if d.RemoteTag() == "" {
		t.Error("no dialog")
	}
}

func TestAgentRefusesRubbish(t *testing.T) {
	ctx := within(t)
	alice, bob := agent(t, AgentConfig{}), agent(t, AgentConfig{Handler: func(in *Incoming) bool { return in.Respond(Reply{Status: 200}) == nil }})
	flow, err := alice.flow("udp", bob.Addr())
	must(t, err)
	must(t, flow.Send([]byte("\x00\x01\x02 rubbish")))
	must(t, flow.Send([]byte("\r\n\r\n")))
	res := got[*sip.Response](t)(alice.Do(ctx, sip.OPTIONS, Call{To: bob.URI("tcp"), Transport: "tcp"}))
	if res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	if s := bob.TransactionStats(); s != (transaction.Stats{Servers: s.Servers}) {
		t.Errorf("stats %+v", s)
	}
}
