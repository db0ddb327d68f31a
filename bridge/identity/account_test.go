package identity

import (
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func challenge401(text string) *sip.Response {
	res := sip.NewResponse(401, "Unauthorized")
	res.AppendHeader(sip.NewHeader("WWW-Authenticate", "Digest "+text))
	return res
}

func TestAccountUsesNoncesAgain(t *testing.T) {
	a := NewAccount("u", "p")
	if h := a.Ahead("INVITE", "sip:a", nil); h != nil {
		t.Errorf("credentials without a challenge: %s", h.Value())
	}
	h, err := a.Answer(challenge401(`realm="r", nonce="n1", qop="auth"`), "INVITE", "sip:a", nil)
	if err != nil || !strings.Contains(h.Value(), "nc=00000001") {
		t.Fatalf("%v, %v", h, err)
	}
	if h := a.Ahead("REGISTER", "sip:a", nil); h != nil {
		t.Errorf("a registrar was not asked: %s", h.Value())
	}
	var all sync.WaitGroup
	counts := make(chan string, 8)
	for range cap(counts) {
		all.Go(func() {
			_, rest, _ := strings.Cut(a.Ahead("BYE", "sip:a", nil).Value(), "nc=")
			counts <- rest[:8]
		})
	}
	all.Wait()
	close(counts)
	seen := map[string]bool{}
	for count := range counts {
		if seen[count] || count == "00000001" {
			t.Errorf("the count %s is used twice", count)
		}
		seen[count] = true
	}
	if _, err := a.Answer(challenge401(`realm="r", nonce="n2"`), "INVITE", "sip:a", nil); err != nil {
		t.Fatal(err)
	}
	if h := a.Ahead("INVITE", "sip:a", nil); h != nil {
		t.Errorf("a nonce without qop served twice: %s", h.Value())
	}
	if _, err := a.Answer(challenge401(`realm="r", nonce="n", algorithm=SHA-1`), "INVITE", "sip:a", nil); err == nil {
		t.Error("an unknown algorithm was answered")
	}
	if !a.Is("u", "p") || a.Is("u", "q") {
		t.Error("whose account it is")
	}
}
