package wss_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/wss"
	"tandem/wss/wsstest"
)

// doorkeeper is a Guard that says what a test wants.
type doorkeeper struct {
	shut bool

	mu sync.Mutex
	// guarded by mu
	serve, end bool
	judged     []string
}

func (k *doorkeeper) Visit(netip.Addr) wss.Visitor {
	if k.shut {
		return nil
	}
	return k
}

func (k *doorkeeper) Message([]byte) (ok, end bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.serve, k.end
}

func (k *doorkeeper) Admit(string) (int, string) { return 0, "" }

func (k *doorkeeper) Judged(aor string, good bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.judged = append(k.judged, fmt.Sprint(aor, " ", good))
}

func (k *doorkeeper) says(serve, end bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serve, k.end = serve, end
}

func TestGuardRefusesHandshakes(t *testing.T) {
	d := open(t, wss.Config{Guard: &doorkeeper{shut: true}}, false)
	_, err := wsstest.Dial(within(t), d.URL, wsstest.Options{})
	var refused *wsstest.HandshakeError
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
		t.Errorf("%v", err)
	}
	if n := d.Stats().Refused["rate"]; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// A request too many gets a 503 with Retry-After, and the connection goes on; one that has to end is closed without an answer.
func TestGuardRefusesRequests(t *testing.T) {
	keeper := &doorkeeper{}
	d := open(t, wss.Config{Guard: keeper}, false)
	b := d.dial(t, wsstest.Options{})
	res, err := b.Do(within(t), b.NewRequest(sip.OPTIONS, "sip:a@example.com"))
	if err != nil || res.StatusCode != 503 || res.GetHeader("Retry-After") == nil || !strings.Contains(res.String(), "too many requests") {
		t.Errorf("%v %v", res, err)
	}
	keeper.says(true, false)
	if res, err := b.Do(within(t), b.NewRequest(sip.OPTIONS, "sip:a@example.com")); err != nil || res.StatusCode != 200 {
		t.Errorf("afterwards: %v %v", res, err)
	}
	keeper.says(false, true)
	if res, err := b.Do(within(t), b.NewRequest(sip.OPTIONS, "sip:a@example.com")); err == nil {
		t.Errorf("answered %v", res)
	}
	<-b.Done()
	eventually(t, "the closing is counted", func() bool { return d.Stats().Closed["guard"] == 1 })
}

// A token that is wrong is told by its fingerprint; one that nobody could judge says nothing of its bearer.
func TestGuardHearsOfTokens(t *testing.T) {
	keeper := &doorkeeper{serve: true}
	d := open(t, wss.Config{Guard: keeper, Authenticate: func(_ context.Context, c wss.Credentials) (any, error) {
		switch c.Token {
		case "good":
			return "alice", nil
		case "late":
			return nil, fmt.Errorf("%w: no keys", wss.ErrUnavailable)
		}
		return nil, errors.New("forged")
	}}, false)
	for token, want := range map[string]int{"good": 0, "late": http.StatusServiceUnavailable, "bad": http.StatusUnauthorized} {
		b, err := wsstest.Dial(within(t), d.URL+"?access_token="+token, wsstest.Options{})
		var refused *wsstest.HandshakeError
		if errors.As(err, &refused) && refused.Status != want || err == nil != (want == 0) {
			t.Errorf("%s: %v", token, err)
		}
		if b != nil {
			b.Close()
		}
	}
	keeper.mu.Lock()
	defer keeper.mu.Unlock()
	good, bad := false, false
	for _, said := range keeper.judged {
		good = good || said == " true"
		bad = bad || strings.HasPrefix(said, "token:") && strings.HasSuffix(said, " false") && !strings.Contains(said, "bad")
	}
	if len(keeper.judged) != 2 || !good || !bad {
		t.Errorf("%q", keeper.judged)
	}
}
