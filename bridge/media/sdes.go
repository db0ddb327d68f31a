package media

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/pion/srtp/v3"

	"tandem/bridge/sdp"
)

const (
	formerKeyMost = int64(32 * time.Second) // an old key is good while an INVITE may be under way
	formerKeyLate = int64(time.Second)      // and for so long after the first packet with the new one
)

// suite is an SDES crypto suite (RFC 4568 §6.2, RFC 6188, RFC 7714).
type suite struct {
	name    string
	profile srtp.ProtectionProfile
}

// suites are what we offer, in our order.
func suites() []suite {
	return []suite{
		{"AEAD_AES_128_GCM", srtp.ProtectionProfileAeadAes128Gcm},
		{"AEAD_AES_256_GCM", srtp.ProtectionProfileAeadAes256Gcm},
		{"AES_256_CM_HMAC_SHA1_80", srtp.ProtectionProfileAes256CmHmacSha1_80},
		{"AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80},
		{"AES_CM_128_HMAC_SHA1_32", srtp.ProtectionProfileAes128CmHmacSha1_32},
	}
}

// newCrypto are fresh keys of one slot, one of each suite.
func newCrypto() []sdp.Crypto {
	all := suites()
	keys := make([]sdp.Crypto, 0, len(all))
	for _, s := range all {
		key, salt, err := profileSizes(uint16(s.profile))
		if err != nil {
			continue
		}
		c := sdp.Crypto{Suite: s.name, Key: make([]byte, key+salt)}
		rand.Read(c.Key)
		keys = append(keys, c)
	}
	return keys
}

// Key gives a Secure RTP leg SDES keys where it has none, for a peer that wants them: most do not.
func (l *Leg) Key() sdp.Local {
	l.mu.Lock()
	l.keyed = l.spec.Secure
	for slot, port := range l.local.Ports {
		if l.keyed && port != 0 {
			l.key(slot)
		}
	}
	l.mu.Unlock()
	return l.Local()
}

// key gives a slot keys; mu is locked.
func (l *Leg) key(slot sdp.Slot) {
	if slot == sdp.Image {
		return
	}
	l.local.Crypto = append(l.local.Crypto, make([][]sdp.Crypto, max(0, slot+1-len(l.local.Crypto)))...)
	if len(l.local.Crypto[slot]) == 0 {
		l.local.Crypto[slot] = newCrypto()
	}
}

// Rekey gives an RTP leg new SDES keys where it has any. They are used once SetRemote says so.
func (l *Leg) Rekey() sdp.Local {
	l.mu.Lock()
	for slot, keys := range l.local.Crypto {
		if len(keys) > 0 {
			l.local.Crypto[slot] = newCrypto()
		}
	}
	l.mu.Unlock()
	return l.Local()
}

// sdesKeys puts the two keys that were agreed together.
func sdesKeys(send, receive sdp.Crypto) (SRTPState, error) {
	for _, s := range suites() {
		if s.name != send.Suite || s.name != receive.Suite {
			continue
		}
		keyLen, saltLen, err := profileSizes(uint16(s.profile))
		if err != nil {
			return SRTPState{}, err
		}
		if len(send.Key) != keyLen+saltLen || len(receive.Key) != keyLen+saltLen {
			break
		}
		return SRTPState{
			Profile:  uint16(s.profile),
			LocalKey: send.Key[:keyLen], LocalSalt: send.Key[keyLen:],
			RemoteKey: receive.Key[:keyLen], RemoteSalt: receive.Key[keyLen:],
			RemoteMKI: receive.MKI,
		}, nil
	}
	return SRTPState{}, fmt.Errorf("media: SDES keys of %q and %q fit no suite", send.Suite, receive.Suite)
}

func (k *SRTPState) sameLocal(o *SRTPState) bool {
	return k.Profile == o.Profile && bytes.Equal(k.LocalKey, o.LocalKey) && bytes.Equal(k.LocalSalt, o.LocalSalt)
}

func (k *SRTPState) sameRemote(o *SRTPState) bool {
	return k.Profile == o.Profile && bytes.Equal(k.RemoteKey, o.RemoteKey) && bytes.Equal(k.RemoteSalt, o.RemoteSalt) &&
		bytes.Equal(k.RemoteMKI, o.RemoteMKI)
}

// maxSpent is how many sessions a stream remembers. Only the keys of the latest Rekey, one of each suite, can come back.
const maxSpent = 16

// spent are the sessions whose keys have been in use on a stream, the latest last, each with another key of ours.
type spent []*session

// rekeyed is the session of new keys; before is that in use, which may be nil. A direction whose key was in use before goes on
// where that stood: a packet index is not to be used twice (RFC 3711 §9.1), and the peer counts on.
func (u *spent) rekeyed(before *session, keys SRTPState) (*session, error) {
	next, err := newSession(keys)
	if err != nil {
		return nil, err
	}
	if before != nil {
		u.remember(before)
	}
	for _, s := range *u {
		if keys.sameLocal(&s.keys) {
			next.out, next.sent = s.out, s.sent
		}
		if keys.sameRemote(&s.keys) {
			next.in, next.received = s.in, s.received
		}
	}
	u.remember(next)
	return next, nil
}

// remember makes a session the latest, in place of that with the same key of ours; the oldest makes room.
func (u *spent) remember(s *session) {
	*u = slices.DeleteFunc(*u, func(o *session) bool { return o.keys.sameLocal(&s.keys) })
	if len(*u) == maxSpent {
		*u = slices.Delete(*u, 0, 1)
	}
	*u = append(*u, s)
}

// useCrypto takes the SDES keys that the stream was agreed to have.
func (s *rtpStream) useCrypto(w *worker, told *sdp.RemoteStream) {
	l, before := s.rtp.leg, s.rtp.srtp
	keys, err := sdesKeys(told.Send, told.Receive)
	if err == nil && before != nil && keys.sameLocal(&before.keys) && keys.sameRemote(&before.keys) {
		return
	}
	var next *session
	if err == nil {
		next, err = s.spent.rekeyed(before, keys)
	}
	if err != nil {
		l.log().Warn("sdes keys not usable", "err", err)
		l.fail(w, NoSRTPProfile)
		return
	}
	for _, f := range s.ends() {
		f.former = formerKeys{}
		if before != nil && !keys.sameRemote(&before.keys) {
			f.former = formerKeys{session: before, until: w.clock + formerKeyMost}
		}
		f.srtp = next
	}
	l.counters.profile.Store(uint32(keys.Profile))
}

// formerKeys are those that a rekeying replaced: what the peer sent before it knew of that is still good.
type formerKeys struct {
	session *session // nil: none
	until   int64
	used    bool // the new key has been
}

// opener is how a session decrypts: (*session).openRTP or (*session).openRTCP.
type opener func(*session, *scratch, []byte) ([]byte, DropReason)

// open decrypts in place by the transport's key, or by the former one while that is good.
func (t *transport) open(w *worker, p []byte, by opener) ([]byte, DropReason) {
	if t.former.session == nil {
		return by(t.srtp, &w.scratch, p)
	}
	n := copy(w.scratch.packet[:], p) // a failed decryption leaves nothing of it
	plain, reason := by(t.srtp, &w.scratch, p)
	switch {
	case reason == dropNone && !t.former.used:
		t.former.used, t.former.until = true, min(t.former.until, w.clock+formerKeyLate)
	case reason == DropSRTPAuth && w.clock < t.former.until:
		copy(p, w.scratch.packet[:n])
		return by(t.former.session, &w.scratch, p)
	}
	if w.clock >= t.former.until {
		t.former = formerKeys{}
	}
	return plain, reason
}
