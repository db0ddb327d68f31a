package gateway

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What keeps other sites out of the pages, by configuration: no inline code anywhere, frames by name only, TLS for a year where the
// certificate is a real one and TLS is there.
func TestPageHeaders(t *testing.T) {
	t.Parallel()
	phone := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	real := HTTPS{Certificate: "cert.pem", Key: "key.pem"}
	framed := HTTPS{FrameAncestors: []string{"https://crm.example.com", "https://*.example.org"}}
	for _, tc := range []struct {
		name   string
		cfg    HTTPS
		path   string
		secure bool
		want   map[string]string // "" must not be there
	}{
		{"self-signed", HTTPS{}, "/", true, map[string]string{
			"Strict-Transport-Security": "", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "microphone=(self), camera=(self), geolocation=()",
			"Content-Security-Policy": policy + "frame-ancestors 'none'",
		}},
		{"a real certificate", real, "/", true, map[string]string{"Strict-Transport-Security": "max-age=31536000"}},
		{"without TLS", real, "/", false, map[string]string{"Strict-Transport-Security": ""}},
		{"more certificates", HTTPS{Certificates: []Certificate{{}}}, "/ice.json", true, map[string]string{"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff"}},
		{"in a frame", framed, "/", true, map[string]string{
			"X-Frame-Options": "", "Content-Security-Policy": policy + "frame-ancestors 'self' https://crm.example.com https://*.example.org",
		}},
		{"a refused handshake", real, "/sip", true, map[string]string{"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff"}},
	} {
		h := pages(tc.cfg, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUpgradeRequired) }, testServers(t, nil, nil), phone)
		r := httptest.NewRequest("GET", tc.path, nil)
		if r.TLS = nil; tc.secure {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for name, want := range tc.want {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", tc.name, name, got, want)
			}
		}
		if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: inline code is allowed", tc.name)
		}
	}
}
