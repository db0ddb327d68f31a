package wss

import (
	"bytes"
	"strings"
	"testing"
)

func TestSentBy(t *testing.T) {
	for _, tc := range []struct {
		text, host string
		port       int
		bad        bool
	}{
		{"", "", 0, false},
		{"gw.example.com", "gw.example.com", 0, false},
		{"gw.example.com:8443", "gw.example.com", 8443, false},
		{"10.0.0.1:443", "10.0.0.1", 443, false},
		{"[2001:db8::1]:443", "2001:db8::1", 443, false},
		{"[2001:db8::1]", "2001:db8::1", 0, false},
		{"2001:db8::1", "2001:db8::1", 0, false},
		{"gw:70000", "", 0, true},
		{":443", "", 0, true},
	} {
		host, port, err := sentBy(tc.text)
		if host != tc.host || port != tc.port || (err != nil) != tc.bad {
			t.Errorf("%q: %q %d %v", tc.text, host, port, err)
		}
	}
}

func TestClip(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 123), strings.Repeat("é", 100)} {
		got := clip(text)
		if len(got) > 123 || !strings.HasPrefix(text, got) || len(text) <= 123 && got != text || len(got) < min(len(text), 120) {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, text := range []string{"https://phone.example.com", "null", "http://[::1]:8080", "https://a@b", "//x", "https://x:99999", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := canonicalOrigin(text)
		if !ok {
			return
		}
		if again, ok := canonicalOrigin(got); !ok || again != got {
			t.Errorf("%q is %q, and that is %q", text, got, again)
		}
	})
}

func FuzzCallID(f *testing.F) {
	for _, text := range []string{"OPTIONS sip:x SIP/2.0\r\nCall-ID: a@b\r\n\r\n", "i:x", "Call-ID", "\r\n\r\nCall-ID: body", "i :\t x \r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if id := callID(data); !bytes.Contains(data, []byte(id)) || strings.TrimSpace(id) != id {
			t.Errorf("%q from %q", id, data)
		}
	})
}
