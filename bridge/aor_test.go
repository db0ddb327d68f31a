package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

func TestAddressOfRecord(t *testing.T) {
	t.Parallel()
	tests := []struct{ uri, want string }{
		{"sip:alice@example.com", "sip:alice@example.com"},
		{"sip:al%69ce@example.com", "sip:alice@example.com"},
		{"sip:%61%6C%69%63%65@EXAMPLE.com", "sip:alice@example.com"},
		{"sips:alice@example.com:5061;transport=tls", "sip:alice@example.com"},
		{"sip:alice@example.com:5060", "sip:alice@example.com"},
		{"sip:alice:secret@example.com", "sip:alice@example.com"},
		{"sip:Alice@example.com", "sip:Alice@example.com"},
		{"sip:+49123@example.com;user=phone", "sip:+49123@example.com"},
		{"sip:%2B49123@example.com", "sip:%2B49123@example.com"}, // reserved: not the same (RFC 3261 §19.1.4)
		{"sip:%2b49123@example.com", "sip:%2B49123@example.com"},
		{"sip:a%40b@example.com", "sip:a%40b@example.com"},
		{"sip:m%c3%bcller@example.com", "sip:m%C3%BCller@example.com"},
		{"sip:100%23@example.com", "sip:100%23@example.com"},
		{"sip:a%zz@example.com", "sip:a%25zz@example.com"}, // no escape at all
		{"sip:a%4@example.com", "sip:a%254@example.com"},
		{"sip:a%25zz@example.com", "sip:a%25zz@example.com"},
		{"sip:example.com", "sip:@example.com"},
		{"sip:alice@[2001:DB8::1]:5060", "sip:alice@[2001:db8::1]"},
		{"tel:+49-123", "tel:+49-123"},
	}
	for _, test := range tests {
		var uri sip.Uri
		if err := sip.ParseUri(test.uri, &uri); err != nil {
			t.Errorf("%s: %v", test.uri, err)
			continue
		}
		got := aorOf(uri)
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.uri, got, test.want)
		}
		var again sip.Uri
		if err := sip.ParseUri(got, &again); err != nil || aorOf(again) != got {
			t.Errorf("%s: its own address of record is %s (%v)", got, aorOf(again), err)
		}
	}
}

// Who registered in one spelling is called in another.
func TestSpellingsReachTheSameBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("al%69ce", wsstest.Options{})
	at := w.sip.Addrs()[0]
	out, err := w.agents[0].Invite(siptest.Call{
		To: sip.Uri{Scheme: "sip", User: "alic%65", Host: "EXAMPLE.com", Port: 5060}, Target: at, SDP: w.rtp().Offer("sendrecv"),
	})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	w.check(call.Ring())
	_, err = out.Await(w.ctx(), 180)
	w.check(err)
	w.check(call.Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}
