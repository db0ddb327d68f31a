package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/e2e/lab"
)

// Who the registrar is: the PBX for whom the gateway vouches, or the gateway.

const (
	signingSecret = "what the login service and the gateway share"

	knowingUsers = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
identity: {users: USERS, tokens: {secret: "` + signingSecret + `", issuer: login.example, audience: phones}}
`
	vouching = knowingUsers + `
routes:
  - {from: browsers, to: pbx, register: vouch}
  - {from: pbx, to: browsers}
`
	registering = knowingUsers + `
routes:
  - {from: browsers, user: '^6', to: pbx, register: local}
  - {from: browsers, domain: example.com, to: browsers, register: local}
  - {from: pbx, to: browsers}
registration: {store: STORE}
`
)

// knowing is a gateway whose password file knows tom and tina.
func knowing(t *testing.T, text string) *site {
	t.Helper()
	folder := t.TempDir()
	users := filepath.Join(folder, "users")
	if err := os.WriteFile(users, []byte("tom:tompw\ntina:tinapw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, strings.NewReplacer("USERS", users, "STORE", filepath.Join(folder, "bindings.db")).Replace(text))
	s.ladderOnFailure(t)
	return s
}

// byToken is an account whose user has no password but what a login service signed.
func (s *site) byToken(t *testing.T, user string) lab.Account {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: user + "@example.com", Issuer: "login.example", Audience: jwt.ClaimStrings{"phones"},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString([]byte(signingSecret))
	if err != nil {
		t.Fatal(err)
	}
	account := s.account(user, bobTone)
	account.Password, account.JWT = "", "Bearer "+text
	return account
}

// The PBX knows no passwords; it is told by the gateway who calls.
func TestVouch(t *testing.T) {
	s := knowing(t, vouching)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Trusted: []string{"tom", "tina"}})
	chromium := lab.StartChromium(t)
	jssip := chromium.Open(t).Phone(t, lab.JsSIP, s.byToken(t, "tina"))
	sipjs := chromium.Open(t).Phone(t, lab.SIPJS, s.account("tom", aliceTone))
	for _, p := range []*lab.Phone{jssip, sipjs} {
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
	}
	for _, user := range []string{"tom", "tina"} {
		out, err := asterisk.CLI("pjsip show aor " + user)
		if err != nil || !strings.Contains(out, "127.0.0.20:5060") {
			t.Errorf("%s at the PBX: %v\n%s", user, err, out)
		}
	}
	echo := jssip.Call("600")
	echo.Wait("answered", 10*time.Second)
	echo.Hears(bobTone)
	echo.Hangup()
	s.quiet(t)

	out := sipjs.Call("sip:tina@example.com") // through the PBX
	in := jssip.Incoming()
	in.Answer()
	out.Wait("answered", 10*time.Second)
	out.Hears(bobTone)
	in.Hears(aliceTone)
	out.Hangup()
	in.Wait("ended", 5*time.Second)

	wrong := s.account("tom", aliceTone)
	wrong.Password = "guessed"
	for _, account := range []lab.Account{wrong, s.account("nobody", aliceTone)} {
		if status := chromium.Open(t).Phone(t, lab.JsSIP, account).Register(); status != 401 {
			t.Errorf("%s registers: %d", account.URI, status)
		}
	}
}

// The gateway is the registrar; the PBX behind is called, and calls.
func TestLocalRegistrar(t *testing.T) {
	s := knowing(t, registering)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Trusted: []string{"tina"}, Peer: "127.0.0.20:5060"})
	chromium := lab.StartChromium(t)
	tina := chromium.Open(t).Phone(t, lab.JsSIP, s.byToken(t, "tina"))
	tom := chromium.Open(t).Phone(t, lab.SIPJS, s.account("tom", aliceTone))
	for _, p := range []*lab.Phone{tina, tom} {
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
	}
	out := tina.Call("tom") // JsSIP names itself by its GRUU
	in := tom.Incoming()
	in.Answer()
	out.Wait("answered", 10*time.Second)
	out.Hears(aliceTone)
	in.Hears(bobTone)
	in.Hangup()
	out.Wait("ended", 5*time.Second)

	echo := tina.Call("600")
	echo.Wait("answered", 10*time.Second)
	echo.Hears(bobTone)
	echo.Hangup()
	s.quiet(t)

	// The PBX dials the gateway's address, and a user there.
	if _, err := asterisk.CLI("channel originate PJSIP/tandem/sip:tina@127.0.0.20:5060 extension 601@lab"); err != nil {
		t.Fatal(err)
	}
	called := tina.Incoming()
	called.Answer()
	called.Wait("answered", 10*time.Second)
	called.Hears(1004)
	called.Hangup()
	s.quiet(t)
	if status := tina.Unregister(); status != 200 {
		t.Errorf("un-REGISTER: %d", status)
	}
}

// A desk phone registers at the gateway, too: a route says so of where it comes from. It holds and resumes.
func TestPhoneRegistersHere(t *testing.T) {
	s := knowing(t, strings.Replace(knowingUsers, "127.0.0.10:5060", "127.0.0.1:5060", 1)+`
routes:
  - {from: browsers, domain: example.com, to: browsers, register: local}
  - {from: pbx, to: browsers, register: local}
`)
	desk := lab.Baresip{Codec: "PCMA/8000/1", Registrar: "127.0.0.20:5060"}.Start(t)
	tom := lab.StartChromium(t).Open(t).Phone(t, lab.JsSIP, s.account("tom", aliceTone))
	lab.Eventually(t, 10*time.Second, "both are registered", func() error {
		if status := tom.Register(); status != 200 {
			return fmt.Errorf("tom: %d", status)
		}
		if n := s.Bridge().Stats().Registrations; n != 2 {
			return fmt.Errorf("%d registrations", n)
		}
		return nil
	})
	c := tom.Call("baresip")
	c.Wait("answered", 10*time.Second)
	c.Hears(lab.ToneHz)
	desk.Press(t, "x")
	lab.Eventually(t, 20*time.Second, "tom is held", func() error {
		if s := c.State(); !s.Held {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	c.HearsNothing()
	desk.Press(t, "X")
	c.Hears(lab.ToneHz)
	c.Hangup()
	s.quiet(t)
}

// A page that is reloaded again and again is a new client to the PBX each time, and cannot un-register the one that it was: it
// takes that one's place there, so that a PBX that allows two contacts refuses none of them, long before an expiry.
func TestReloads(t *testing.T) {
	s := newSite(t, onePBX)
	s.ladderOnFailure(t)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Keeping: 2})
	chromium := lab.StartChromium(t)
	tab := chromium.Open(t)
	var p *lab.Phone
	for i := range 21 {
		if i > 0 {
			tab.Reload(t)
		}
		p = tab.Phone(t, lab.JsSIP, s.account("alice", aliceTone))
		lab.Eventually(t, 20*time.Second, "alice is registered", func() error { // the page before may still be closing
			if status := p.Register(); status != 200 {
				return fmt.Errorf("REGISTER: %d", status)
			}
			return nil
		})
	}
	if out, err := asterisk.CLI("pjsip show aor alice"); err != nil || strings.Count(out, "alice/sip:") > 2 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := asterisk.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
		t.Fatal(err)
	}
	p.Incoming().Hangup()
	s.quiet(t)
}
