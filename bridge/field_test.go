package bridge

import (
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// What trunks and PBXs of the field do beside, or within, the letter of the RFCs.

// One fork of a carrier's says several things before it answers: a 183 without a description, an announcement's, the phone's own at
// another place, and in the 200 another codec. The browser hears each, has one answer, and is told the codec by a re-INVITE.
func TestForkThatChangesItsMind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, in := w.ringing(wsstest.InviteOptions{})
	w.check(in.Respond(siptest.Reply{Status: 183, Headers: []sip.Header{sip.NewHeader("P-Early-Media", "gated")}}))
	announcement, phone := w.rtp(), w.rtp()
	for i, m := range []*siptest.Media{announcement, phone} {
		tone := 600 + 400*float64(i)
		w.check(m.Connect(in.SDP()))
		m.Tone(tone)
		w.check(in.Respond(siptest.Reply{Status: 183, SDP: sessionOf(m, 0, "PCMU/8000")}))
		w.check(call.Wait(w.ctx(), wsstest.Early))
		w.check(call.Media().WaitTone(w.ctx(), tone))
		m.Stop()
	}
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: sessionOf(phone, 8, "PCMA/8000")})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	_, err = call.WaitReceived(w.ctx(), wsstest.Request(sip.ACK))
	w.check(err)
	w.check(phone.Connect(regexp.MustCompile(`RTP/AVP [ \d]+`).ReplaceAllString(in.SDP(), "RTP/AVP 8")))
	w.hears(call, phone, 1400)
	var said []string
	for _, res := range call.Responses() {
		if len(res.Body()) > 0 {
			said = append(said, string(res.Body()))
		}
	}
	if len(said) != 2 || said[0] != said[1] || len(call.ToTags()) != 1 {
		t.Errorf("To-tags %q, said:\n%s", call.ToTags(), strings.Join(said, "\n"))
	}
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// Third-party call control begins on hold: no direction, or no address, in the caller's first offer. Media runs once it is offered.
func TestFirstOfferIsOnHold(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(string) string{
		"inactive": func(sdp string) string { return strings.Replace(sdp, "a=sendrecv", "a=inactive", 1) },
		"no address": func(sdp string) string {
			return strings.Replace(sdp, "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			b := w.registered("alice", wsstest.Options{})
			m := w.rtp()
			out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: hold(m.Offer("sendrecv"))})
			w.check(err)
			call, err := b.NextCall(w.ctx())
			w.check(err)
			w.check(call.Answer(w.ctx()))
			d, err := out.Answered(w.ctx(), "")
			w.check(err)
			res, err := d.Reinvite(w.ctx(), m.Offer("sendrecv"))
			w.check(err)
			if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=sendrecv") {
				t.Fatalf("%d\n%s", res.StatusCode, res.Body())
			}
			w.check(m.Connect(string(res.Body())))
			w.hears(call, m, 1000)
			w.check(d.Bye(w.ctx()))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
		})
	}
}

// The INVITE of a carrier's telephone exchange: SIP-I in a multipart, Require: 100rel and timer, a Session-Expires without a
// refresher, a Contact of a conference with parameters and no user, no display name, a user that is a number with parameters.
func TestInviteOfACarrier(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	m := w.rtp()
	from := &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: "+4930123;cpc=ordinary", Host: "carrier.example", UriParams: sip.HeaderParams{{K: "user", V: "phone"}}}}
	at := w.agents[0].Addr()
	body := "--xx\r\nContent-Type: application/sdp\r\n\r\n" + m.Offer("sendrecv") + "\r\n--xx\r\nContent-Type: application/ISUP;version=itu-t92+;base=itu-t92+\r\n" +
		"Content-Disposition: signal;handling=optional\r\n\r\n\x01\x00\x20\x01\x0a\r\n--xx--\r\n"
	out, err := w.agents[0].Start(sip.INVITE, siptest.Call{To: w.toBrowser("alice"), From: from, SDP: body, ContentType: "multipart/mixed;boundary=xx", Headers: []sip.Header{
		sip.NewHeader("Require", "100rel, timer"), sip.NewHeader("Supported", "100rel,timer,histinfo,precondition"),
		sip.NewHeader("Session-Expires", "1800"),
		sip.NewHeader("Contact", "<sip:127.0.0.1:"+decimal(int(at.Port()))+";transport=udp>;isfocus;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\""),
		sip.NewHeader("P-Charging-Vector", "icid-value=1;orig-ioi=carrier.example"),
	}})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	w.check(call.Ring())
	res, err := out.Await(w.ctx(), 180)
	w.check(err)
	_, err = out.Prack(w.ctx(), res, "")
	w.check(err)
	w.check(call.Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.check(m.Connect(d.Remote))
	w.hears(call, m, 1000)
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}
