package bridge

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// keeper is a guard of the browsers' door that notes what it is told, and refuses whom a test wants refused.
type keeper struct {
	mu sync.Mutex
	// guarded by mu
	told    []string
	refuses map[string]int // by address of record
}

func (k *keeper) Visit(netip.Addr) wss.Visitor  { return k }
func (k *keeper) Message([]byte) (ok, end bool) { return true, false }
func (k *keeper) Admit(aor string) (int, string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refuses[aor], "for the test"
}
func (k *keeper) Judged(aor string, good bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = append(k.told, strings.TrimSuffix(strings.TrimPrefix(aor, "sip:"), "@example.com")+map[bool]string{true: " good", false: " bad"}[good])
}

func (k *keeper) heard() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.told
	k.told = nil
	return told
}

const challengeOfPBX = `Digest realm="example.com", nonce="n", algorithm=MD5, qop="auth"`

// distrustful is a PBX that believes nobody but alice, with whatever credentials; of carol it finds the first nonce stale.
func distrustful(int) func(*siptest.Incoming) bool {
	var mu sync.Mutex
	stale := false
	return func(in *siptest.Incoming) bool {
		req := in.Request()
		reply := siptest.Reply{Status: 401, Headers: []sip.Header{sip.NewHeader("WWW-Authenticate", challengeOfPBX)}}
		credentials, user := req.GetHeader("Authorization") != nil, req.From().Address.User
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !credentials || req.Method == sip.ACK:
		case user == "carol" && !stale:
			stale = true
			reply.Headers = []sip.Header{sip.NewHeader("WWW-Authenticate", strings.Replace(challengeOfPBX, `"n"`, `"m", stale=true`, 1))}
		case user == "mallory":
			reply = siptest.Reply{Status: 403}
		case req.Method == sip.REGISTER && user != "bob":
			reply = siptest.Reply{Status: 200, Headers: []sip.Header{req.Contact()}}
		}
		if req.Method != sip.ACK {
			_ = in.Respond(reply) // the caller finds out
		}
		return true
	}
}

// What a PBX thinks of credentials reaches the guard; a stale nonce says nothing of them.
func TestGuardHearsWhatThePBXThinks(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	w := newWorld(t, conditions{keeper: k, handler: distrustful})
	for _, c := range []struct {
		user string
		want []string
	}{
		{"alice", []string{"alice good"}}, {"bob", []string{"bob bad"}}, {"mallory", []string{"mallory bad"}}, {"carol", []string{"carol good"}},
	} {
		_, _ = w.browser(wsstest.Options{}).Register(w.ctx(), c.user, "secret") // what matters is what the guard hears
		if got := k.heard(); !slices.Equal(got, c.want) {
			t.Errorf("%s registers: the guard hears %q", c.user, got)
		}
	}
	for _, method := range []sip.RequestMethod{sip.INVITE, sip.MESSAGE} {
		b := w.browser(wsstest.Options{})
		b.SetUser("bob", "wrong")
		if method == sip.MESSAGE {
			_, _ = b.Do(w.ctx(), b.NewRequest(method, "sip:600@example.com")) // as above
		} else {
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Ended))
		}
		if got := k.heard(); !slices.Equal(got, []string{"bob bad"}) {
			t.Errorf("%s: the guard hears %q", method, got)
		}
	}
}

// Where the gateway judges, the guard hears that.
func TestGuardHearsWhatTheGateThinks(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	with := conditions{keeper: k}
	w := localWorld(t, with)
	for _, c := range []struct{ user, password, want string }{
		{"alice", "secret", "alice good"}, {"alice", "wrong", "alice bad"}, {"nobody", "wrong", "nobody bad"},
	} {
		_, _ = w.browser(wsstest.Options{}).Register(w.ctx(), c.user, c.password) // as above
		if got := k.heard(); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s with %s: the guard hears %q", c.user, c.password, got)
		}
	}
}

// Whom the guard keeps out is refused before anything is done or asked in his name.
func TestGuardKeepsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{keeper: &keeper{refuses: map[string]int{"sip:bob@example.com": 403, "sip:carol@example.com": 503}}})
	for user, want := range map[string]int{"bob": 403, "carol": 503} {
		b := w.browser(wsstest.Options{})
		b.SetUser(user, "secret")
		_, err := b.Register(w.ctx(), user, "secret")
		var refused *wsstest.StatusError
		if !errors.As(err, &refused) || refused.Response.StatusCode != want {
			t.Errorf("REGISTER of %s: %v", user, err)
		}
		res, err := b.Do(w.ctx(), b.NewRequest(sip.MESSAGE, "sip:600@example.com"))
		if err != nil || res.StatusCode != want || (res.GetHeader("Retry-After") != nil) != (want == 503) || !strings.Contains(header(res, "Reason"), "for the test") {
			t.Errorf("MESSAGE of %s: %v %v", user, res, err)
		}
	}
	if n := w.bridge.Stats().Registers[registerRejected]; n != 2 {
		t.Errorf("%d counted", n)
	}
}
