package gateway

import (
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/route"
)

// defaultCallback bounds a callback that answers who a user is.
const defaultCallback = 3 * time.Second

// openGate makes what knows the browsers' users; nil where the configuration names none.
func (g *Gateway) openGate(key []byte) (*identity.Gate, error) {
	who := g.cfg.Identity
	if who == nil {
		return nil, nil
	}
	cfg := identity.GateConfig{Realm: who.Realm, Key: key, Log: g.log}
	switch {
	case who.Users != "":
		users, err := identity.OpenUsers(who.Users, os.LookupEnv, g.log)
		if err != nil {
			return nil, err
		}
		cfg.Secrets = users
	case who.Callback != nil:
		callback := identity.NewCallback(who.Callback.URL, who.Callback.timeout())
		g.onClose(callback.Close)
		cfg.Secrets, cfg.Waits = callback, true
	}
	if who.Tokens != nil {
		tokens, err := identity.NewTokens(who.Tokens.identity(g.cfg.claims(), g.log))
		if err != nil {
			return nil, err
		}
		g.onClose(tokens.Close)
		cfg.Tokens = tokens
	}
	return identity.NewGate(cfg), nil
}

func (c Callback) timeout() time.Duration {
	if c.Timeout == 0 {
		return defaultCallback
	}
	return c.Timeout
}

func (t Tokens) identity(claims []string, log *slog.Logger) identity.TokenConfig {
	return identity.TokenConfig{
		Secret: []byte(t.Secret), Keys: t.Keys, JWKS: t.JWKS, Issuer: t.Issuer, Audience: t.Audience, Claims: claims, Log: log,
	}
}

// openStore opens where bindings are kept.
func (g *Gateway) openStore() (location.Store, error) {
	if g.cfg.Registration.Store == "" {
		return location.NewMemory(time.Now), nil
	}
	f, err := location.OpenFile(g.cfg.Registration.Store, time.Now, g.log)
	if err != nil {
		return nil, err
	}
	g.onClose(f.Close)
	return f, nil
}

// localDomains are those whose users are registered here.
func (c Config) localDomains() []string {
	var list []string
	for _, r := range c.Routes {
		if r.Register == route.Local && r.Domain != "" && !strings.HasPrefix(r.Domain, "*") {
			list = append(list, r.Domain)
		}
	}
	return list
}

// identity checks what knows the users, and that it is there where a route needs it.
func (v *validator) identity(c Config) {
	who := c.Identity
	for i, r := range c.Routes {
		if (r.Register == route.Vouch || r.Register == route.Local && fromBrowsers(r)) && who == nil && !c.HTTPS.Clients.identify() {
			v.fail(indexed("routes", i)+".register", "%s needs identity, or https.clients.identity: who the browsers' users are", r.Register)
		}
	}
	if who == nil {
		return
	}
	switch {
	case who.Users == "" && who.Callback == nil && who.Tokens == nil:
		v.fail("identity", "has neither users nor callback nor tokens")
	case who.Users != "" && who.Callback != nil:
		v.fail("identity.callback", "stands beside users; one of them knows the passwords")
	}
	if who.Users != "" {
		if _, err := identity.OpenUsers(who.Users, os.LookupEnv, slog.New(slog.DiscardHandler)); err != nil {
			v.fail("identity.users", "%s", err)
		}
	}
	if who.Callback != nil {
		v.url("identity.callback.url", who.Callback.URL)
		v.within("identity.callback.timeout", who.Callback.Timeout, 10*time.Millisecond, 10*time.Second)
	}
	if who.Tokens != nil {
		v.tokens(*who.Tokens)
	}
}

func (v *validator) tokens(t Tokens) {
	if t.Secret == "" && t.Keys == "" && t.JWKS == "" {
		v.fail("identity.tokens", "has neither secret nor keys nor jwks: nothing to verify a signature with")
		return
	}
	if t.Secret != "" && len(t.Secret) < 32 { // RFC 7518 §3.2
		v.fail("identity.tokens.secret", "has %d characters; HS256 needs 32", len(t.Secret))
	}
	if t.JWKS != "" {
		v.url("identity.tokens.jwks", t.JWKS)
	}
	if t.Keys != "" {
		tokens, err := identity.NewTokens(identity.TokenConfig{Keys: t.Keys})
		if err != nil {
			v.fail("identity.tokens.keys", "%s", err)
			return
		}
		tokens.Close()
	}
}

func (v *validator) url(path, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		v.fail(path, "%q is not a URL, such as https://users.example.com/sip", text)
	}
}
