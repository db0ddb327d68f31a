package identity

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

func response(status int, headers ...string) *sip.Response {
	res := sip.NewResponse(status, "")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		res.AppendHeader(sip.NewHeader(name, value))
	}
	return res
}

func texts(headers []sip.Header) []string {
	var all []string
	for _, h := range headers {
		all = append(all, h.Name()+": "+h.Value())
	}
	return all
}

func TestForBrowser(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		headers []string
		want    string // "" where no challenge is usable
		nonce   string
	}{
		{"Asterisk", 401, []string{`WWW-Authenticate: Digest realm="asterisk",nonce="1700000000/abc",opaque="37f",algorithm=MD5,qop="auth"`},
			`WWW-Authenticate: Digest realm="asterisk",nonce="1700000000/abc",opaque="37f",algorithm=MD5,qop="auth"`, "1700000000/abc"},
		{"FreeSWITCH challenges with 407", 407, []string{`Proxy-Authenticate: Digest realm="10.0.0.1", nonce="4e-2", algorithm=MD5, qop="auth"`},
			`Proxy-Authenticate: Digest realm="10.0.0.1", nonce="4e-2", algorithm=MD5, qop="auth"`, "4e-2"},
		{"no algorithm means MD5, no qop stays none", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n"`},
			`WWW-Authenticate: Digest realm="r",nonce="n"`, "n"},
		{"three headers, RFC 8760", 401, []string{
			`WWW-Authenticate: Digest realm="r", nonce="a", algorithm=SHA-512-256, qop="auth"`,
			`WWW-Authenticate: Digest realm="r", nonce="b", algorithm=SHA-256, qop="auth"`,
			`WWW-Authenticate: Digest realm="r", nonce="c", algorithm=MD5, qop="auth"`},
			`WWW-Authenticate: Digest realm="r", nonce="c", algorithm=MD5, qop="auth"`, "c"},
		{"several in one header", 401, []string{`WWW-Authenticate: Digest realm="r, the realm", nonce="a", algorithm=SHA-256, Digest realm="r, the realm", nonce="b=,", algorithm=MD5, Bearer realm="r"`},
			`WWW-Authenticate: Digest realm="r, the realm", nonce="b=,", algorithm=MD5`, "b=,"},
		{"other schemes before it", 401, []string{`WWW-Authenticate: Negotiate abc==, Basic realm="x"`, `WWW-Authenticate: NTLM, Digest realm="r", nonce="n"`},
			`WWW-Authenticate: Digest realm="r", nonce="n"`, "n"},
		{"auth-int is struck", 401, []string{`WWW-Authenticate: Digest realm="r", qop="auth,auth-int", nonce="n", algorithm=MD5`},
			`WWW-Authenticate: Digest realm="r", qop="auth", nonce="n", algorithm=MD5`, "n"},
		{"auth-int first, with spaces", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n",qop="auth-int, auth"`},
			`WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"`, "n"},
		{"unknown qop is struck too", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n",qop="auth,auth-conf"`},
			`WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"`, "n"},
		{"qop as a token", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n",qop=auth`},
			`WWW-Authenticate: Digest realm="r",nonce="n",qop=auth`, "n"},
		{"an empty qop is none", 401, []string{`WWW-Authenticate: Digest realm="r", nonce="n", qop="", opaque="o"`},
			`WWW-Authenticate: Digest realm="r", nonce="n", opaque="o"`, "n"},
		{"MD5 written otherwise", 401, []string{`www-authenticate: digest realm="r", nonce="n", algorithm="md5"`},
			`WWW-Authenticate: digest realm="r", nonce="n", algorithm=MD5`, "n"},
		{"escapes and empty elements", 401, []string{`WWW-Authenticate: ,Digest realm="the \"r\"",, nonce="a\"b" ,`},
			`WWW-Authenticate: Digest realm="the \"r\"",, nonce="a\"b"`, `a"b`},
		{"spaces around the equals sign", 401, []string{`WWW-Authenticate: Digest realm = "r" , nonce = "n"`},
			`WWW-Authenticate: Digest realm = "r" , nonce = "n"`, "n"},
		{"the second auth-int only, the first usable", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="a",qop="auth-int"`, `WWW-Authenticate: Digest realm="r",nonce="b",qop="auth"`},
			`WWW-Authenticate: Digest realm="r",nonce="b",qop="auth"`, "b"},

		{"only SHA-256", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n",algorithm=SHA-256`}, "", ""},
		{"MD5-sess", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n",algorithm=MD5-sess`}, "", ""},
		{"only auth-int", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n",qop="auth-int"`}, "", ""},
		{"no nonce", 401, []string{`WWW-Authenticate: Digest realm="r"`}, "", ""},
		{"no realm", 401, []string{`WWW-Authenticate: Digest nonce="n"`}, "", ""},
		{"no header", 401, nil, "", ""},
		{"the other status's header", 401, []string{`Proxy-Authenticate: Digest realm="r",nonce="n"`}, "", ""},
		{"an open string", 401, []string{`WWW-Authenticate: Digest realm="r",nonce="n`}, "", ""},
		{"no scheme", 401, []string{`WWW-Authenticate: realm="r",nonce="n"`}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers, nonce, err := ForBrowser(response(tt.status, tt.headers...))
			if tt.want == "" {
				if !errors.Is(err, ErrNoUsableChallenge) || headers != nil {
					t.Fatalf("got %v, %v", texts(headers), err)
				}
				return
			}
			if got := texts(headers); err != nil || !reflect.DeepEqual(got, []string{tt.want}) || nonce != tt.nonce {
				t.Errorf("got  %q, nonce %q, %v\nwant %q, nonce %q", got, nonce, err, tt.want, tt.nonce)
			}
		})
	}
}

