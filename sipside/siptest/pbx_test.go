package siptest

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"
)

// quick are the times of a PBX under test.
func quick(cfg PBXConfig) PBXConfig {
	cfg.RingTime, cfg.EarlyTime, cfg.HangupTime = 300*time.Millisecond, 10*time.Second, 500*time.Millisecond
	return cfg
}

// number is a PBX's extension.
func number(p *PBX, user string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: user, Host: p.Addr().Addr().String(), Port: int(p.Addr().Port())}
}

// dial calls an extension and waits for its answer.
func dial(t *testing.T, ctx context.Context, a *Agent, m *Media, p *PBX, user, transport string) *Dialog {
	t.Helper()
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, user), Transport: transport, SDP: m.Offer("sendrecv")}))
	d := got[*Dialog](t)(out.Answered(ctx, ""))
	must(t, m.Connect(d.Remote))
	return d
}

func idle(t *testing.T, ctx context.Context, p *PBX) {
	t.Helper()
	for p.Stats().Calls > 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("%d calls are left", p.Stats().Calls)
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.parties)+len(p.ringing) > 0 {
		t.Errorf("left: %d dialogs, %d INVITEs", len(p.parties), len(p.ringing))
	}
}

func TestEcho(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) { testEcho(t, transport) })
	}
}

func testEcho(t *testing.T, transport string) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	a, m := agent(t, AgentConfig{}), media(t)
	d := dial(t, ctx, a, m, p, "600", transport)
	m.Tone(700)
	must(t, m.WaitTone(ctx, 700))
	must(t, m.SendDigits(ctx, "42"))
	must(t, m.WaitDigits(ctx, "42"))

	// Hold silences the echo, resume brings it back; a refresh without SDP changes nothing.
	res := got[*sip.Response](t)(d.Reinvite(ctx, m.Offer("inactive")))
	if !strings.Contains(sdpOf(res), "a=inactive") {
		t.Errorf("hold answered with\n%s", sdpOf(res))
	}
	must(t, m.WaitQuiet(ctx, 100*time.Millisecond))
	res = got[*sip.Response](t)(d.Reinvite(ctx, m.Offer("sendrecv")))
	must(t, m.Connect(sdpOf(res)))
	must(t, m.WaitTone(ctx, 700))
	res = got[*sip.Response](t)(d.Request(ctx, sip.UPDATE, "", ""))
	if res.StatusCode != 200 || len(res.Body()) != 0 {
		t.Errorf("UPDATE answered %d", res.StatusCode)
	}
	must(t, d.Bye(ctx))
	idle(t, ctx, p)
	res = got[*sip.Response](t)(d.Request(ctx, sip.BYE, "", ""))
	if res.StatusCode != 481 {
		t.Errorf("a second BYE answered %d", res.StatusCode)
	}
}

// The echo takes whatever codec comes first; its packets come back as they went.
func TestEchoOfAnyCodec(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	a, m := agent(t, AgentConfig{}), media(t)
	offer := strings.Replace(m.Offer("sendrecv"), "RTP/AVP 0 8 101", "RTP/AVP 96 0 97", 1) +
		"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:97 telephone-event/48000\r\nm=video 40000 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n"
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, "600"), SDP: offer}))
	d := got[*Dialog](t)(out.Answered(ctx, ""))
	for _, line := range []string{" RTP/AVP 96 97\r\n", "a=rtpmap:96 opus/48000/2\r\n", "a=fmtp:96 useinbandfec=1\r\n", "m=video 0 RTP/AVP 98\r\n"} {
		if !strings.Contains(d.Remote, line) {
			t.Errorf("no %q in\n%s", line, d.Remote)
		}
	}
	m.Echo() // so that it takes Opus, too
	must(t, m.Connect(d.Remote))
	m.mu.Lock()
	m.write(rtp.Header{PayloadType: 96, Timestamp: 5000}, []byte{1, 2, 3})
	m.mu.Unlock()
	must(t, m.WaitAudio(ctx, 3)) // it goes round and round
	must(t, d.Bye(ctx))
}

func TestTone(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	a, m := agent(t, AgentConfig{}), media(t)
	d := dial(t, ctx, a, m, p, "601", "udp")
	must(t, m.WaitTone(ctx, 1004))
	must(t, d.Bye(ctx))
	must(t, m.WaitQuiet(ctx, 100*time.Millisecond))
}

// A call without an offer: the PBX offers in its 200, the ACK answers.
func TestDelayedOffer(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	a, m := agent(t, AgentConfig{}), media(t)
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, "601")}))
	res := got[*sip.Response](t)(out.Await(ctx, 200))
	d := got[*Dialog](t)(out.Ack(res, got[string](t)(m.Answer(sdpOf(res)))))
	must(t, m.WaitTone(ctx, 1004))
	must(t, d.Bye(ctx))
}

func TestRingThenAnswer(t *testing.T) {
	ctx, p := within(t), pbx(t, quick(PBXConfig{AnyUser: true}))
	a, m := agent(t, AgentConfig{}), media(t)
	begun := time.Now()
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, "603"), SDP: m.Offer("sendrecv")}))
	if res := got[*sip.Response](t)(out.Await(ctx, 180)); len(res.Body()) > 0 || !res.To().Params.Has("tag") {
		t.Errorf("rings with\n%s", res)
	}
	d := got[*Dialog](t)(out.Answered(ctx, ""))
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
	must(t, d.Bye(ctx))
}

