package gateway

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/bridge/location"
	"tandem/wss/wsstest"
)

func TestIdentityIsChecked(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := write("users", "# those of the test\nalice:secret\n")
	broken := write("broken", "alice:secret\nbob\n")
	for _, c := range []struct{ name, text, want string }{
		{"vouch", "identity: {users: " + users + "}", ""},
		{"nobody", "", `t.yaml:4:49: routes[0].register: vouch needs identity`},
		{"empty", "identity: {}", `t.yaml:5:1: identity: has neither users nor callback nor tokens`},
		{"no file", "identity: {users: /nowhere/users}", `t.yaml:5:12: identity.users: stat /nowhere/users`},
		{"broken file", "identity: {users: " + broken + "}", `broken:2: is neither user:realm:HA1 nor user:password`},
		{"both", "identity: {users: " + users + ", callback: {url: http://127.0.0.1/}}", `identity.callback: stands beside users`},
		{"no URL", "identity: {callback: {url: users.example.com}}", `identity.callback.url: "users.example.com" is not a URL`},
		{"patience", "identity: {callback: {url: http://127.0.0.1/, timeout: 1m}}", `identity.callback.timeout: 1m0s is not between`},
		{"no key", "identity: {tokens: {issuer: me}}", `identity.tokens: has neither secret nor keys nor jwks`},
		{"short secret", "identity: {tokens: {secret: short}}", `identity.tokens.secret: has 5 characters; HS256 needs 32`},
		{"no keys", "identity: {tokens: {keys: " + users + "}}", `holds neither a key set nor a public key in PEM`},
		{"unknown key", "identity: {user: " + users + "}", `t.yaml:5:12: identity.user: unknown key; did you mean users?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(least, "{from: browsers, to: pbx}", "{from: browsers, domain: a.b, to: pbx, register: vouch}", 1) + c.text
			_, err := parse(t, text)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestRegisterModesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"{from: browsers, to: pbx, register: whoever}":      `"whoever" is not forward, vouch or local`,
		"{from: browsers, to: browsers, register: forward}": "forward needs a route from browsers to a pool or trunk",
		"{from: pbx, to: pbx, register: vouch}":             "vouch needs a route from browsers to a pool or trunk",
		"{reject: 403, register: local}":                    "what is rejected registers nowhere",
		"{from: pbx, to: browsers, register: local}":        "", // phones behind it
	} {
		_, err := parse(t, strings.Replace(least, "{from: browsers, to: pbx}", text, 1))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
	}
	_, err := parse(t, least+"registration: {min-expires: 5m}")
	if err == nil || !strings.Contains(err.Error(), "registration.min-expires: 5m0s is more than max-expires, 2m0s") {
		t.Error(err)
	}
}

// A token opens the WebSocket, and the store keeps what was registered with it.
func TestTokenAtTheWebSocket(t *testing.T) {
	const secret = "a secret of thirty-two characters"
	store := filepath.Join(t.TempDir(), "bindings.db")
	text := strings.NewReplacer("listen: 127.0.0.1:0", "listen: http://127.0.0.1:0", "routes: [{from: browsers, to: pbx}",
		"routes: [{from: browsers, to: browsers, domain: example.com, register: local}").Replace(least) +
		"media: {listen: 127.0.0.1:0}\nidentity: {tokens: {secret: " + secret + "}}\nregistration: {store: " + store + "}\n"
	cfg, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, Options{LogTo: &logLines{}})
	if err != nil {
		t.Fatal(err)
	}
	drain, ended := running(t, g)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: "alice@example.com", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(g.URLs()[0], "http://", "ws://", 1) + "/sip"
	b, err := wsstest.Dial(t.Context(), url+"?access_token="+token, wsstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Register(t.Context(), "alice", ""); err != nil {
		t.Error(err)
	}
	header := http.Header{"Authorization": {"Bearer " + token + "x"}}
	if _, err := wsstest.Dial(t.Context(), url, wsstest.Options{Header: header}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a forged token: %v", err)
	}
	if got := g.figures().WSS.Refused["token"]; got != 1 {
		t.Errorf("%d tokens refused", got)
	}
	drain()
	if err := inTime(t, ended, "drained"); err != nil {
		t.Error(err)
	}
	kept, err := location.OpenFile(store, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if bindings := kept.ByAOR("sip:alice@example.com"); len(bindings) != 1 || bindings[0].Flow != "" {
		t.Errorf("kept: %+v", bindings)
	}
}
