package stir

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSignedIsVerified(t *testing.T) {
	t.Parallel()
	spc := func(t *testing.T) []byte { return list(t, entry(t, 0, "1001", "ia5")) }
	s := newShop(t, order{tn: spc(t), usage: x509.KeyUsageDigitalSignature})
	v := s.verifier()
	value := s.sign()
	got, f := v.Verify(t.Context(), usual(value))
	if f != nil || got != (Verified{caller, Full, origin}) {
		t.Fatalf("%+v, %v", got, f)
	}
	token, _, _ := strings.Cut(value, ";")
	parts := strings.Split(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if want := `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"` + s.url() + `"}`; string(header) != want {
		t.Errorf("header %s", header)
	}
	if !strings.HasPrefix(string(payload), `{"attest":"A","dest":{"tn":["`+callee+`"]},"iat":`) ||
		!strings.HasSuffix(string(payload), `,"orig":{"tn":"`+caller+`"},"origid":"`+origin+`"}`) {
		t.Errorf("payload %s", payload)
	}
	// another Identity header beside it does not matter, and the certificate is fetched once
	div := strings.Replace(value, `ppt="shaken"`, "ppt=div", 1)
	for _, r := range []Request{usual(div, div, div, div, div, value), usual("nonsense", value), usual(s.sign(func(p *Passport) { p.Orig = "1" }), value)} {
		if _, f := v.Verify(t.Context(), r); f != nil {
			t.Error(f)
		}
	}
	if _, f := v.Verify(t.Context(), usual("a", "b", "c", "d", value)); f == nil || f.Reason != Malformed {
		t.Errorf("after much nonsense: %v", f)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestCompactForm(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{})
	now := s.now().Truncate(time.Second)
	key, err := s.signer.key.Get(now)
	s.check(err)
	text := encoded(joseHeader{Alg: "ES256", Typ: "passport", X5U: s.url()}) + "." +
		encoded(Passport{Orig: caller, Dest: []string{callee}, IssuedAt: now}.claims())
	signature, err := signed(text, key)
	s.check(err)
	value := ".." + signature + ";info=<" + s.url() + ">;alg=ES256"
	r := usual(value)
	r.Date = now.UTC().Format(http.TimeFormat)
	if got, f := s.verifier().Verify(t.Context(), r); f != nil || got != (Verified{Number: caller}) {
		t.Errorf("%+v, %v", got, f)
	}
	r.Date = now.Add(time.Second).UTC().Format(http.TimeFormat)
	if _, f := s.verifier().Verify(t.Context(), r); f == nil || f.Reason != Signature {
		t.Errorf("with another date: %v", f)
	}
	r.Identities[0] += ";ppt=shaken"
	if _, f := s.verifier().Verify(t.Context(), r); f == nil || f.Reason != Malformed {
		t.Errorf("SHAKEN: %v", f)
	}
}

func TestNotVerified(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{})
	v := s.verifier()
	good := s.sign()
	date := func(d time.Duration) string { return s.now().Add(d).UTC().Format(http.TimeFormat) }
	altered := func(value string, at int) string {
		b := []byte(value)
		b[at] = map[bool]byte{true: 'B', false: 'A'}[b[at] == 'A'] // still base64
		return string(b)
	}
	dot := strings.LastIndexByte(good[:strings.IndexByte(good, ';')], '.')
	for name, c := range map[string]struct {
		r      Request
		reason string
		status int
	}{
		"no header":          {usual(), Missing, 428},
		"only div":           {usual(strings.Replace(good, `"shaken"`, `"div"`, 1)), Missing, 428},
		"no number":          {Request{Identities: []string{good}, Callers: []string{"", ""}, Callee: callee}, NoNumber, 428},
		"nonsense":           {usual("nonsense"), Malformed, 438},
		"too old":            {usual(s.sign(func(p *Passport) { p.IssuedAt = p.IssuedAt.Add(-63 * time.Second) })), Stale, 403},
		"of the future":      {usual(s.sign(func(p *Passport) { p.IssuedAt = p.IssuedAt.Add(63 * time.Second) })), Stale, 403},
		"an old Date":        {Request{Identities: []string{good}, Callers: []string{caller}, Callee: callee, Date: date(-time.Hour)}, Stale, 403},
		"a Date of no time":  {Request{Identities: []string{good}, Callers: []string{caller}, Callee: callee, Date: "today"}, Stale, 403},
		"another caller":     {Request{Identities: []string{good}, Callers: []string{"12155551213"}, Callee: callee}, Mismatch, 438},
		"another callee":     {Request{Identities: []string{good}, Callers: []string{caller}, Callee: "12355551213"}, Mismatch, 438},
		"the signature":      {usual(altered(good, dot+8)), Signature, 438},
		"no attest":          {usual(s.sign(func(p *Passport) { p.Attest = "" })), Malformed, 438},
		"an unknown attest":  {usual(s.sign(func(p *Passport) { p.Attest = "D" })), Malformed, 438},
		"an origid no UUID":  {usual(s.sign(func(p *Passport) { p.OrigID = "x\r\nEvil: 1" })), Malformed, 438},
		"another algorithm":  {usual(strings.Replace(good, "alg=ES256", "alg=none", 1)), Unsupported, 437},
		"info is another":    {usual(strings.Replace(good, "/cert.pem>", "/other.pem>", 1)), Malformed, 438},
		"another type":       {usual(s.token(`{"alg":"ES256","ppt":"rph","typ":"passport","x5u":"X"}`)), Malformed, 438},
		"alg none in token":  {usual(s.token(`{"alg":"none","ppt":"shaken","typ":"passport","x5u":"X"}`)), Unsupported, 437},
		"HS256 in token":     {usual(s.token(`{"alg":"HS256","ppt":"shaken","typ":"passport","x5u":"X"}`)), Unsupported, 437},
		"an unknown crit":    {usual(s.token(`{"alg":"ES256","crit":["b64"],"ppt":"shaken","typ":"passport","x5u":"X"}`)), Malformed, 438},
		"a header no object": {usual(s.token(`[]`)), Malformed, 438},
	} {
		got, f := v.Verify(t.Context(), c.r)
		if f == nil || f.Reason != c.reason || got != (Verified{}) {
			t.Errorf("%s: %+v, %+v", name, got, f)
			continue
		}
		if status, _ := f.Status(); status != c.status {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// token is a header with another JWS header, X in it being the URL, and a signature that is good.
func (s *shop) token(header string) string {
	s.t.Helper()
	key, err := s.signer.key.Get(s.now())
	s.check(err)
	p := Passport{Attest: Full, Orig: caller, Dest: []string{callee}, IssuedAt: s.now(), OrigID: origin}
	text := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(header, "X", s.url(), 1))) + "." + encoded(p.claims())
	signature, err := signed(text, key)
	s.check(err)
	return text + "." + signature + ";info=<" + s.url() + ">"
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		o      func(t *testing.T) order
		change func(s *shop, c *Config)
		reason string // "": it is verified
	}{
		"without a TNAuthList": {},
		"a provider's code": {o: func(t *testing.T) order {
			return order{tn: list(t, entry(t, 0, "1001", "ia5"))}
		}},
		"the number": {o: func(t *testing.T) order {
			return order{tn: list(t, entry(t, 2, "12155550000", "ia5"), entry(t, 2, caller, "ia5"))}
		}},
		"a range with it": {o: func(t *testing.T) order {
			return order{tn: list(t, entry(t, 1, numbered{"12155551200", 13}, ""))}
		}},
		"a range that ends before it": {o: func(t *testing.T) order {
			return order{tn: list(t, entry(t, 1, numbered{"12155551200", 12}, ""))}
		}, reason: Authority},
		"another number": {o: func(t *testing.T) order {
			return order{tn: list(t, entry(t, 2, "12155550000", "ia5"))}
		}, reason: Authority},
		"a TNAuthList of nonsense": {o: func(*testing.T) order { return order{tn: []byte{0x30, 0x01}} }, reason: Authority},
		"P-384":                    {o: func(*testing.T) order { return order{curve: elliptic.P384()} }, reason: Unsupported},
		"over":                     {o: func(*testing.T) order { return order{from: time.Now().Add(-2 * day), until: time.Now().Add(-day)} }, reason: Untrusted},
		"not yet":                  {o: func(*testing.T) order { return order{from: time.Now().Add(day), until: time.Now().Add(2 * day)} }, reason: Untrusted},
		"not for signatures":       {o: func(*testing.T) order { return order{usage: x509.KeyUsageKeyEncipherment} }, reason: Untrusted},
		"another authority": {change: func(s *shop, c *Config) {
			c.CA = newShop(s.t, order{}).dir + "/ca.pem"
		}, reason: Untrusted},
		"no authority":            {change: func(s *shop, c *Config) { c.CA = s.dir + "/none.pem" }, reason: Untrusted},
		"its server not trusted":  {change: func(s *shop, c *Config) { c.Fetch.CA = "" }, reason: Unreachable},
		"a private address":       {change: func(s *shop, c *Config) { c.Fetch.Private = nil }, reason: Location},
		"a host that is not ours": {change: func(s *shop, c *Config) { c.Fetch.Hosts = []string{"*.example.com"} }, reason: Location},
		"the host":                {change: func(s *shop, c *Config) { c.Fetch.Hosts = []string{"x.example.com", s.host()} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o order
			if c.o != nil {
				o = c.o(t)
			}
			s := newShop(t, o)
			if o.curve != nil { // the signer refuses such a key itself
				s.signAnyhow(t)
			}
			v := s.verifier(func(cfg *Config) {
				if c.change != nil {
					c.change(s, cfg)
				}
			})
			value := s.sign()
			_, f := v.Verify(t.Context(), usual(value))
			switch {
			case c.reason == "" && f != nil:
				t.Error(f)
			case c.reason != "" && (f == nil || f.Reason != c.reason):
				t.Errorf("%v, not %s", f, c.reason)
			}
		})
	}
}

// signAnyhow has a key of P-256 sign.
func (s *shop) signAnyhow(t *testing.T) {
	der, err := x509.MarshalECPrivateKey(newKey(t, elliptic.P256()))
	s.check(err)
	s.write("leaf.key", "EC PRIVATE KEY", der)
}

// What is behind a list, or has no known tag, is refused.
func TestTNAuthList(t *testing.T) {
	t.Parallel()
	for name, der := range map[string][]byte{
		"trailing":      append(list(t, entry(t, 2, caller, "ia5")), 0),
		"unknown":       list(t, entry(t, 7, caller, "ia5")),
		"untagged":      list(t, asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagIA5String, Bytes: []byte(caller)}),
		"a range of 1":  list(t, entry(t, 1, numbered{caller, 1}, "")),
		"a range of -1": list(t, entry(t, 1, numbered{caller, -1}, "")),
		"no digits":     list(t, entry(t, 1, numbered{"+1", 2}, "")),
	} {
		s := newShop(t, order{tn: der})
		if _, f := s.verifier().Verify(t.Context(), usual(s.sign())); f == nil || f.Reason != Authority {
			t.Errorf("%s: %v", name, f)
		}
	}
}
