package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/identity/crl"
	"tandem/bridge/identity/watched"
	"tandem/wss"
)

// HTTPSClients says which clients may show who they are by a certificate (mutual TLS).
type HTTPSClients struct {
	CA       string `yaml:"ca"`       // PEM file: who signs them; read again when it changes
	CRL      string `yaml:"crl"`      // PEM or DER file: those that are revoked; read again when it changes
	Required bool   `yaml:"required"` // nobody comes in without one
	Identity bool   `yaml:"identity"` // it proves the user that it names, where a route says vouch or local
}

func (c *HTTPSClients) identify() bool { return c != nil && c.Identity }

func (v *validator) clients(h HTTPS) {
	c := h.Clients
	if c == nil {
		return
	}
	if c.CA == "" {
		v.fail("https.clients.ca", "is missing: the file with who signs the certificates of clients")
	} else if _, err := certPool(c.CA); err != nil {
		v.fail("https.clients.ca", "%s", err)
	}
	v.crl("https.clients.crl", c.CRL)
	for i, l := range h.Listen {
		if l.Plain && c.Required {
			v.fail(indexed("https.listen", i), "nobody comes in without TLS where https.clients.required stands")
		}
	}
}

// webTLS offers HTTP/1.1 only: a WebSocket here takes over a whole connection. The relay's clients may name theirs (RFC 7443); they
// have no certificates, so that beside a relay those are asked for, and whoever wants HTTP without one is refused there.
func webTLS(certs *certificates, clients *HTTPSClients, relay bool, log *slog.Logger) *tls.Config {
	cfg := modern(certs.config())
	cfg.NextProtos = []string{"http/1.1", "stun.turn"}
	if clients == nil {
		return cfg
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	if clients.Required && !relay {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	trust := &clientTrust{ca: watched.New(clients.CA, watched.ReadPool, log), like: cfg.Clone()}
	if clients.CRL != "" {
		trust.crl = watched.New(clients.CRL, crl.Parse, log)
	}
	cfg.GetConfigForClient = trust.config
	return cfg
}

// clientTrust is whose certificates are good now. Safe for concurrent use.
type clientTrust struct {
	// static after construction
	ca   *watched.File[*x509.CertPool]
	crl  *watched.File[*crl.List] // nil: none
	like *tls.Config              // what is made of it never changes

	current atomic.Pointer[tls.Config] // with the pool of the last handshake
}

// config is for tls.Config.GetConfigForClient.
func (c *clientTrust) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	pool, err := c.ca.Get(time.Now())
	if err != nil {
		return nil, fmt.Errorf("gateway: https.clients.ca: %w", err)
	}
	if now := c.current.Load(); now != nil && now.ClientCAs == pool {
		return now, nil
	}
	fresh := c.like.Clone()
	fresh.ClientCAs = pool
	fresh.VerifyConnection = func(state tls.ConnectionState) error { return c.verify(pool, state) }
	c.current.Store(fresh)
	return fresh, nil
}

// verify refuses who shows a certificate that is not good any more: those of resumed sessions were looked at in another time.
func (c *clientTrust) verify(pool *x509.CertPool, state tls.ConnectionState) error {
	chains := state.VerifiedChains
	if len(chains) == 0 {
		return nil
	}
	if state.DidResume {
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		var err error
		chains, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			return err
		}
	}
	if c.crl == nil {
		return nil
	}
	list, err := c.crl.Get(time.Now())
	if err != nil {
		return fmt.Errorf("gateway: https.clients.crl: %w", err)
	}
	return list.Check(chains)
}

// crl checks a file of revoked certificates; "" is none.
func (v *validator) crl(path, file string) {
	if file == "" {
		return
	}
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = crl.Parse(text)
	}
	if err != nil {
		v.fail(path, "%s", err)
	}
}

// admitted refuses who has to show a certificate and shows none.
func (c *HTTPSClients) admitted(next http.Handler) http.Handler {
	if c == nil || !c.Required {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			http.Error(w, "a client certificate is required here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate judges what comes with the handshake of a WebSocket, a token before a certificate; nil where neither is taken.
func (c Config) authenticate(gate *identity.Gate) func(context.Context, wss.Credentials) (any, error) {
	tokens := gate != nil && c.Identity.Tokens != nil
	if !tokens && !c.HTTPS.Clients.identify() {
		return nil
	}
	return func(ctx context.Context, has wss.Credentials) (any, error) {
		if tokens && has.Token != "" {
			who, err := gate.Token(ctx, has.Token)
			if errors.Is(err, identity.ErrUnavailable) {
				err = fmt.Errorf("%w: %w", wss.ErrUnavailable, err)
			}
			return who, err
		}
		if has.Certificate == nil || !c.HTTPS.Clients.identify() {
			return nil, nil
		}
		if name := certifiedUser(has.Certificate); name != "" {
			return identity.Subject{Name: name, Until: has.Certificate.NotAfter, Token: true}, nil
		}
		return nil, nil
	}
}

// certifiedUser is the user whom a certificate names: the first sip URI with a user among the alternative names (RFC 5922 §7.1), else the
// first e-mail address, else, without any of these, the common name; "" for none.
func certifiedUser(cert *x509.Certificate) string {
	for _, u := range cert.URIs {
		var uri sip.Uri
		if (u.Scheme == "sip" || u.Scheme == "sips") && sip.ParseUri(u.String(), &uri) == nil && uri.User != "" && uri.Host != "" {
			return uri.User + "@" + uri.Host
		}
	}
	if len(cert.EmailAddresses) > 0 {
		return cert.EmailAddresses[0]
	}
	if len(cert.URIs) > 0 {
		return ""
	}
	return cert.Subject.CommonName
}
