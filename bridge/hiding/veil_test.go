package hiding

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// veil hides private addresses and one name.
func veil() *Veil {
	return &Veil{
		Hides: func(host string) bool {
			addr, err := netip.ParseAddr(host)
			return err == nil && addr.IsPrivate() || host == "pbx-1.example.net"
		},
		Domain: "example.com",
		Number: func(user string) string { return strings.TrimPrefix(user, "+49") },
		Strip:  Vendors(),
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, was, want string }{
		{"Diversion", `"Bob" <sip:+4930@10.0.0.10:5060;user=phone;transport=tcp>;reason=busy, <sip:b@other.example>`, `"Bob" <sip:30@example.com;user=phone>;reason=busy, <sip:b@other.example>`},
		{"History-Info", "<sip:bob@pbx-1.example.net?Reason=SIP%3Bcause%3D302>;index=1,<sip:c@[fd00::1]:5060>;index=1.1", "<sip:bob@example.com?Reason=SIP%3Bcause%3D302>;index=1,<sip:c@example.com>;index=1.1"},
		{"P-Asserted-Identity", "sip:600@asterisk;x=1", "sip:600@example.com;x=1"},
		{"P-Asserted-Identity", "<tel:+4930>", "<tel:+4930>"},
		{"Remote-Party-ID", `"a, <b>" <sip:a@10.1.1.1>;party=calling`, `"a, <b>" <sip:a@example.com>;party=calling`},
		{"Reply-To", "<sips:10.0.0.1>", "<sips:example.com>"},
		{"Referred-By", "<sip:a@example.org>;cid=x%4010.0.0.1", "<sip:a@example.org>;cid=x%40example.com"},
		{"Call-Info", "<http://10.0.0.10:8080/a.png>;purpose=icon", "<http://anonymous.invalid/a.png>;purpose=icon"},
		{"Alert-Info", "<http://www.example.org>;info=alert-autoanswer", "<http://www.example.org>;info=alert-autoanswer"},
		{"Error-Info", "<sip:tone@[fd12::9]>", "<sip:tone@anonymous.invalid>"},
		{"Warning", `399 pbx-7 "at 10.0.0.10, sorry", 301 h "b"`, `399 example.com "at anonymous.invalid, sorry", 301 example.com "b"`},
		{"X-Node", "pbx-1.example.net:5060 v1.2.3.4", "anonymous.invalid v1.2.3.4"},
		{"X-Six", "fd00::1 and 2001:db8::1", "anonymous.invalid and 2001:db8::1"},
		{"X-Asterisk-HangupCause", "Normal", ""},
		{"x-fs-support", "update_display", ""},
		{"X-Id", "10.0.0.10-17_10.0.0.11.", "anonymous.invalid-17_anonymous.invalid."},
		{"Subject", "lunch at 10.30", "lunch at 10.30"},
		{"WWW-Authenticate", `Digest realm="10.0.0.10", nonce="1"`, `Digest realm="10.0.0.10", nonce="1"`},
	} {
		got := veil().Headers([]sip.Header{sip.NewHeader(c.name, c.was)})
		switch {
		case c.want == "" && len(got) != 0, c.want != "" && (len(got) != 1 || got[0].Value() != c.want):
			t.Errorf("%s: %s became %v, want %q", c.name, c.was, got, c.want)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	v := veil()
	for was, want := range map[string]string{
		`Q.850;cause=16;text="from 10.0.0.10"`:     `Q.850;cause=16;text="from anonymous.invalid"`,
		"FreeSWITCH;cause=1;text=x, SIP;cause=200": "SIP;cause=200",
	} {
		if got := v.Reasons(was); got != want {
			t.Errorf("Reasons(%s) = %s, want %s", was, got, want)
		}
	}
	body := `<dialog-info entity="sip:100@10.0.0.10"><dialog call-id="9@10.0.0.10:5060"/></dialog-info>`
	want := `<dialog-info entity="sip:100@example.com"><dialog call-id="9@example.com"/></dialog-info>`
	if got := v.Body("application/dialog-info+xml;charset=utf-8", []byte(body)); string(got) != want {
		t.Errorf("body %s", got)
	}
	if got := v.Body("text/plain", []byte(body)); string(got) != body {
		t.Errorf("what a user wrote became %s", got)
	}
	if got := v.Addressed("<sip:a@10.0.0.10:5080?Replaces=1%4010.0.0.10%3Bto-tag%3D1>"); got != "<sip:a@example.com?Replaces=1%40example.com%3Bto-tag%3D1>" {
		t.Errorf("Refer-To %s", got)
	}
	if got := Renumber("<sip:+4930@10.0.0.10>, <sip:+4940@pbx>", v.Number); got != "<sip:30@10.0.0.10>, <sip:40@pbx>" {
		t.Errorf("Renumber: %s", got)
	}
}

// The nil Veil, of a peer inside, changes nothing.
func TestInside(t *testing.T) {
	t.Parallel()
	var v *Veil
	h := []sip.Header{sip.NewHeader("X-Asterisk-A", "10.0.0.10")}
	if got := v.Headers(h); !slices.Equal(got, h) || v.URI("sip:a@10.0.0.1") != "sip:a@10.0.0.1" || v.Text("10.0.0.1") != "10.0.0.1" ||
		v.Reasons("X;a=1") != "X;a=1" || v.Addressed("<sip:10.0.0.1>") != "<sip:10.0.0.1>" || v.Under("x") != nil {
		t.Errorf("changed: %v", got)
	}
}

// FuzzVeil: whatever is said, a hidden address is not in it behind the veil, no line begins, and a second veil finds nothing.
func FuzzVeil(f *testing.F) {
	for _, seed := range []string{
		`"Bob" <sip:+49@10.0.0.10:5060;user=phone>;reason=busy`, "399 h \"a 10.0.0.10\"", "sip:a@[fd00::1]", "x%4010.0.0.10:1", "10.0.0.10.", "a10.0.0.10",
		"10.0.0.10:5060:10.0.0.10", "<<sip:10.0.0.10", `"\"<sip:a@10.0.0.10>`, "fd00::1:10.0.0.10", "sip:10.0.0.10@10.0.0.10?a=10.0.0.10",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := veil()
		v.Number = nil
		for _, name := range []string{"Diversion", "Warning", "X-A"} {
			got := v.Headers([]sip.Header{sip.NewHeader(name, text)})[0].Value()
			if strings.Count(got, "\n") > strings.Count(text, "\n") || strings.Count(got, "\r") > strings.Count(text, "\r") {
				t.Fatalf("%q became %q, of more lines", text, got)
			}
			if again := v.Headers([]sip.Header{sip.NewHeader(name, got)})[0].Value(); name == "X-A" && again != got {
				t.Fatalf("%q, %q then %q", text, got, again)
			}
			for _, word := range strings.FieldsFunc(got, func(r rune) bool { return r > 127 || r == '-' || r == '_' || !hostByte(byte(r)) }) {
				if strings.Trim(word, ".") == "10.0.0.10" && !strings.Contains(text, "%") {
					t.Fatalf("%q still names it: %q", text, got)
				}
			}
		}
	})
}
