package bridge

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestDigitOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, body string
		key        byte // 0: an error
		duration   time.Duration
	}{
		{"application/dtmf-relay", "Signal=5\r\nDuration=100\r\n", '5', 100 * time.Millisecond}, // JsSIP
		{"application/dtmf-relay", "Signal= 5\r\nDuration= 160", '5', 160 * time.Millisecond},   // phones
		{"application/dtmf-relay", "signal=d\nduration=9999999", 'D', defaultDigit},
		{"application/dtmf-relay", "Signal=11", '#', defaultDigit},
		{"application/dtmf-relay", "Signal=1\r\nDuration=1", '1', shortDigit},
		{"application/dtmf-relay", "Signal=1\r\nDuration=60000", '1', longDigit},
		{"application/dtmf", "*", '*', defaultDigit},
		{"application/dtmf", "Signal=3", '3', defaultDigit},
		{"application/dtmf-relay", "", 0, 0},
		{"application/dtmf-relay", "Signal=55", 0, 0},
		{"application/dtmf", "!", 0, 0},
	}
	for _, test := range tests {
		d, err := digitOf(test.kind, []byte(test.body))
		if (err != nil) != (test.key == 0) || d.key != test.key || (test.key != 0 && d.duration != test.duration) {
			t.Errorf("%q: %+v, %v", test.body, d, err)
		}
	}
}

func FuzzDigitOf(f *testing.F) {
	f.Add("application/dtmf-relay", []byte("Signal=5\r\nDuration=100\r\n"))
	f.Add("application/dtmf", []byte("#"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		d, err := digitOf(kind, body)
		if err == nil && (!strings.ContainsRune("0123456789*#ABCD", rune(d.key)) || d.duration < shortDigit || d.duration > longDigit) {
			t.Errorf("%q: %+v", body, d)
		}
	})
}

// A browser takes exactly application/sdp: it is taken out of a multipart, and parameters are struck.
func TestSessionBody(t *testing.T) {
	t.Parallel()
	multipart := "--b1\r\nContent-Type: application/isup\r\n\r\nxyz\r\n--b1\r\nContent-Type: application/sdp; charset=utf-8\r\n\r\nv=0\r\n\r\n--b1--\r\n"
	within := func(inner string, depth int) string {
		kind := "application/sdp"
		for i := range depth {
			b := strconv.Itoa(i)
			inner = "--" + b + "\r\nContent-Type: " + kind + "\r\n\r\n" + inner + "\r\n--" + b + "--"
			kind = "multipart/mixed;boundary=" + b
		}
		return inner
	}
	tests := []struct {
		kind, body, want string
		bad              bool
	}{
		{"multipart/mixed;boundary=1", within("v=0", 2), "v=0", false},
		{"multipart/mixed;boundary=2", within("v=0", 3), "v=0", false},
		{"multipart/mixed;boundary=3", within("v=0", 4), "", true},
		{"multipart/mixed;boundary=199", within("v=0", 200), "", true},
		{"multipart/mixed;boundary=b", strings.Repeat("--b\r\n\r\n\r\n", 32) + "--b--", "", false},
		{"multipart/mixed;boundary=b", strings.Repeat("--b\r\n\r\n\r\n", 33) + "--b--", "", true},
		{"multipart/mixed;boundary=b", strings.Repeat("--b\r\n\r\n\r\n", 5000) + "--b--", "", true},
		{"multipart/mixed;boundary=b", "--b\r\n" + strings.Repeat("X: y\r\n", 8000) + "\r\n\r\n--b--", "", false},
		{"multipart/mixed;boundary=b", "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n", 2000), "", true},
		{"application/sdp", "v=0\r\n", "v=0\r\n", false},
		{"application/SDP; charset=utf-8", "v=0\r\n", "v=0\r\n", false},
		{"multipart/mixed;boundary=b1", multipart, "v=0\r\n", false},
		{`multipart/mixed; boundary="b1"`, multipart, "v=0\r\n", false},
		{"multipart/mixed;boundary=b1", "--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n--b1--", "", false},
		{"multipart/mixed;boundary=other", multipart, "", true},
		{"multipart/mixed", multipart, "", true},
		{"text/plain", "v=0\r\n", "", true},
		{"", "v=0\r\n", "", true},
		{"text/plain", "", "", false},
	}
	for _, test := range tests {
		req := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", Host: "example.com"})
		if test.kind != "" {
			req.AppendHeader(sip.NewHeader("Content-Type", test.kind))
		}
		req.SetBody([]byte(test.body))
		got, err := sessionBody(req)
		if string(got) != test.want || (err != nil) != test.bad {
			t.Errorf("%s: %q, %v", test.kind, got, err)
		}
	}
}

func FuzzSessionPart(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\n"), "b")
	f.Add([]byte("--b\r\n\r\n--b--"), "")
	f.Add([]byte("--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--c--\r\n--b--"), "b")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		parts := maxParts
		if part, err := sessionPart(body, boundary, maxNested, &parts); err == nil && len(part) > len(body) {
			t.Errorf("%d bytes out of %d", len(part), len(body))
		}
	})
}

func FuzzSessionExpires(f *testing.F) {
	f.Add("1800;refresher=uac")
	f.Add(";;=;")
	f.Fuzz(func(t *testing.T, value string) {
		res := sip.NewResponse(200, "OK")
		res.AppendHeader(sip.NewHeader("Session-Expires", value))
		if interval, _ := sessionExpires(res); interval < 0 {
			t.Errorf("%q: %v", value, interval)
		}
	})
}

func TestSessionIDOf(t *testing.T) {
	t.Parallel()
	const id = "a358d2b291b8d3a7a358d2b291b8d3a7"
	for value, want := range map[string]string{
		id + ";remote=" + nilSessionID: id,
		strings.ToUpper(id):            id,
		nilSessionID:                   "",
		"short":                        "",
		strings.Repeat("g", 32):        "",
		"":                             "",
	} {
		if got := sessionIDOf(value); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
}

// A browser's library takes nothing but sip: in To and From.
func TestForBrowser(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sip:alice@example.com":  "sip:alice@example.com",
		"sips:alice@example.com": "sip:alice@example.com",
		"tel:+4930123":           "sip:alice@example.com",
	} {
		var uri sip.Uri
		if err := sip.ParseUri(in, &uri); err != nil {
			t.Fatal(err)
		}
		if got := forBrowser(uri, "sip:alice@example.com"); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	var tel sip.Uri
	if err := sip.ParseUri("tel:+4930123", &tel); err != nil {
		t.Fatal(err)
	}
	if got := forBrowser(tel, ""); got != "sip:+4930123@anonymous.invalid" {
		t.Errorf("a caller's tel: %s", got)
	}
}

// A Call-ID of ours can never start with JsSIP's own five characters (of 0-9a-v), and identifiers are letters and digits.
func TestIdentifiers(t *testing.T) {
	t.Parallel()
	m := minter{node: "n1"}
	for range 100 {
		if id := m.callID(); id[0] < 'A' || id[0] > 'Z' {
			t.Fatalf("Call-ID %q", id)
		}
		for _, id := range []string{m.callID(), m.tag(), m.token(), m.call()} {
			if strings.Trim(id, alphabet+"T") != "" || !strings.Contains(id, "n1") {
				t.Fatalf("%q", id)
			}
		}
	}
}