func TestNoUsableChallengeNamesVouch(t *testing.T) {
	if !strings.Contains(ErrNoUsableChallenge.Error(), "vouch") {
		t.Error(ErrNoUsableChallenge)
	}
}

func TestStale(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"absent", `Digest realm="r", nonce="n"`, `Digest realm="r", nonce="n", stale=true`},
		{"false", `Digest realm="r", stale=FALSE, nonce="n"`, `Digest realm="r", stale=true, nonce="n"`},
		{"quoted", `Digest realm="r",Stale="false"`, `Digest realm="r", Stale=true`},
		{"several", `Digest realm="r", Basic realm="b"`, `Digest realm="r", stale=true, Basic realm="b"`},
		{"no challenge", `"`, `"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := []sip.Header{sip.NewHeader("Proxy-Authenticate", tt.in)}
			if got := Stale(in); len(got) != 1 || got[0].Name() != "Proxy-Authenticate" || got[0].Value() != tt.want {
				t.Errorf("got %q, want %q", texts(got), tt.want)
			}
			if in[0].Value() != tt.in {
				t.Error("the given header changed")
			}
		})
	}
}

func TestNonceOf(t *testing.T) {
	tests := []struct{ name, header, want string }{
		{"JsSIP", `Authorization: Digest algorithm=MD5, username="alice", realm="asterisk", nonce="1700/ab=", uri="sip:example.com", response="00", qop=auth, cnonce="c", nc=00000001`, "1700/ab="},
		{"proxy", `Proxy-Authorization: Digest nonce="n", realm="r"`, "n"},
		{"compact and lower case", `authorization: digest Nonce=n`, "n"},
		{"Bearer", `Authorization: Bearer nonce="n"`, ""},
		{"a raw token", `Authorization: eyJhbGciOi.J9`, ""},
		{"none", `X-Nonce: n`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := sip.NewRequest(sip.REGISTER, sip.Uri{Host: "example.com"})
			name, value, _ := strings.Cut(tt.header, ": ")
			req.AppendHeader(sip.NewHeader(name, value))
			if got := NonceOf(req); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The oracle is another parser: what we let through, it reads as a challenge that MD5 answers.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{
		`Digest realm="asterisk",nonce="1700000000/abc",opaque="37f",algorithm=MD5,qop="auth"`,
		`Digest realm="r, x", nonce="a", algorithm=SHA-256, Digest realm="r", nonce="b=,", qop="auth,auth-int", Bearer realm="r"`,
		`Negotiate abc==, Digest realm = "\"r" , nonce=n, qop="",`, `Digest realm="`, `=`, `,`, `Digest realm="r",nonce="n",algorithm="md5"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		headers, nonce, err := ForBrowser(response(401, "WWW-Authenticate: "+value))
		if err != nil {
			return
		}
		if len(headers) != 1 || nonce == "" {
			t.Fatalf("%d headers, nonce %q", len(headers), nonce)
		}
		got := headers[0].Value()
		if strings.ContainsAny(got, "\r\n") && !strings.ContainsAny(value, "\r\n") {
			t.Fatalf("a line break came up: %q", got)
		}
		for _, h := range Stale(headers) {
			again, sameNonce, err := ForBrowser(response(401, "WWW-Authenticate: "+h.Value()))
			if err != nil || sameNonce != nonce || again[0].Value() != h.Value() {
				t.Fatalf("%q is not stable: %q, nonce %q, %v", h.Value(), texts(again), sameNonce, err)
			}
			c := parse(h.Value())
			if len(c) != 1 || c[0].value("stale") != "true" {
				t.Fatalf("not one stale challenge: %q", h.Value())
			}
		}
	})
}

func TestAnotherParserReadsOurs(t *testing.T) {
	headers, _, err := ForBrowser(response(401, `WWW-Authenticate: Digest realm="the \"r\"", nonce="a,b", qop="auth-int,auth", opaque="o", algorithm=md5`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := digest.ParseChallenge(Stale(headers)[0].Value())
	if err != nil {
		t.Fatal(err)
	}
	want := &digest.Challenge{Realm: `the "r"`, Nonce: "a,b", QOP: []string{"auth"}, Opaque: "o", Algorithm: "MD5", Stale: true}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
}
