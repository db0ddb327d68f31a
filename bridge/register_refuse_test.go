package bridge

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/wss/wsstest"
)

func TestRegisterIsRejected(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "")
	rig := newRegisterRig(t, pbx)
	contacts := strings.Repeat("Contact: <sip:a@x.invalid>\r\n", maxContacts+1)
	tests := []struct {
		name, uri, to, headers string
		status                 int
		header, says           string
	}{
		{"by a route", "sip:rejected.example", "sip:a@rejected.example", "", 403, "Reason", "Refused by a rule"},
		{"no route", "sip:other.example", "sip:a@other.example", "", 404, "Reason", "No rule"},
		{"vouch without users", "sip:vouched.example", "sip:a@x", "", 403, "Reason", "knows no users"},
		{"no such pool", "sip:nowhere.example", "sip:a@x", "", 501, "Reason", "unknown"},
		{"browsers register nobody", "sip:browsers.example", "sip:a@x", "", 501, "Reason", "browsers"},
		{"unknown extension", "sip:example.com", "sip:a@x", "Require: outbound, gruu\r\nProxy-Require: privacy\r\n", 420, "Unsupported", "privacy, gruu"},
		{"no hop left", "sip:example.com", "sip:a@x", "Max-Forwards: 0\r\n", 483, "", ""},
		{"no sip: address of record", "sip:example.com", "tel:+4930", "", 400, "Reason", "sip:"},
		{"Contact * that expires later", "sip:example.com", "sip:a@x", "Contact: *\r\nExpires: 10\r\n", 400, "Reason", "Expires: 0"},
		{"Contact * with another", "sip:example.com", "sip:a@x", "Contact: *\r\nContact: <sip:a@x.invalid>\r\nExpires: 0\r\n", 400, "Reason", "alone"},
		{"too many Contacts", "sip:example.com", "sip:a@x", contacts, 400, "Reason", "more than 8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := rig.dial(wsstest.Options{Raw: true})
			if err := page.SendRaw([]byte("REGISTER " + tt.uri + " SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\n" +
				"From: <" + tt.to + ">;tag=1\r\nTo: <" + tt.to + ">\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n" + tt.headers + "\r\n")); err != nil {
				t.Fatal(err)
			}
			msg, err := page.Expect(rig.ctx, wsstest.Response(tt.status, sip.REGISTER))
			if err != nil {
				t.Fatal(err)
			}
			if res := msg.(*sip.Response); tt.header != "" && !strings.Contains(headerValue(res, tt.header), tt.says) {
				t.Errorf("%s: %q lacks %q", tt.header, headerValue(res, tt.header), tt.says)
			}
		})
	}
	if n := len(pbx.requests()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
	if n := rig.bridge.Stats().Registers[registerRejected]; n != uint64(len(tests)) {
		t.Errorf("%d counted", n)
	}
}

func TestChallengesThatBrowsersGet(t *testing.T) {
	t.Parallel()
	const md5, sha = `Digest realm="double", nonce="NONCE", algorithm=MD5, qop="auth"`, `Digest realm="double", nonce="x", algorithm=SHA-256, qop="auth"`
	tests := []struct {
		name   string
		offers []string
		status int // 0: registered
	}{
		{"MD5 behind SHA-256", []string{sha, md5}, 0},
		{"both in one header", []string{sha + ", " + md5}, 0},
		{"auth-int beside auth", []string{`Digest realm="double",nonce="NONCE",qop="auth-int,auth"`}, 0},
		{"no qop", []string{`Digest realm="double",nonce="NONCE"`}, 0},
		{"SHA-256 only", []string{sha}, 403},
		{"auth-int only", []string{`Digest realm="double",nonce="NONCE",qop="auth-int"`}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pbx := newRegistrarDouble(t, "secret")
			pbx.set(func() { pbx.challenge = tt.offers })
			rig := newRegisterRig(t, pbx)
			page := rig.dial(wsstest.Options{})
			if tt.status == 0 {
				rig.register(page, "alice", "secret")
				return
			}
			if res := rig.refused(page, "alice", "secret"); res.StatusCode != tt.status || !strings.Contains(headerValue(res, "Reason"), "vouch") {
				t.Errorf("%d, Reason %s", res.StatusCode, headerValue(res, "Reason"))
			}
			if log := rig.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "vouch") || !strings.Contains(log, pbx.name()) {
				t.Errorf("the log says %s", log)
			}
			if rig.bridge.Stats().Registers[registerUnusable] != 1 {
				t.Error("not counted")
			}
		})
	}
}

