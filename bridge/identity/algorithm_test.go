package identity

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"
)

// provider is a gate for one peer that offers these algorithms.
type provider struct {
	t    *testing.T
	gate *Gate
	now  time.Time
}

func newProvider(t *testing.T, algorithms ...Algorithm) *provider {
	p := &provider{t: t, now: time.Now()}
	p.gate = NewGate(GateConfig{
		Secrets: OneUser{"carrier", "secret"}, Key: []byte("key"), Algorithms: algorithms, Now: func() time.Time { return p.now },
	})
	return p
}

func (p *provider) judge(authorization ...string) Verdict {
	return p.gate.Judge(context.Background(), Attempt{Method: "INVITE", Domain: "us.example", Flow: "carrier", Authorization: authorization})
}

// answers computes credentials for one of a verdict's challenges.
func (p *provider) answers(v Verdict, algorithm Algorithm, password string, count int) string {
	p.t.Helper()
	for _, text := range v.Challenges {
		c, err := digest.ParseChallenge(text)
		if err != nil {
			p.t.Fatalf("%q: %v", text, err)
		}
		if c.Algorithm != string(algorithm) {
			continue
		}
		cred, err := digest.Digest(c, digest.Options{Method: "INVITE", URI: "sip:us.example", Count: count, Username: "carrier", Password: password})
		if err != nil {
			p.t.Fatal(err)
		}
		return cred.String()
	}
	p.t.Fatalf("no %s in %q", algorithm, v.Challenges)
	return ""
}

// One challenge for each algorithm, the strongest first (RFC 8760 §2.3), and any of them may be answered.
func TestEachAlgorithmIsChallenged(t *testing.T) {
	p := newProvider(t, MD5, SHA512256, SHA256)
	v := p.judge()
	var offered []string
	for _, text := range v.Challenges {
		c, err := digest.ParseChallenge(text)
		if err != nil || c.Realm != "us.example" || c.Stale || strings.Join(c.QOP, ",") != "auth" {
			t.Errorf("%q: %+v, %v", text, c, err)
			continue
		}
		offered = append(offered, c.Algorithm)
	}
	if got := strings.Join(offered, " "); !errors.Is(v.Err, ErrNoCredentials) || got != "SHA-512-256 SHA-256 MD5" {
		t.Fatalf("%s: %+v", got, v)
	}
	for _, algorithm := range Algorithms() {
		v := p.judge()
		good := p.answers(v, algorithm, "secret", 1)
		if v := p.judge(p.answers(v, algorithm, "wrong", 1)); !errors.Is(v.Err, ErrWrong) || len(v.Challenges) != 3 {
			t.Errorf("%s, a wrong password: %+v", algorithm, v)
		}
		if v := p.judge(good); v.Err != nil || v.Subject.Name != "carrier" {
			t.Errorf("%s: %+v", algorithm, v)
		}
		if v := p.judge(good); !errors.Is(v.Err, ErrStale) || len(v.Challenges) != 3 || !strings.Contains(v.Challenges[2], "stale=true") {
			t.Errorf("%s, again: %+v", algorithm, v)
		}
		if v := p.judge(p.answers(v, algorithm, "secret", 2)); v.Err != nil {
			t.Errorf("%s, counted on: %+v", algorithm, v)
		}
	}
	v = p.judge()
	p.now = p.now.Add(6 * time.Minute)
	if v := p.judge(p.answers(v, SHA256, "secret", 1)); !errors.Is(v.Err, ErrStale) {
		t.Errorf("an old nonce: %+v", v)
	}
}

// What was not offered is not taken, and no algorithm stands for another (RFC 8760 §2.4).
func TestOnlyWhatWasOfferedIsTaken(t *testing.T) {
	strong := newProvider(t, SHA256)
	good := strong.answers(strong.judge(), SHA256, "secret", 1)
	without := strings.Replace(strings.Replace(good, ", qop=auth", "", 1), ", nc=00000001", "", 1)
	for name, credentials := range map[string]string{
		"MD5":                   newProvider(t, MD5).answers(strong.offering(MD5), MD5, "secret", 1),
		"named MD5":             strings.Replace(good, "SHA-256", "MD5", 1),
		"named nothing":         strings.Replace(good, ", algorithm=SHA-256", "", 1),
		"unknown":               strings.Replace(good, "SHA-256", "SHA-1", 1),
		"SHA-256 without a qop": without,
	} {
		if v := strong.judge(credentials); !errors.Is(v.Err, ErrWrong) || len(v.Challenges) != 1 {
			t.Errorf("%s: %+v of %s", name, v, credentials)
		}
	}
	if v := strong.judge(good); v.Err != nil {
		t.Errorf("%+v of %s", v, good)
	}
	if old := newProvider(t); one(old.judge()) == "" || !strings.Contains(one(old.judge()), "algorithm=MD5") {
		t.Errorf("by default: %+v", old.judge())
	}
}

// offering is the gate's challenge with another algorithm in its place.
func (p *provider) offering(algorithm Algorithm) Verdict {
	v := p.judge()
	v.Challenges[0] = strings.Replace(v.Challenges[0], "SHA-256", string(algorithm), 1)
	return v
}
