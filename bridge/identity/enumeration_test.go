package identity

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const someUsers = "alice:secret\nhashy:example.com:0123456789abcdef0123456789abcdef\n"

// refusing gives judged wrong credentials of a user, each time with a nonce of its own.
func (r *gateRig) refusing(user string) func() Verdict {
	asked := r.judge("f1")
	credentials := r.answer(asked, user, "wrong", 1)
	return func() Verdict { return r.judge("f1", credentials) }
}

// An unknown user and a wrong password cost the same: what is done is the same, counted by what it allocates, and the times look
// alike where they are taken in turns.
func TestUnknownUsersCostWhatWrongPasswordsCost(t *testing.T) {
	rig := newGateRig(t, someUsers)
	known := map[string]func() Verdict{"a password": rig.refusing("alice"), "a hash": rig.refusing("hashy")}
	unknown := rig.refusing("nobdy")
	for kind, wrong := range known {
		a, b := testing.AllocsPerRun(500, func() { wrong() }), testing.AllocsPerRun(500, func() { unknown() })
		if a != b {
			t.Errorf("%s: %v allocations for a wrong password, %v for an unknown user", kind, a, b)
		}
		alike := false
		var ratio float64
		for range 20 { // somebody else's work on this machine is no difference
			if ratio = timedInTurns(wrong, unknown); ratio > 0.8 && ratio < 1.25 {
				alike = true
				break
			}
		}
		if !alike {
			t.Errorf("%s: a wrong password takes %.2f of the time of an unknown user", kind, ratio)
		}
	}
}

// timedInTurns is the relation of two functions' median times.
func timedInTurns(a, b func() Verdict) float64 {
	const turns = 400
	var took [2][]time.Duration
	for i := range 2 * turns {
		start := time.Now()
		if i%2 == 0 {
			a()
		} else {
			b()
		}
		took[i%2] = append(took[i%2], time.Since(start))
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	return float64(took[0][turns/2]) / float64(took[1][turns/2])
}

// The verdicts differ in nothing but the nonce.
func TestVerdictsOfUnknownUsersAreThoseOfWrongPasswords(t *testing.T) {
	rig := newGateRig(t, someUsers)
	var seen []string
	for _, user := range []string{"alice", "hashy", "nobdy", "alice@example.com", ""} {
		v := rig.refusing(user)()
		head, rest, _ := strings.Cut(one(v), `nonce="`)
		nonce, tail, _ := strings.Cut(rest, `"`)
		seen = append(seen, head+strings.Repeat("n", len(nonce))+tail+" / "+v.Err.Error())
	}
	if len(slices.Compact(seen)) != 1 {
		t.Errorf("%q", seen)
	}
}

// slowDesk knows alice, and looks for her longer than for nobody.
type slowDesk struct{}

func (slowDesk) HA1(ctx context.Context, l Login) (string, bool, error) {
	if l.User != "alice" {
		time.Sleep(time.Millisecond)
		return "", false, ErrWrong
	}
	time.Sleep(80 * time.Millisecond)
	return MD5.HA1("alice", l.Realm, "secret"), false, nil
}

// Where a service is asked, refusals take as long as its slowest answer of late, whoever it does not know.
func TestRefusalsKeepPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := NewGate(GateConfig{Secrets: slowDesk{}, Waits: true, Key: []byte("key")})
		rig := &gateRig{t: t, gate: gate}
		try := func(user, password string) time.Duration {
			asked := rig.judge("f1")
			credentials := rig.answer(asked, user, password, 1)
			start := time.Now()
			v := rig.judge("f1", credentials)
			if (v.Err == nil) != (password == "secret") || v.Err != nil && !errors.Is(v.Err, ErrWrong) {
				t.Errorf("%s: %v", user, v.Err)
			}
			return time.Since(start)
		}
		try("alice", "secret")
		if wrong, unknown := try("alice", "wrong"), try("nobdy", "wrong"); wrong != unknown || wrong != 80*time.Millisecond {
			t.Errorf("a wrong password takes %s, an unknown user %s", wrong, unknown)
		}
		if good := try("alice", "secret"); good != 80*time.Millisecond {
			t.Errorf("a good password is held up: %s", good)
		}
		time.Sleep(2*paceWindow + time.Second)
		try("nobdy", "wrong")
		time.Sleep(paceWindow + time.Second)
		if unknown := try("nobdy", "wrong"); unknown != time.Millisecond {
			t.Errorf("an old slow answer holds refusals up for ever: %s", unknown)
		}
	})
}

// What a callback says against somebody, by status, by word or by another hash, is the same to the outside.
func TestRefusalsOfACallbackAreAlike(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch kind := r.URL.Path; kind {
		case "/404":
			http.NotFound(w, r)
		case "/401":
			w.WriteHeader(http.StatusUnauthorized)
		case "/no":
			w.Write([]byte(`{"allow": false}`))
		default:
			w.Write([]byte(`{"ha1": "0123456789abcdef0123456789abcdef"}`))
		}
	}))
	defer service.Close()
	var seen []string
	for _, path := range []string{"/404", "/401", "/no", "/ha1"} {
		callback := NewCallback(service.URL+path, time.Minute)
		defer callback.Close()
		rig := &gateRig{t: t, gate: NewGate(GateConfig{Secrets: callback, Waits: true, Key: []byte("key"), Log: slog.New(slog.DiscardHandler)})}
		v := rig.refusing("alice")()
		head, rest, _ := strings.Cut(one(v), `nonce="`)
		nonce, tail, _ := strings.Cut(rest, `"`)
		seen = append(seen, head+strings.Repeat("n", len(nonce))+tail+" / "+v.Err.Error())
	}
	if len(slices.Compact(seen)) != 1 {
		t.Errorf("%q", seen)
	}
}
