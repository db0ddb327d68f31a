package identity

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// endless answers with one JSON text that does not end, with or without saying so.
func endless(t *testing.T, says bool, sent *atomic.Int64) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if says {
			w.Header().Set("Content-Length", "100000000000")
		}
		io.WriteString(w, `{"keys": [`)
		more := []byte(strings.Repeat(`{"kty": "oct", "k": "AAAA"},`, 1000))
		for {
			n, err := w.Write(more)
			sent.Add(int64(n))
			if err != nil || r.Context().Err() != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// What a key server or a callback answers is read to a bound; then nobody is let in by it.
func TestEndlessAnswers(t *testing.T) {
	t.Parallel()
	for _, says := range []bool{false, true} {
		var sent atomic.Int64
		k := newKeyring(t)
		tokens, err := NewTokens(TokenConfig{JWKS: endless(t, says, &sent), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Verify(t.Context(), k.sign(jwt.SigningMethodHS256, k.secret, "", k.claims())); !errors.Is(err, ErrWrong) {
			t.Error(err)
		}
		tokens.Close()

		callback := NewCallback(endless(t, says, &sent), 30*time.Second)
		if _, _, err := callback.HA1(context.Background(), Login{User: "alice"}); !errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		callback.Close()
		if n := sent.Load(); n > 32<<20 { // sockets' buffers included
			t.Errorf("%d bytes were taken", n)
		}
	}
}

// A token that is too long, or nests too deep, is refused, whoever signed it.
func TestOversizedTokens(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	tokens, err := NewTokens(TokenConfig{Secret: k.secret})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	long := k.claims()
	long["x"] = strings.Repeat("y", maxToken)
	if _, err := tokens.Verify(t.Context(), k.sign(jwt.SigningMethodHS256, k.secret, "", long)); !errors.Is(err, ErrWrong) {
		t.Error(err)
	}
	deep := k.claims()
	var nested any = "x"
	for range 4000 {
		nested = []any{nested}
	}
	deep["x"] = nested
	token := k.sign(jwt.SigningMethodHS256, k.secret, "", deep)
	if len(token) > maxToken {
		t.Fatal(len(token))
	}
	if _, err := tokens.Verify(t.Context(), token); err != nil { // deep, and signed by whom we trust: no harm
		t.Error(err)
	}
	for _, text := range []string{strings.Repeat("[", maxToken), "e30." + strings.Repeat("W1tb", 2500) + ".x", strings.Repeat(".", maxToken)} {
		if _, err := tokens.Verify(t.Context(), text); !errors.Is(err, ErrWrong) {
			t.Errorf("%.20s…: %v", text, err)
		}
	}
}
