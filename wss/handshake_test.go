package wss_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"tandem/wss"
	"tandem/wss/wsstest"
)

func TestHandshake(t *testing.T) {
	listed := wss.Config{Origins: []string{"https://phone.example.com", "http://127.0.0.1:8080", "https://[::1]:8443"}}
	strict := listed
	strict.OriginsRequired = true
	byToken := strict
	byToken.Authenticate = func(_ context.Context, c wss.Credentials) (any, error) {
		if c.Token != "good" {
			return nil, errors.New("not good")
		}
		return "alice", nil
	}
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	for _, tc := range []struct {
		name   string
		cfg    wss.Config
		opt    wsstest.Options
		status int // 0: granted
		reason wss.Refusal
		says   string
	}{
		{name: "JsSIP"},
		{name: "sip among others", opt: wsstest.Options{Subprotocols: []string{"xmpp", "sip"}}},
		{name: "no subprotocol", opt: wsstest.Options{Subprotocols: []string{}}, status: 400, reason: wss.RefusedSubprotocol,
			says: `subprotocol "sip" is required`},
		{name: "another subprotocol", opt: wsstest.Options{Subprotocols: []string{"xmpp"}}, status: 400, reason: wss.RefusedSubprotocol},
		{name: "another case", opt: wsstest.Options{Subprotocols: []string{"SIP"}}, status: 400, reason: wss.RefusedSubprotocol},
		{name: "a longer token", opt: wsstest.Options{Subprotocols: []string{"sip.v2", "msip"}}, status: 400, reason: wss.RefusedSubprotocol},
		{name: "listed", cfg: listed, opt: wsstest.Options{Origin: "https://phone.example.com"}},
		{name: "listed, host in capitals", cfg: listed, opt: wsstest.Options{Origin: "https://PHONE.example.com"}},
		{name: "listed, port spelt out", cfg: listed, opt: wsstest.Options{Origin: "https://phone.example.com:443"}},
		{name: "listed with a port", cfg: listed, opt: wsstest.Options{Origin: "http://127.0.0.1:8080"}},
		{name: "listed IPv6", cfg: listed, opt: wsstest.Options{Origin: "https://[::1]:8443"}},
		{name: "another scheme", cfg: listed, opt: wsstest.Options{Origin: "http://phone.example.com"}, status: 403,
			reason: wss.RefusedOrigin, says: "http://phone.example.com"},
		{name: "another port", cfg: listed, opt: wsstest.Options{Origin: "https://phone.example.com:8443"}, status: 403, reason: wss.RefusedOrigin},
		{name: "a longer host", cfg: listed, opt: wsstest.Options{Origin: "https://phone.example.com.evil.test"}, status: 403, reason: wss.RefusedOrigin},
		{name: "a sandboxed page", cfg: listed, opt: wsstest.Options{Origin: "null"}, status: 403, reason: wss.RefusedOrigin},
		{name: "native app", cfg: listed, opt: wsstest.Options{NoOrigin: true}},
		{name: "native app, origins required", cfg: strict, opt: wsstest.Options{NoOrigin: true}, status: 403,
			reason: wss.RefusedNoOrigin, says: "Origin header is required"},
		{name: "native app, origins required, a token", cfg: byToken, opt: wsstest.Options{NoOrigin: true, Header: bearer("good")}},
		{name: "native app, origins required, a token that is not good", cfg: byToken, opt: wsstest.Options{NoOrigin: true, Header: bearer("bad")},
			status: 401, reason: wss.RefusedToken},
		{name: "native app, origins required, no token", cfg: byToken, opt: wsstest.Options{NoOrigin: true}, status: 403, reason: wss.RefusedNoOrigin},
		{name: "another page with a token", cfg: byToken, opt: wsstest.Options{Origin: "https://evil.test", Header: bearer("good")}, status: 403,
			reason: wss.RefusedOrigin},
		{name: "any origin", opt: wsstest.Options{Origin: "https://elsewhere.test"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, tc.cfg, false)
			b, err := wsstest.Dial(within(t), d.URL, tc.opt)
			if tc.status == 0 {
				if err != nil {
					t.Fatal(err)
				}
				b.Close()
				return
			}
			var refused *wsstest.HandshakeError
			if !errors.As(err, &refused) || refused.Status != tc.status || !strings.Contains(refused.Body, tc.says) {
				t.Fatalf("got %v, want %d with %q", err, tc.status, tc.says)
			}
			if n := d.Stats().Refused[string(tc.reason)]; n != 1 {
				t.Errorf("Refused[%s] = %d: %v", tc.reason, n, d.Stats().Refused)
			}
		})
	}
}

// TestHandshakeOfOthers is what is no WebSocket handshake at all.
func TestHandshakeOfOthers(t *testing.T) {
	d := open(t, wss.Config{Origins: []string{"https://a.test"}}, false)
	upgrade := http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Protocol": {"sip"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	with := func(name string, values ...string) http.Header {
		h := upgrade.Clone()
		h[name] = values
		return h
	}
	for _, tc := range []struct {
		name   string
		method string
		header http.Header
		status int
	}{
		{"a page load", "GET", http.Header{}, 426},
		{"no Upgrade", "GET", with("Upgrade"), 426},
		{"an old version", "GET", with("Sec-Websocket-Version", "8"), 426},
		{"POST", "POST", upgrade, 400},
		{"no key", "GET", with("Sec-Websocket-Key"), 400},
		{"a broken key", "GET", with("Sec-Websocket-Key", "short"), 400},
		{"two origins, one listed", "GET", with("Origin", "https://a.test", "https://b.test"), 403},
		{"the protocol in two lines", "GET", with("Sec-Websocket-Protocol", "xmpp", "sip"), 101},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(within(t), tc.method, d.HTTP.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tc.header.Clone()
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", res.StatusCode, tc.status)
			}
			if tc.status == 101 && res.Header.Get("Sec-Websocket-Protocol") != "sip" {
				t.Errorf("subprotocol %q", res.Header.Get("Sec-Websocket-Protocol"))
			}
			if tc.status == 426 && res.Header.Get("Upgrade") != "websocket" {
				t.Errorf("426 without Upgrade: %v", res.Header)
			}
		})
	}
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	for _, cfg := range []wss.Config{
		{Origins: []string{"phone.example.com"}},
		{Origins: []string{"https://phone.example.com/"}},
		{Origins: []string{"*"}},
		{ViaHost: "example.com:port"},
		{ViaHost: "example.com:0"},
		{MaxMessage: -1},
		{PingEvery: -1},
	} {
		if _, err := wss.New(cfg); err == nil {
			t.Errorf("New(%+v) gave no error", cfg)
		}
	}
}
