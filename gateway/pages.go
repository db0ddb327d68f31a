package gateway

import (
	"net/http"
	"strings"
)

// pages is what browsers reach: the WebSockets, the ICE servers, and the phone.
func pages(cfg HTTPS, sip http.HandlerFunc, ice, phone http.Handler) http.Handler {
	h := cfg.headers()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sip", sip)
	mux.Handle("GET /ice.json", ice)
	mux.Handle("OPTIONS /ice.json", ice)
	mux.Handle("GET /", h.secured(phone))
	return h.strict(cfg.Clients.admitted(mux))
}

// pageHeaders are what keeps other sites out of the pages, and browsers with TLS.
type pageHeaders struct {
	policy    string
	framed    bool   // other sites may show the pages in a frame
	transport string // Strict-Transport-Security; "": none
}

// strictFor is how long browsers are to come with TLS: a year.
const strictFor = "max-age=31536000"

// headers are those of the configuration. A self-signed certificate comes without Strict-Transport-Security: it would keep people out
// who have looked at the certificate and want in.
func (h HTTPS) headers() pageHeaders {
	ancestors := "'none'"
	if len(h.FrameAncestors) > 0 {
		ancestors = strings.Join(append([]string{"'self'"}, h.FrameAncestors...), " ")
	}
	p := pageHeaders{framed: len(h.FrameAncestors) > 0, policy: policy + "frame-ancestors " + ancestors}
	if h.Certificate != "" || len(h.Certificates) > 0 {
		p.transport = strictFor
	}
	return p
}

// policy is the pages' Content-Security-Policy: nothing from elsewhere, no inline code. ws: and wss: are written out for
// browsers whose 'self' does not cover them.
const policy = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob: data:; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; "

// secured adds the headers that keep other sites out of the pages.
func (h pageHeaders) secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", h.policy)
		header.Set("Permissions-Policy", "microphone=(self), camera=(self), geolocation=()")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !h.framed {
			header.Set("X-Frame-Options", "DENY")
		}
		next.ServeHTTP(w, r)
	})
}

// strict adds what every answer has.
func (h pageHeaders) strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		if h.transport != "" && r.TLS != nil { // RFC 6797 §7.2: over TLS only
			header.Set("Strict-Transport-Security", h.transport)
		}
		next.ServeHTTP(w, r)
	})
}
