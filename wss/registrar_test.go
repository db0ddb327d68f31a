package wss_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// registrar answers REGISTER as a PBX would: challenge, then 200 with the Contact verbatim.
type registrar struct {
	algorithm, password string
	nonces              []string // valid one after the other; the last stays
	seen                []*sip.Request
}

func (r *registrar) take(_ *wss.Conn, tx *transaction.Server) bool {
	req := tx.Request()
	if req.Method != sip.REGISTER {
		return false
	}
	r.seen = append(r.seen, req)
	_ = tx.Respond(r.answer(req))
	return true
}

func (r *registrar) answer(req *sip.Request) *sip.Response {
	nonce := r.nonces[0]
	h := req.GetHeader("Authorization")
	if h == nil {
		return r.challenge(req, nonce, false)
	}
	cred, err := digest.ParseCredentials(h.Value())
	if err != nil {
		return reply(req, 400, err.Error())
	}
	if len(r.nonces) > 1 {
		r.nonces = r.nonces[1:]
		return r.challenge(req, r.nonces[0], true)
	}
	want, err := digest.Digest(&digest.Challenge{Realm: cred.Realm, Nonce: nonce, QOP: []string{"auth"}, Algorithm: "MD5"},
		digest.Options{Method: "REGISTER", URI: cred.URI, Username: "alice", Password: r.password, Cnonce: cred.Cnonce, Count: cred.Nc})
	if err != nil || want.Response != cred.Response || cred.Nonce != nonce {
		return reply(req, 403, "Wrong Password")
	}
	res := reply(req, 200, "OK")
	res.AppendHeader(sip.HeaderClone(req.Contact()))
	return res
}

func (r *registrar) challenge(req *sip.Request, nonce string, stale bool) *sip.Response {
	res := reply(req, 401, "Unauthorized")
	value := fmt.Sprintf(`Digest realm="example.com", nonce="%s", algorithm=%s, qop="auth"`, nonce, r.algorithm)
	if stale {
		value += ", stale=true"
	}
	res.AppendHeader(sip.NewHeader("WWW-Authenticate", value))
	return res
}

func TestRegister(t *testing.T) {
	for _, tc := range []struct {
		name     string
		opt      wsstest.Options
		reg      registrar
		status   int
		requests int
		fault    string
	}{
		{name: "MD5", reg: registrar{algorithm: "MD5", nonces: []string{"one"}}, status: 200, requests: 2},
		{name: "stale nonce", reg: registrar{algorithm: "MD5", nonces: []string{"one", "two"}}, status: 200, requests: 3},
		{name: "wrong password", reg: registrar{algorithm: "MD5", password: "other", nonces: []string{"one"}}, status: 403, requests: 2},
		{name: "SHA-256 is beyond JsSIP", reg: registrar{algorithm: "SHA-256", nonces: []string{"one"}}, status: 401, requests: 1,
			fault: "MD5 only"},
		{name: "without an instance", opt: wsstest.Options{NoInstance: true},
			reg: registrar{algorithm: "MD5", nonces: []string{"one"}}, status: 200, requests: 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, wss.Config{}, true)
			reg := tc.reg
			if reg.password == "" {
				reg.password = "secret"
			}
			d.far.taking(reg.take)
			b, err := wsstest.Dial(within(t), d.URL, tc.opt)
			if err != nil {
				t.Fatal(err)
			}
			res, err := b.Register(within(t), "alice", "secret")
			if res == nil || res.StatusCode != tc.status || (err == nil) != (tc.status == 200) {
				t.Fatalf("%v %v\n%s", res, err, b.Ladder())
			}
			b.Close()
			if faults := strings.Join(b.Faults(), "\n"); !strings.Contains(faults, tc.fault) || (faults == "") != (tc.fault == "") {
				t.Errorf("faults %q, want %q", faults, tc.fault)
			}
			if len(reg.seen) != tc.requests {
				t.Fatalf("%d REGISTERs, want %d\n%s", len(reg.seen), tc.requests, b.Ladder())
			}
			for i, req := range reg.seen {
				if *req.CallID() != *reg.seen[0].CallID() || req.CSeq().SeqNo != uint32(i+1) {
					t.Errorf("REGISTER %d: Call-ID %s, CSeq %d", i, *req.CallID(), req.CSeq().SeqNo)
				}
			}
		})
	}
}

// TestRegisterIgnored is a 200 that the libraries pass over: the double must not.
func TestRegisterIgnored(t *testing.T) {
	for name, contact := range map[string]string{
		"no Contact":           "",
		"another's":            "<sip:other@elsewhere.invalid;transport=ws>;expires=60",
		"not verbatim":         "<sip:CONTACT@gateway.example.com>;expires=60",
		"without expires":      "<sip:CONTACT@VIA;transport=ws>",
		"expires not a number": "<sip:CONTACT@VIA;transport=ws>;expires=soon",
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, wss.Config{}, false)
			d.far.taking(func(_ *wss.Conn, tx *transaction.Server) bool {
				res := reply(tx.Request(), 200, "OK")
				if contact != "" {
					own := tx.Request().Contact().Address
					value := strings.NewReplacer("CONTACT", own.User, "VIA", own.Host).Replace(contact)
					res.AppendHeader(sip.NewHeader("Contact", value))
				}
				return tx.Respond(res) == nil
			})
			b, err := wsstest.Dial(within(t), d.URL, wsstest.Options{NoInstance: true})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err := b.Register(within(t), "alice", "secret"); err == nil || len(b.Faults()) != 1 {
				t.Errorf("%v, faults %q", err, b.Faults())
			}
		})
	}
}