// A backend that wants more than MaxExpires gets it where the client asked for so much: else the client, told to ask for more
// than we pass on, would ask for ever.
func TestIntervalTooBrief(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	pbx.set(func() { pbx.minimum = 300 })
	rig := newRegisterRig(t, pbx)
	if res := rig.register(rig.dial(wsstest.Options{Expires: 600}), "alice", "secret"); headerValue(res, "Expires") != "300" {
		t.Errorf("granted %s", headerValue(res, "Expires"))
	}
	before := len(pbx.requests())
	rig.register(rig.dial(wsstest.Options{Expires: 600}), "bob", "secret")
	if n := len(pbx.requests()) - before; n != 2 {
		t.Errorf("the second client took %d requests: the minimum was forgotten", n)
	}
	res := rig.refused(rig.dial(wsstest.Options{Expires: 200}), "carol", "secret")
	if res.StatusCode != 423 || headerValue(res, "Min-Expires") != "300" {
		t.Errorf("%d, Min-Expires %s", res.StatusCode, headerValue(res, "Min-Expires"))
	}
	if res := rig.register(rig.dial(wsstest.Options{Expires: 300}), "carol", "secret"); headerValue(res, "Expires") != "300" {
		t.Errorf("granted %s", headerValue(res, "Expires"))
	}
}

func TestShortExpiryIsKept(t *testing.T) {
	t.Parallel()
	rig := newRegisterRig(t, newRegistrarDouble(t, ""))
	if res := rig.register(rig.dial(wsstest.Options{Expires: 30}), "alice", ""); headerValue(res, "Expires") != "30" {
		t.Errorf("granted %s", headerValue(res, "Expires"))
	}
}

func TestGuardIsAskedForNewRegistrationsOnly(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	full := false
	guard := guardFunc(func(origin, aor string, method sip.RequestMethod) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, origin+" "+aor+" "+string(method))
		if full {
			return errors.New("too many registrations")
		}
		return nil
	})
	rig := newGuardedRig(t, guard, newRegistrarDouble(t, ""))
	page := rig.dial(wsstest.Options{})
	rig.register(page, "alice", "")
	mu.Lock()
	full = true
	mu.Unlock()
	rig.register(page, "alice", "")
	if res := rig.refused(rig.dial(wsstest.Options{}), "bob", ""); res.StatusCode != 503 || !strings.Contains(headerValue(res, "Reason"), "too many registrations") {
		t.Errorf("%d, Reason %s", res.StatusCode, headerValue(res, "Reason"))
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(asked, ", "); got != "browsers sip:alice@example.com REGISTER, browsers sip:bob@example.com REGISTER" {
		t.Errorf("asked: %s", got)
	}
}

func TestManyBrowsersAtOnce(t *testing.T) {
	t.Parallel()
	a, b := newRegistrarDouble(t, "secret"), newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, a, b)
	var wg sync.WaitGroup
	const browsers = 20
	for i := range browsers {
		page := rig.dial(wsstest.Options{})
		wg.Go(func() {
			for range 3 {
				if _, err := page.Register(rig.ctx, "user"+string(rune('a'+i)), "secret"); err != nil {
					t.Error(err)
				}
			}
			page.Drop()
		})
	}
	wg.Wait()
	dormant := func() (n int) {
		for i := range browsers {
			for _, b := range rig.store.ByAOR("sip:user" + string(rune('a'+i)) + "@example.com") {
				if b.Flow == "" {
					n++
				}
			}
		}
		return n
	}
	rig.until("all bindings are dormant", func() bool { return dormant() == browsers })
	if len(a.contacts()) == 0 || len(b.contacts()) == 0 {
		t.Errorf("the users are not spread: %d and %d", len(a.contacts()), len(b.contacts()))
	}
}
