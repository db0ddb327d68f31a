package stir

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// with has the server answer otherwise.
func (s *shop) with(answer http.HandlerFunc) { s.answer.Store(&answer) }

func TestFetchFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"no such file":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"no certificate": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"a key": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
		},
		"too long":           func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", maxDocument+1)) },
		"redirects for ever": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 302) },
		"redirects to HTTP": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/x", 302)
		},
		"redirects to another machine": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://169.254.169.254/latest", 302)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, order{})
			s.with(answer)
			v := s.verifier()
			value := s.sign()
			_, f := v.Verify(t.Context(), usual(value))
			if f == nil || f.Reason != Unreachable {
				t.Fatalf("%v", f)
			}
			asked := s.asked.Load()
			s.answer.Store(nil)
			if _, f = v.Verify(t.Context(), usual(value)); f == nil || s.asked.Load() != asked {
				t.Errorf("the failure is not remembered: %v, asked %d times", f, s.asked.Load())
			}
			s.clock.Add(int64(failedAge + time.Second))
			if _, f = v.Verify(t.Context(), usual(value)); f != nil {
				t.Errorf("later: %v", f)
			}
		})
	}
}

// What is nobody's public address is not asked, whatever name leads there.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{}) // DNS can lead anywhere: the name is not private, the address is
	cfg := s.verifier().cfg.Fetch
	cfg.Private = nil
	if _, err := cfg.dial(t.Context(), "tcp", strings.Replace(s.server.Listener.Addr().String(), "127.0.0.1", "localhost", 1)); err == nil || s.asked.Load() > 0 {
		t.Error("a private address was reached by name")
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	var cfg FetchConfig
	for _, bad := range []string{
		"", "cert.pem", "http://x.example/c.pem", "https:///c.pem", "https://u:p@x.example/c.pem", "https://x.example/c.pem?q=1",
		"https://x.example/c.pem?", "https://x.example/c.pem#f", "https://x.example:22/c.pem", "https://x.example/c;p", "file:///etc/passwd",
		"https://x.example/c pem", "https://x.example/\r\nX: y",
	} {
		if cfg.check(bad) == nil {
			t.Errorf("%q is good", bad)
		}
	}
	for _, good := range []string{"https://x.example/c.pem", "https://x.example:443/c", "https://x.example:8443/c.pem"} {
		if err := cfg.check(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestCertificatesServeForATime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		control string
		age     time.Duration
	}{
		"nothing said": {"", 24 * time.Hour}, "less": {"public, max-age=3600", time.Hour}, "more": {"max-age=999999", 24 * time.Hour},
		"nothing": {"no-store", leastAge}, "nonsense": {"max-age=-3", 24 * time.Hour},
	} {
		s := newShop(t, order{})
		s.with(func(w http.ResponseWriter, r *http.Request) {
			if c.control != "" {
				w.Header().Set("Cache-Control", c.control)
			}
			http.ServeFile(w, r, s.dir+"/leaf.pem")
		})
		v := s.verifier()
		check := func(asked int32) {
			t.Helper()
			if _, f := v.Verify(t.Context(), usual(s.sign())); f != nil || s.asked.Load() != asked {
				t.Errorf("%s: %v, asked %d times, not %d", name, f, s.asked.Load(), asked)
			}
		}
		check(1)
		s.clock.Add(int64(c.age - 2*time.Second))
		check(1)
		s.clock.Add(int64(4 * time.Second))
		check(2)
	}
}

// Many calls with one certificate make one fetch; a call waits no longer than it has time.
func TestFetchIsShared(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{})
	release := make(chan struct{})
	s.with(func(w http.ResponseWriter, r *http.Request) {
		<-release
		http.ServeFile(w, r, s.dir+"/leaf.pem")
	})
	v := s.verifier()
	value := s.sign()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, f := v.Verify(over, usual(value)); f == nil || f.Reason != Unreachable {
		t.Errorf("without time: %v", f)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, f := v.Verify(t.Context(), usual(value)); f != nil {
				t.Error(f)
			}
		})
	}
	close(release)
	all.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// Strangers' URLs do not push out the certificates that serve.
func TestRoomForCertificates(t *testing.T) {
	t.Parallel()
	c := newCertificates(FetchConfig{}, time.Now, nil)
	done := make(chan struct{})
	close(done)
	for i := range maxCertificates - 1 {
		c.known[fmt.Sprint("bad", i)] = &certificate{ready: done, fault: fault(Unreachable, ""), until: time.Now().Add(time.Hour)}
	}
	c.known["good"] = &certificate{ready: done, until: time.Now().Add(time.Minute)}
	for i := range 50 {
		c.makeRoom()
		c.known[fmt.Sprint("new", i)] = &certificate{ready: done, fault: fault(Unreachable, ""), until: time.Now().Add(time.Hour)}
	}
	if len(c.known) > maxCertificates || c.known["good"] == nil {
		t.Errorf("%d are known, the good one %v", len(c.known), c.known["good"])
	}
}
