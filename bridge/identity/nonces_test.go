package identity

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestNoncesExpire(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	n := NewNonces(10, time.Minute, func() time.Time { return now })
	n.Put("a", Issuer{Backend: "pbx/1"})
	now = now.Add(30 * time.Second)
	n.Put("b", Issuer{Backend: "pbx/2"})
	now = now.Add(30 * time.Second)
	if _, ok := n.Get("a"); ok {
		t.Error("a is a minute old and still there")
	}
	if by, ok := n.Get("b"); !ok || by.Backend != "pbx/2" {
		t.Errorf("b: %v, %v", by, ok)
	}
	n.Put("b", Issuer{Backend: "pbx/2", CSeq: 2}) // used: its age starts anew
	now = now.Add(59 * time.Second)
	if by, ok := n.Get("b"); !ok || by.CSeq != 2 || n.Len() != 1 {
		t.Errorf("b: %v, %v, %d", by, ok, n.Len())
	}
	now = now.Add(time.Second)
	if n.Len() != 0 || len(n.byNonce) != 0 {
		t.Errorf("%d nonces, %d in the map", n.Len(), len(n.byNonce))
	}
}

func TestNoncesGiveALegOnce(t *testing.T) {
	n := NewNonces(10, time.Minute, time.Now)
	if by, ok := n.Claim("a"); ok || by != (Issuer{}) {
		t.Errorf("claimed %v of nobody", by)
	}
	whole := Issuer{Backend: "pbx/1", CallID: "c", FromTag: "t", CSeq: 1}
	n.Put("a", whole)
	if by, ok := n.Get("a"); !ok || by != whole {
		t.Errorf("got %v, %v", by, ok)
	}
	if by, ok := n.Claim("a"); !ok || by != whole {
		t.Errorf("claimed %v, %v", by, ok)
	}
	for _, again := range []func(string) (Issuer, bool){n.Claim, n.Get} {
		if by, ok := again("a"); !ok || by != (Issuer{Backend: "pbx/1"}) {
			t.Errorf("after it was claimed: %v, %v", by, ok)
		}
	}
}

func TestNoncesAreBounded(t *testing.T) {
	n := NewNonces(3, time.Hour, time.Now)
	for i := range 5 {
		n.Put(fmt.Sprint(i), Issuer{CSeq: uint32(i)})
	}
	n.Put("2", Issuer{CSeq: 20}) // the oldest no more
	n.Put("5", Issuer{CSeq: 5})
	for nonce, want := range map[string]bool{"0": false, "1": false, "2": true, "3": false, "4": true, "5": true} {
		if _, ok := n.Get(nonce); ok != want {
			t.Errorf("%s: got %v, want %v", nonce, ok, want)
		}
	}
	if n.Len() != 3 {
		t.Errorf("%d nonces", n.Len())
	}
	none := NewNonces(0, time.Hour, time.Now)
	none.Put("a", Issuer{})
	if _, ok := none.Get("a"); ok {
		t.Error("a limit of 0 remembers")
	}
}

func TestNoncesConcurrently(t *testing.T) {
	n := NewNonces(50, time.Millisecond, time.Now)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				nonce := fmt.Sprint(worker, i%100)
				n.Put(nonce, Issuer{Backend: nonce})
				if by, ok := n.Get(nonce); ok && by.Backend != nonce {
					t.Errorf("asked for %s, got %s", nonce, by.Backend)
				}
				if n.Len() > 50 {
					t.Errorf("%d nonces", n.Len())
				}
			}
		})
	}
	wg.Wait()
}
