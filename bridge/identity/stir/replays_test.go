package stir

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/bridge/identity/watched"
)

// ofCall is the usual request of a call.
func ofCall(callID, identity string) Request {
	r := usual(identity)
	r.CallID = callID
	return r
}

// A PASSporT is for one call: its forks and repetitions are that call, another call is a replay, whatever was done to the signature.
func TestReplays(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{})
	v := s.verifier()
	value := s.sign()
	for _, step := range []struct {
		callID, identity string
		replayed         bool
	}{
		{"one", value, false}, {"one", value, false}, {"two", value, true}, {"two", otherSignature(t, value), true}, {"one", otherSignature(t, value), false},
		{"two", s.sign(), false}, // the same words, signed anew
	} {
		_, f := v.Verify(t.Context(), ofCall(step.callID, step.identity))
		if (f != nil) != step.replayed || f != nil && f.Reason != Replayed {
			t.Errorf("%s: %v", step.callID, f)
		}
	}
	s.clock.Add(int64(50 * time.Second))
	if _, f := v.Verify(t.Context(), ofCall("three", value)); f == nil || f.Reason != Replayed {
		t.Errorf("as long as it is fresh: %v", f)
	}
	s.clock.Add(int64(20 * time.Second))
	if _, f := v.Verify(t.Context(), ofCall("three", value)); f == nil || f.Reason != Stale {
		t.Errorf("when it is not: %v", f)
	}
}

// otherSignature is (r, n-s) for (r, s).
func otherSignature(t *testing.T, value string) string {
	t.Helper()
	token, rest, _ := strings.Cut(value, ";")
	at := strings.LastIndex(token, ".") + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[at:])
	if err != nil {
		t.Fatal(err)
	}
	other := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
	other.FillBytes(signature[32:])
	return token[:at] + base64.RawURLEncoding.EncodeToString(signature) + ";" + rest
}

// What is remembered is bounded, and for as long as a PASSporT can be fresh.
func TestReplaysAreBounded(t *testing.T) {
	t.Parallel()
	var r replays
	now := time.Now()
	signature := make([]byte, 64)
	for i := range 2*maxReplays + 1 {
		r.again(token{signed: strconv.Itoa(i), signature: signature}, "a", now, time.Minute)
		if len(r.young)+len(r.old) > 2*maxReplays {
			t.Fatalf("%d are remembered", len(r.young)+len(r.old))
		}
	}
	r = replays{}
	last := token{signed: "last", signature: signature}
	r.again(last, "a", now, time.Minute)
	if !r.again(last, "b", now, time.Minute) || !r.again(last, "b", now.Add(time.Minute), time.Minute) {
		t.Error("forgotten while it is fresh")
	}
	if r.again(last, "b", now.Add(2*time.Minute), time.Minute) {
		t.Error("remembered for ever")
	}
}

// A certificate that its authority takes back is good no more, from the next call on.
func TestRevokedCertificate(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{})
	file := filepath.Join(s.dir, "crl.pem")
	revoke := func(number int64, serials ...*big.Int) {
		list := x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
		for _, n := range serials {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now()})
		}
		der, err := x509.CreateRevocationList(rand.Reader, &list, s.ca, s.caKey)
		s.check(err)
		s.write("crl.pem", "X509 CRL", der)
	}
	revoke(1, big.NewInt(4711))
	v := s.verifier(func(c *Config) { c.CRL = file })
	if _, f := v.Verify(t.Context(), ofCall("one", s.sign())); f != nil {
		t.Fatal(f)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "leaf.pem"))
	s.check(err)
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	s.check(err)
	revoke(2, big.NewInt(4711), leaf.SerialNumber)
	s.clock.Add(int64(watched.LookEvery))
	_, f := v.Verify(t.Context(), ofCall("two", s.sign()))
	if f == nil || f.Reason != Revoked {
		t.Fatalf("revoked: %v", f)
	}
	if status, _ := f.Status(); status != 437 {
		t.Errorf("status %d", status)
	}
	v = s.verifier(func(c *Config) { c.CRL = file + ".none" })
	if _, f = v.Verify(t.Context(), ofCall("three", s.sign())); f == nil || f.Reason != Revoked {
		t.Errorf("without the list: %v", f)
	}
}
