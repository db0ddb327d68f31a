package stir

import (
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"sync"
	"time"
)

// maxReplays bounds the PASSporTs that are remembered, twice.
const maxReplays = 1 << 15

// replays remember which call a PASSporT was for while it is fresh: for another call it is somebody's who overheard it (RFC 8224
// §12.1 leaves that to iat, which alone lets the same caller be played again to the same number for a minute). Safe for concurrent use.
type replays struct {
	mu sync.Mutex
	// guarded by mu
	young, old map[[sha256.Size]byte]string // Call-ID by digest of the PASSporT
	turned     time.Time                    // when young was empty
}

// again says whether a PASSporT was for another call before; a fork and a repetition of a call have its Call-ID. lasts is for how long
// it can be fresh.
func (r *replays) again(t token, callID string, now time.Time, lasts time.Duration) bool {
	key := t.digest()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= maxReplays || now.Sub(r.turned) >= lasts {
		r.young, r.old, r.turned = map[[sha256.Size]byte]string{}, r.young, now
	}
	first, known := r.young[key]
	if !known {
		first, known = r.old[key]
	}
	if known {
		return first != callID
	}
	r.young[key] = callID
	return false
}

// digest tells PASSporTs apart. Of a signature (r, s) anybody can make (r, n-s), which is as good: the smaller s stands for both.
func (t token) digest() [sha256.Size]byte {
	sum := sha256.New()
	sum.Write([]byte(t.signed))
	half := len(t.signature) / 2
	sum.Write(t.signature[:half])
	s := new(big.Int).SetBytes(t.signature[half:])
	if other := new(big.Int).Sub(elliptic.P256().Params().N, s); other.Cmp(s) < 0 {
		s = other
	}
	sum.Write(s.Bytes())
	return [sha256.Size]byte(sum.Sum(nil))
}
