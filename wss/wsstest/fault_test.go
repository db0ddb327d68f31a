package wsstest

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// TestResponseFaults holds the double to the rows of what JsSIP and SIP.js drop or stumble over.
func TestResponseFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(text string) string
		fault  string
	}{
		"two Vias":      {func(s string) string { return strings.Replace(s, "Via:", "Via: SIP/2.0/UDP proxy\r\nVia:", 1) }, "2 Via headers"},
		"another Via":   {func(s string) string { return strings.Replace(s, ".invalid;", ".invalid:5060;", 1) }, "its Via names"},
		"length beyond": {func(s string) string { return strings.Replace(s, "Content-Length: 0", "Content-Length: 9", 1) }, "cannot be parsed"},
		"no CSeq":       {func(s string) string { return strings.Replace(s, "CSeq:", "X-CSeq:", 1) }, "mandatory header"},
		"stranger":      {func(s string) string { return strings.Replace(s, "branch=z9hG4bK", "branch=z9hG4bKx", 1) }, "matches no transaction"},
		"rubbish":       {func(string) string { return "hello" }, "cannot be parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			b := g.dial(t, Options{})
			done := make(chan error, 1)
			go func() {
				_, err := b.Do(soon(t), b.NewRequest(sip.OPTIONS, "x"))
				done <- err
			}()
			req := g.heard(t, Request(sip.OPTIONS)).(*sip.Request)
			good := respond(req, 200, "OK", "tag").String()
			g.out <- tc.change(good)
			waitFault(t, b, tc.fault)
			g.out <- good
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInviteFaults is what must not happen to a browser's INVITE.
func TestInviteFaults(t *testing.T) {
	type response struct {
		status int
		tag    string
		sdp    string
		kind   string
	}
	sdp := string(FixedAudio())
	other := strings.Replace(sdp, "ice-ufrag:Yk3R", "ice-ufrag:zzzz", 1)
	const app = "application/sdp"
	for name, tc := range map[string]struct {
		responses []response
		fault     string // "": none
	}{
		"all well":               {[]response{{180, "a", "", ""}, {183, "a", sdp, app}, {200, "a", sdp, app}, {200, "a", sdp, app}}, ""},
		"200 without SDP":        {[]response{{200, "a", "", ""}}, "Missing SDP"},
		"another ufrag":          {[]response{{183, "a", sdp, app}, {200, "a", other, app}}, "differs from the answer before"},
		"another To tag":         {[]response{{180, "a", "", ""}, {200, "b", sdp, app}}, "another To tag"},
		"18x without tag":        {[]response{{180, "", "", ""}, {200, "a", sdp, app}}, "without To tag"},
		"parameters of the type": {[]response{{200, "a", sdp, app + ";charset=utf-8"}}, "comes as"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			b := g.dial(t, Options{})
			c, err := b.Invite(soon(t), "600", InviteOptions{})
			if err != nil {
				t.Fatal(err)
			}
			req := g.heard(t, Request(sip.INVITE)).(*sip.Request)
			for _, r := range tc.responses {
				res := respond(req, r.status, "Text", r.tag)
				res.AppendHeader(sip.NewHeader("Contact", "<sip:callee@127.0.0.1;transport=ws>"))
				if r.kind != "" {
					res.AppendHeader(sip.NewHeader("Content-Type", r.kind))
					res.SetBody([]byte(r.sdp))
				}
				g.out <- res.String()
			}
			if tc.fault != "" {
				waitFault(t, b, tc.fault)
				return
			}
			for range 2 { // the repetition of the 200 is acknowledged too
				g.heard(t, Request(sip.ACK))
			}
			if faults := b.Faults(); len(faults) > 0 || c.State() != Confirmed {
				t.Errorf("%s, faults %q", c.State(), faults)
			}
		})
	}
}

// TestRequestFaults is what the libraries refuse.
func TestRequestFaults(t *testing.T) {
	const invite = "INVITE sip:alice@x.invalid SIP/2.0\r\nVia: SIP/2.0/WSS gw;branch=z9hG4bKgw\r\nMax-Forwards: 70\r\n" +
		"From: <sip:bob@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: in\r\nCSeq: 1 INVITE\r\n" +
		"Contact: <sip:bob@gw;transport=ws>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
	for name, tc := range map[string]struct {
		old, new string
		status   int
	}{
		"good":              {"alice", "alice", 100},
		"sips":              {"INVITE sip:alice", "INVITE sips:alice", 416},
		"To tel":            {"To: <sip:alice@example.com>", "To: <tel:+4930123>", 416},
		"another user":      {"INVITE sip:alice", "INVITE sip:carol", 404},
		"no Contact":        {"Contact:", "X-Contact:", 400},
		"multipart":         {"application/sdp", "multipart/mixed;boundary=x", 415},
		"no Max-Forwards":   {"Max-Forwards:", "X-Max-Forwards:", 400},
		"BYE of a stranger": {"INVITE", "BYE", 481},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			b := g.dial(t, Options{})
			b.SetUser("alice", "")
			g.out <- strings.ReplaceAll(invite, tc.old, tc.new)
			g.heard(t, func(msg sip.Message) bool {
				res, ok := msg.(*sip.Response)
				return ok && res.StatusCode == tc.status
			})
			if faults := b.Faults(); (len(faults) == 1) != (tc.status != 100) {
				t.Errorf("faults %q", faults)
			}
		})
	}
}

// TestRepeatedAnswer of a re-INVITE is acknowledged again, and is no fault.
func TestRepeatedAnswer(t *testing.T) {
	g := newGateway(t)
	b := g.dial(t, Options{})
	c, err := b.Invite(soon(t), "600", InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer := func() *sip.Response {
		res := respond(g.heard(t, Request(sip.INVITE)).(*sip.Request), 200, "OK", "tag")
		res.AppendHeader(sip.NewHeader("Contact", "<sip:callee@127.0.0.1;transport=ws>"))
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody([]byte(FixedAudio()))
		g.out <- res.String()
		g.heard(t, Request(sip.ACK))
		return res
	}
	answer()
	done := make(chan error, 1)
	go func() {
		if err := c.Wait(soon(t), Confirmed); err != nil {
			done <- err
			return
		}
		done <- c.Hold(soon(t))
	}()
	res := answer()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	g.out <- res.String()
	if ack := g.heard(t, Request(sip.ACK)); ack.CSeq().SeqNo != res.CSeq().SeqNo || len(b.Faults()) > 0 {
		t.Errorf("%s, faults %q", ack, b.Faults())
	}
}
