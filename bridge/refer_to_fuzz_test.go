package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"
)

// Whatever a REFER points to, what is made of it is one line and can be read again.
func FuzzReferTo(f *testing.F) {
	f.Add("<sip:700@example.com?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&X-Case=7>")
	f.Add("sip:700@example.com")
	f.Add("<tel:+4930>")
	f.Add("<sip:a@b;method=INVITE?Replaces=%0d%0a>")
	f.Fuzz(func(t *testing.T, value string) {
		req := sip.NewRequest(sip.REFER, sip.Uri{Scheme: "sip", Host: "example.com"})
		req.AppendHeader(sip.NewHeader("Refer-To", value))
		to, r, bad := referToOf(req)
		if bad {
			if r.status < 400 || r.status > 599 {
				t.Errorf("%q refused with %d", value, r.status)
			}
			return
		}
		if !oneLine(to.value) {
			t.Errorf("%q is more than a line", to.value)
		}
		for _, h := range to.headers {
			if !oneLine(h.Value()) {
				t.Errorf("header %q", h.Value())
			}
		}
	})
}
