package transaction

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// Contacts as RFC 3261 §20.10 allows them.
func TestContactForms(t *testing.T) {
	const request = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContact: CONTACT\r\n\r\n"
	for _, row := range []struct{ contact, host, expires string }{
		{"<sip:a@b>;expires=60", "b", "60"},
		{"sip:a@b;expires=60", "b", "60"},
		{"sip:a@b ;expires=60", "b", "60"},
		{"sip:a@b\t; expires = 60", "b", "60"},
		{"\"Alice\" <sip:a@b>; expires=60", "b", "60"},
		{"\"A; <x>, \\\"B=c\" <sip:a@b>;expires=60", "b", "60"},
		{"<sip:a@b>;note=\"a;b,c=d\";expires=60", "b", "60"},
		{"<sip:a@b>;note=\"one two\" ;expires=60", "b", "60"},
		{"<sip:a;b@b>;+sip.instance=\"<urn:uuid:1>\";expires=60, <sip:c@d>", "b", "60"},
	} {
		msg, err := Parse([]byte(strings.Replace(request, "CONTACT", row.contact, 1)))
		if err != nil {
			t.Errorf("%q: %v", row.contact, err)
			continue
		}
		if again, err := Parse(Append(nil, msg)); err != nil || again.Message.(*sip.Request).GetHeaders("Contact")[0].Value() != msg.Message.(*sip.Request).GetHeaders("Contact")[0].Value() {
			t.Errorf("%q: not the same when read again: %v", row.contact, err)
		}
		c := msg.Message.(*sip.Request).GetHeaders("Contact")[0].(*sip.ContactHeader)
		if expires, _ := c.Params.Get("expires"); c.Address.Host != row.host || expires != row.expires {
			t.Errorf("%q: host %q, expires %q", row.contact, c.Address.Host, expires)
		}
	}
}