func TestEarlyMedia(t *testing.T) {
	ctx, p := within(t), pbx(t, quick(PBXConfig{AnyUser: true}))
	a, m := agent(t, AgentConfig{}), media(t)
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, "604"), SDP: m.Offer("sendrecv")}))
	res := got[*sip.Response](t)(out.Await(ctx, 183))
	must(t, m.Connect(sdpOf(res)))
	must(t, m.WaitTone(ctx, 425))
	d := got[*Dialog](t)(out.Answered(ctx, ""))
	if d.RemoteTag() != res.To().Params.GetOr("tag", "") || d.Remote == "" {
		t.Error("the 200 has another tag than the 183, or no SDP")
	}
	m.Tone(900)
	must(t, m.WaitTone(ctx, 900))
	must(t, d.Bye(ctx))
}

func TestDigitsAreReadBack(t *testing.T) {
	for _, how := range []string{"events", "dtmf-relay", "dtmf"} {
		t.Run(how, func(t *testing.T) {
			ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
			a, m := agent(t, AgentConfig{}), media(t)
			d := dial(t, ctx, a, m, p, "605", "udp")
			if how == "events" {
				must(t, m.SendDigits(ctx, "80#1"))
			}
			for _, key := range "80#1" {
				body := string(key)
				if how == "dtmf-relay" {
					body = "Signal=" + body + "\r\nDuration=100\r\n"
				}
				if how != "events" {
					got[*sip.Response](t)(d.Request(ctx, sip.INFO, "application/"+how, body))
				}
			}
			must(t, m.WaitDigits(ctx, "80#1"))
			bye := got[*Incoming](t)(d.Expect(ctx, sip.BYE))
			must(t, bye.Respond(Reply{Status: 200}))
			idle(t, ctx, p)
		})
	}
}

func TestFarEndHangsUp(t *testing.T) {
	ctx, p := within(t), pbx(t, quick(PBXConfig{AnyUser: true}))
	a, m := agent(t, AgentConfig{}), media(t)
	d := dial(t, ctx, a, m, p, "606", "udp")
	m.Tone(500)
	bye := got[*Incoming](t)(d.Expect(ctx, sip.BYE))
	must(t, bye.Respond(Reply{Status: 200}))
	idle(t, ctx, p)
}

func TestRefusals(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	a, m := agent(t, AgentConfig{}), media(t)
	for user, status := range map[string]int{"607": 486, "608": 503, "nobody": 404} {
		out := got[*Outgoing](t)(a.Invite(Call{To: number(p, user), SDP: m.Offer("sendrecv")}))
		got[*sip.Response](t)(out.Await(ctx, status))
	}
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, "601"), SDP: strings.Replace(m.Offer("sendrecv"), " 0 8 101", " 18 101", 1)}))
	got[*sip.Response](t)(out.Await(ctx, 488))
	for method, status := range map[sip.RequestMethod]int{sip.OPTIONS: 200, sip.SUBSCRIBE: 405, "PUBLISH": 405, sip.BYE: 405} {
		if res := got[*sip.Response](t)(a.Do(ctx, method, Call{To: number(p, "x")})); res.StatusCode != status || res.GetHeader("Allow") == nil {
			t.Errorf("%s answered %d", method, res.StatusCode)
		}
	}
	idle(t, ctx, p)
}

func TestNoAnswerIsCancelled(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	a, m := agent(t, AgentConfig{}), media(t)
	out := got[*Outgoing](t)(a.Invite(Call{To: number(p, "609"), SDP: m.Offer("sendrecv")}))
	got[*sip.Response](t)(out.Await(ctx, 180))
	must(t, out.Cancel())
	got[*sip.Response](t)(out.Await(ctx, 487))
	idle(t, ctx, p)
}

func TestRestartOnTheSamePort(t *testing.T) {
	ctx := within(t)
	first, err := NewPBX(PBXConfig{AnyUser: true, Listen: netip.AddrPortFrom(netip.MustParseAddr(ownHost()), 0)})
	must(t, err)
	addr := first.Addr()
	a, m := agent(t, AgentConfig{}), media(t)
	dial(t, ctx, a, m, first, "601", "tcp")
	must(t, first.Close())
	must(t, first.Close())
	second := pbx(t, PBXConfig{AnyUser: true, Listen: addr})
	if second.Addr() != addr {
		t.Fatalf("at %v, want %v", second.Addr(), addr)
	}
	for _, transport := range []string{"udp", "tcp"} {
		b := agent(t, AgentConfig{}) // a's connection may still look alive
		res := got[*sip.Response](t)(b.Do(ctx, sip.OPTIONS, Call{To: number(second, "x"), Transport: transport}))
		if res.StatusCode != 200 {
			t.Errorf("%s: answered %d", transport, res.StatusCode)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	p := pbx(t, PBXConfig{})
	if other, err := NewPBX(PBXConfig{Listen: netip.AddrPortFrom(loopback, p.Addr().Port())}); err == nil {
		other.Close()
		t.Error("two PBXs on one port")
	}
}
