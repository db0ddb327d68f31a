package stir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Levels of attestation (RFC 8588 §4): the signer knows the caller and that the number is the caller's; knows the caller; knows where
// the call came in.
const (
	Full    = "A"
	Partial = "B"
	Gateway = "C"
)

const shaken = "shaken"

// maxNumbers bounds the destinations of a PASSporT.
const maxNumbers = 64

// Passport are the claims of a PASSporT.
type Passport struct {
	Attest   string   // Full, Partial, Gateway; "" but with SHAKEN
	Orig     string   // digits
	Dest     []string // digits
	IssuedAt time.Time
	OrigID   string // where the call entered, as an opaque UUID
}

// The keys are in lexicographic order, as RFC 8225 §9 wants them.
type (
	joseHeader struct {
		Alg  string   `json:"alg"`
		Crit []string `json:"crit,omitempty"` // RFC 7515 §4.1.11: refused, for none is known
		PPT  string   `json:"ppt,omitempty"`
		Typ  string   `json:"typ"`
		X5U  string   `json:"x5u"`
	}
	claims struct {
		Attest string     `json:"attest,omitempty"`
		Dest   identities `json:"dest"`
		IAT    int64      `json:"iat"`
		Orig   identity   `json:"orig"`
		OrigID string     `json:"origid,omitempty"`
	}
	identities struct {
		TN  []string `json:"tn,omitempty"`
		URI []string `json:"uri,omitempty"`
	}
	identity struct {
		TN  string `json:"tn,omitempty"`
		URI string `json:"uri,omitempty"`
	}
)

// claims is the payload; of one destination it is a list, too.
func (p Passport) claims() claims {
	return claims{Attest: p.Attest, Dest: identities{TN: p.Dest}, IAT: p.IssuedAt.Unix(), Orig: identity{TN: p.Orig}, OrigID: p.OrigID}
}

// encoded is a part of a JWS: JSON without whitespace, and without the escapes that HTML would need.
func encoded(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // texts and numbers
	return base64.RawURLEncoding.EncodeToString(bytes.TrimRight(b.Bytes(), "\n"))
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// token is a JWS in its parts.
type token struct {
	signed    string // what the signature covers
	signature []byte
	header    joseHeader
	claims    claims
}

// open reads the token of a header. Of a compact one (RFC 8224 §4.1) the parts that are left out are made from what is known of
// the request: its numbers and its date.
func open(h Header, known Passport) (t token, err error) {
	parts := strings.Split(h.Token, ".")
	if len(parts) != 3 {
		return t, errors.New("no JWS")
	}
	if t.signature, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return t, fmt.Errorf("the signature: %w", err)
	}
	if h.Compact() {
		t.header = joseHeader{Alg: "ES256", PPT: h.PPT, Typ: "passport", X5U: h.Info}
		t.claims = known.claims()
		t.signed = encoded(t.header) + "." + encoded(t.claims)
		return t, nil
	}
	t.signed = parts[0] + "." + parts[1]
	if err = decode(parts[0], &t.header); err != nil {
		return t, fmt.Errorf("the header: %w", err)
	}
	if err = decode(parts[1], &t.claims); err != nil {
		return t, fmt.Errorf("the payload: %w", err)
	}
	return t, nil
}

// Claims reads what a header in full form says, without verifying anything; false where it cannot be read.
func Claims(value string) (Header, Passport, bool) {
	h, err := ParseHeader(value)
	if err != nil || h.Compact() {
		return h, Passport{}, false
	}
	t, err := open(h, Passport{})
	if err != nil || len(t.claims.Dest.TN) > maxNumbers {
		return h, Passport{}, false
	}
	return h, t.claims.passport(), true
}

func (c claims) passport() Passport {
	return Passport{Attest: c.Attest, Orig: c.Orig.TN, Dest: c.Dest.TN, IssuedAt: time.Unix(c.IAT, 0), OrigID: c.OrigID}
}

// Digits is a telephone number as PASSporTs have it (RFC 8224 §8.3): no plus sign, no visual separators; "" for what is none.
func Digits(number string) string {
	var b strings.Builder
	for i, c := range []byte(number) {
		switch {
		case c >= '0' && c <= '9' || c == '*' || c == '#':
			b.WriteByte(c)
		case c == '+' && i == 0, strings.IndexByte("-.() ", c) >= 0:
		default:
			return ""
		}
	}
	if b.Len() > 15 {
		return ""
	}
	return b.String()
}
