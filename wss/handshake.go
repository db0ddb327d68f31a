package wss

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gorilla/websocket"
)

// subprotocol is the WebSocket subprotocol of RFC 7118 §4.1.
const subprotocol = "sip"

// refusal is why a handshake is not granted.
type refusal struct {
	status int
	reason Refusal
	text   string
}

// admit looks at a handshake, cheapest refusal first.
func (s *Server) admit(r *http.Request) *refusal {
	switch {
	case s.flows.closing():
		return &refusal{http.StatusServiceUnavailable, RefusedShutdown, "the gateway is shutting down"}
	case r.ProtoMajor != 1 || !websocket.IsWebSocketUpgrade(r):
		return &refusal{http.StatusUpgradeRequired, RefusedUpgrade,
			"this is a SIP over WebSocket endpoint (RFC 7118): connect with a WebSocket over HTTP/1.1"}
	case r.Method != http.MethodGet:
		return &refusal{http.StatusBadRequest, RefusedUpgrade, "a WebSocket handshake is a GET request"}
	case !hasToken(r.Header["Sec-Websocket-Version"], "13"):
		return &refusal{http.StatusUpgradeRequired, RefusedUpgrade, "only WebSocket version 13 (RFC 6455) is spoken here"}
	case !hasToken(r.Header["Sec-Websocket-Protocol"], subprotocol):
		return &refusal{http.StatusBadRequest, RefusedSubprotocol,
			`the WebSocket subprotocol "sip" is required (RFC 7118): new WebSocket(url, "sip")`}
	}
	return s.comesFrom(r)
}

// comesFrom judges the origin. Who sends none where one is required may come by a token or certificate, which authenticate judges: no
// page can have a browser send those for it.
func (s *Server) comesFrom(r *http.Request) *refusal {
	no := s.origins.admit(r.Header["Origin"])
	if no != nil && no.reason == RefusedNoOrigin && s.cfg.Authenticate != nil && credentialsOf(r) != (Credentials{}) {
		return nil
	}
	return no
}

// visit asks the guard about the client.
func (s *Server) visit(from netip.Addr) (Visitor, *refusal) {
	if s.cfg.Guard == nil || !from.IsValid() {
		return nil, nil
	}
	v := s.cfg.Guard.Visit(from)
	if v == nil {
		return nil, &refusal{http.StatusTooManyRequests, RefusedRate, "too many connections come from this address; try again later"}
	}
	return v, nil
}

// authenticate has the credentials of a handshake judged, where it brings any.
func (s *Server) authenticate(r *http.Request, visitor Visitor) (subject any, no *refusal) {
	c := credentialsOf(r)
	if c == (Credentials{}) || s.cfg.Authenticate == nil {
		return nil, nil
	}
	subject, err := s.cfg.Authenticate(r.Context(), c)
	if err != nil {
		s.cfg.Log.Info("token refused", "remote", r.RemoteAddr, "error", err)
		if errors.Is(err, ErrUnavailable) {
			return nil, &refusal{http.StatusServiceUnavailable, RefusedToken, "who knows the tokens' keys does not answer"}
		}
		if visitor != nil {
			visitor.Judged(fingerprint(c.Token), false)
		}
		return nil, &refusal{http.StatusUnauthorized, RefusedToken, "the access token is not good here"}
	}
	return subject, nil
}

// credentialsOf is what a handshake brings to show who the client is; zero where nothing.
func credentialsOf(r *http.Request) Credentials {
	c := Credentials{Token: r.URL.Query().Get("access_token"), Certificate: certificateOf(r)}
	if scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		c.Token = strings.TrimSpace(rest)
	}
	return c
}

// certificateOf is the client's certificate; nil where there is none that TLS has verified.
func certificateOf(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}

// ErrUnavailable is wrapped by an error of Config.Authenticate that says nothing of the token: nobody could judge it.
var ErrUnavailable = errors.New("wss: nobody can judge the token now")

// fingerprint tells tokens apart and says nothing else about them.
func fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "token:" + hex.EncodeToString(sum[:6])
}

// challenge adds what a client needs that is to come again with a token (RFC 6750 §3.1).
func (no *refusal) challenge(w http.ResponseWriter) {
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
}

// Admit says whether a page or client may have what belongs to a WebSocket, such as credentials for a relay: its origin has to be
// one that may connect, and its token, where it brings one, a good one, which gives the subject. Where it is not ok the request has
// been answered (401, 403, 429, 503).
func (s *Server) Admit(w http.ResponseWriter, r *http.Request) (subject any, ok bool) {
	no := s.comesFrom(r)
	if len(r.Header["Origin"]) == 0 && r.Header.Get("Sec-Fetch-Site") == "same-origin" { // browsers leave their own origin out of a GET
		if no = s.origins.admit([]string{"https://" + r.Host}); no != nil && r.TLS == nil {
			no = s.origins.admit([]string{"http://" + r.Host})
		}
	}
	if no == nil {
		var visitor Visitor
		if visitor, no = s.visit(remoteOf(r).Addr()); no == nil {
			subject, no = s.authenticate(r, visitor)
		}
	}
	if no == nil {
		return subject, true
	}
	no.challenge(w)
	s.refuse(w, r, no)
	return nil, false
}

// refuse answers a handshake that was not granted.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	s.counts.refused(no.reason)
	s.cfg.Log.Info("browser refused", "remote", r.RemoteAddr, "reason", string(no.reason), "error", no.text,
		"origin", r.Header.Get("Origin"))
	if no.status == http.StatusUpgradeRequired {
		// RFC 9110 §15.5.22, RFC 6455 §4.2.2
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Version", "13")
	}
	if no.status == http.StatusServiceUnavailable || no.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5") // SIP.js and JsSIP come again by themselves
	}
	http.Error(w, no.text, no.status)
}

// hasToken says whether a comma-separated list that may be spread over several header lines names the token exactly.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for one := range strings.SplitSeq(line, ",") {
			if strings.Trim(one, " \t") == token {
				return true
			}
		}
	}
	return false
}
