package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"tandem/bridge/identity/watched"
)

// gateRig is a Gate with a clock and a password file.
type gateRig struct {
	t    *testing.T
	gate *Gate
	now  time.Time
}

func newGateRig(t *testing.T, users string) *gateRig {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := OpenUsers(file, func(name string) (string, bool) { return "from-" + name, name == "SET" }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	rig := &gateRig{t: t, now: time.Now()}
	rig.gate = NewGate(GateConfig{Secrets: known, Key: []byte("key"), Now: func() time.Time { return rig.now }})
	return rig
}

func (r *gateRig) judge(flow string, authorization ...string) Verdict {
	return r.gate.Judge(context.Background(), Attempt{
		Method: "REGISTER", Domain: "Example.com", AOR: "sip:alice@example.com", Flow: flow, Authorization: authorization,
	})
}

// answer computes credentials for a verdict's challenge, as a client does.
func (r *gateRig) answer(v Verdict, user, password string, count int) string {
	r.t.Helper()
	c, err := digest.ParseChallenge(one(v))
	if err != nil {
		r.t.Fatalf("%q: %v", one(v), err)
	}
	cred, err := digest.Digest(c, digest.Options{Method: "REGISTER", URI: "sip:example.com", Count: count, Username: user, Password: password})
	if err != nil {
		r.t.Fatal(err)
	}
	return cred.String()
}

func TestDigestIsVerified(t *testing.T) {
	rig := newGateRig(t, "# users\nalice:secret\nbob:example.com:"+MD5.HA1("bob", "example.com", "hashed")+"\ncarol:${SET}\nbob:other.com:"+
		MD5.HA1("bob", "other.com", "other")+"\n\n")
	for _, tt := range []struct {
		user, password string
		want           error
	}{
		{"alice", "secret", nil}, {"alice", "wrong", ErrWrong}, {"alice", "", ErrWrong}, {"nobody", "secret", ErrWrong},
		{"bob", "hashed", nil}, {"bob", "other", ErrWrong}, {"carol", "from-SET", nil}, {"carol", "${SET}", ErrWrong}, {"", "", ErrWrong},
	} {
		asked := rig.judge("f1")
		if !errors.Is(asked.Err, ErrNoCredentials) || !strings.Contains(one(asked), `realm="example.com"`) {
			t.Fatalf("%+v", asked)
		}
		v := rig.judge("f1", rig.answer(asked, tt.user, tt.password, 1))
		if !errors.Is(v.Err, tt.want) || tt.want == nil && v.Subject != (Subject{Name: tt.user}) {
			t.Errorf("%s, %s: %+v", tt.user, tt.password, v)
		}
		if tt.want != nil && (strings.Contains(one(v), "stale") || !strings.HasPrefix(one(v), "Digest ")) {
			t.Errorf("%s, %s: challenged with %s", tt.user, tt.password, one(v))
		}
	}
}

func TestNonceIsGoodForOneCountOnOneFlow(t *testing.T) {
	rig := newGateRig(t, "alice:secret")
	asked := rig.judge("f1")
	first := rig.answer(asked, "alice", "secret", 1)
	steps := []struct {
		what, flow, credentials string
		want                    error
	}{
		{"on another flow", "f2", first, ErrStale},
		{"first", "f1", first, nil},
		{"again", "f1", first, ErrStale},
		{"counted on", "f1", rig.answer(asked, "alice", "secret", 3), nil},
		{"counted back", "f1", rig.answer(asked, "alice", "secret", 2), ErrStale},
		{"somebody else's nonce", "f1", strings.Replace(first, `nonce="`, `nonce="AAAA`, 1), ErrStale},
		{"no credentials", "f1", "Digest", ErrStale},
		{"rubbish", "f1", `Digest username="alice`, ErrNoCredentials},
	}
	for _, s := range steps {
		v := rig.judge(s.flow, s.credentials)
		if !errors.Is(v.Err, s.want) {
			t.Errorf("%s: %v, want %v", s.what, v.Err, s.want)
		}
		if stale := strings.Contains(one(v), "stale=true"); stale != (s.want == ErrStale) {
			t.Errorf("%s: challenged with %s", s.what, one(v))
		}
	}
	rig.now = rig.now.Add(6 * time.Minute)
	if v := rig.judge("f1", rig.answer(asked, "alice", "secret", 9)); !errors.Is(v.Err, ErrStale) {
		t.Errorf("an old nonce: %v", v.Err)
	}
}

// A forgotten nonce is not taken again: it may have been used.
func TestReplaysForgetOnTheSafeSide(t *testing.T) {
	r := newReplays(2, time.Minute)
	now := time.Now()
	for i, nonce := range []string{"a", "b", "c"} {
		if !r.use(nonce, now.Add(time.Duration(i)), 1, now) {
			t.Fatalf("%s is new", nonce)
		}
	}
	if r.use("a", now, 2, now) {
		t.Error("a forgotten nonce was taken")
	}
	if r.use("c", now.Add(2), 1, now) || !r.use("d", now.Add(3), 0, now) || r.use("d", now.Add(3), 0, now) {
		t.Error("counts")
	}
	later := now.Add(2 * time.Minute)
	if !r.use("e", later, 1, later) || r.order.Len() != 1 {
		t.Errorf("%d are kept", r.order.Len())
	}
}

func TestUsersAreReadAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice:one")
	u, err := OpenUsers(file, os.LookupEnv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	u.now = func() time.Time { return now }
	ask := func() string {
		now = now.Add(watched.LookEvery)
		ha1, _, _ := u.HA1(context.Background(), Login{User: "alice", Realm: "r"})
		return ha1
	}
	if ask() != MD5.HA1("alice", "r", "one") {
		t.Error("not read")
	}
	write("alice:another")
	if ask() != MD5.HA1("alice", "r", "another") {
		t.Error("not read anew")
	}
	write("a broken line")
	if ask() != MD5.HA1("alice", "r", "another") {
		t.Error("a broken file made users forgotten")
	}
}

func TestCallback(t *testing.T) {
	answers := map[string]struct {
		status int
		body   string
		want   error
	}{
		"alice":   {200, fmt.Sprintf(`{"ha1":%q}`, MD5.HA1("alice", "example.com", "secret")), nil},
		"bob":     {200, `{"allow":true}`, nil},
		"carol":   {200, `{"allow":false}`, ErrWrong},
		"dave":    {200, fmt.Sprintf(`{"allow":true,"ha1":%q}`, MD5.HA1("dave", "example.com", "another")), ErrWrong},
		"nobody":  {404, ``, ErrWrong},
		"broken":  {500, ``, ErrUnavailable},
		"strange": {200, `<html>`, ErrUnavailable},
		"empty":   {200, `{}`, ErrUnavailable},
		"moved":   {302, ``, ErrUnavailable},
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 4096)
		n, _ := r.Body.Read(body)
		for user, a := range answers {
			if strings.Contains(string(body[:n]), fmt.Sprintf(`"user":%q,"realm":"example.com","aor":"sip:alice@example.com"`, user)) {
				w.WriteHeader(a.status)
				fmt.Fprint(w, a.body)
				return
			}
		}
		<-r.Context().Done() // silence
	}))
	defer service.Close()
	ask := NewCallback(service.URL, time.Minute)
	defer ask.Close()
	rig := &gateRig{t: t, gate: NewGate(GateConfig{Secrets: ask, Waits: true})}
	for user, a := range answers {
		credentials := rig.answer(rig.judge("f"), user, "secret", 1)
		if !rig.gate.Waits(Attempt{Authorization: []string{credentials}}) {
			t.Error("it does not say that it waits")
		}
		if v := rig.judge("f", credentials); !errors.Is(v.Err, a.want) {
			t.Errorf("%s: %v, want %v", user, v.Err, a.want)
		}
	}
	ask.limit = 10 * time.Millisecond
	if v := rig.judge("f", rig.answer(rig.judge("f"), "silent", "secret", 1)); !errors.Is(v.Err, ErrUnavailable) || len(v.Challenges) != 0 {
		t.Errorf("a silent service: %+v", v)
	}
}

// Whatever a browser writes there: no panic, and nobody comes in.
func FuzzCredentials(f *testing.F) {
	file := filepath.Join(f.TempDir(), "users")
	if err := os.WriteFile(file, []byte("alice:secret\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	users, err := OpenUsers(file, os.LookupEnv, nil)
	if err != nil {
		f.Fatal(err)
	}
	gate := NewGate(GateConfig{Secrets: users, Key: []byte("key")})
	f.Add(`Digest username="a", realm="r", nonce="n", uri="sip:r", response="00000000000000000000000000000000", qop=auth, nc=00000001, cnonce="c"`)
	f.Add(`Bearer eyJhbGciOiJub25lIn0.e30.`)
	f.Add(`Digest`)
	f.Fuzz(func(t *testing.T, value string) {
		v := gate.Judge(context.Background(), Attempt{Method: "REGISTER", Domain: "r", Flow: "f", Authorization: []string{value}})
		if v.Err == nil {
			t.Errorf("%q let %s in", value, v.Subject.Name)
		}
	})
}

// one is a verdict's only challenge; "" where there is none.
func one(v Verdict) string {
	if len(v.Challenges) != 1 {
		return strings.Join(v.Challenges, "\n")
	}
	return v.Challenges[0]
}
