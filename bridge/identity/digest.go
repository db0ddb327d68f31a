package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"
)

// digestCheck verifies digests (RFC 7616). A nonce needs no memory before it
// was used with success: it carries its time of birth and a keyed hash.
type digestCheck struct {
	cfg    GateConfig
	key    []byte
	replay *replays
	pace   pace // where Secrets take their time
}

func newDigestCheck(cfg GateConfig) *digestCheck {
	key := cfg.Key
	if len(key) == 0 {
		key = []byte(rand.Text())
	}
	return &digestCheck{cfg: cfg, key: key, replay: newReplays(maxUsedNonces, cfg.Age)}
}

// The parts of a nonce: nanoseconds of birth and something random, and a keyed hash over them, the realm and the flow.
const (
	birthBytes = 8
	headBytes  = birthBytes + 4
	nonceBytes = headBytes + 16
)

func (d *digestCheck) nonce(born time.Time, realm, flow string) string {
	text := make([]byte, headBytes, nonceBytes)
	binary.BigEndian.PutUint64(text, uint64(born.UnixNano()))
	rand.Read(text[birthBytes:])
	text = append(text, d.seal(string(text), realm, flow)...)
	return base64.RawURLEncoding.EncodeToString(text)
}

func (d *digestCheck) seal(parts ...string) []byte {
	mac := hmac.New(sha256.New, d.key)
	for _, p := range parts {
		fmt.Fprintf(mac, "%d:%s", len(p), p)
	}
	return mac.Sum(nil)[:nonceBytes-headBytes]
}

// born gives a nonce's time of birth; false where it is not ours or of another flow.
func (d *digestCheck) born(nonce, realm, flow string) (time.Time, bool) {
	text, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(text) != nonceBytes || !hmac.Equal(text[headBytes:], d.seal(string(text[:headBytes]), realm, flow)) {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(text))), true
}

// challenges are one for each algorithm, as JsSIP and SIP.js can answer that of MD5. The nonce is the same in all: its count is.
func (d *digestCheck) challenges(a Attempt, stale bool) (all []string) {
	realm := d.cfg.realm(a)
	nonce := d.nonce(d.cfg.Now(), realm, a.Flow)
	for _, algorithm := range d.cfg.Algorithms {
		text := fmt.Sprintf(`Digest realm=%s, nonce="%s", algorithm=%s, qop="auth"`, quoted(realm), nonce, algorithm)
		if stale {
			text += ", stale=true"
		}
		all = append(all, text)
	}
	return all
}

// check verifies credentials. The uri parameter is taken as it is: proxies may rewrite the Request-URI (RFC 3261 §22.4), and the
// nonce count keeps credentials from being used again.
func (d *digestCheck) check(ctx context.Context, a Attempt, c challenge) (Subject, error) {
	realm := d.cfg.realm(a)
	born, ours := d.born(c.value("nonce"), realm, a.Flow)
	now := d.cfg.Now()
	if !ours || now.Sub(born) > d.cfg.Age || born.After(now) {
		return Subject{}, ErrStale // before anything about the user is looked at
	}
	l := Login{
		User: c.value("username"), Realm: realm, AOR: a.AOR, Method: a.Method, Remote: a.Remote, URI: c.value("uri"),
		Nonce: c.value("nonce"), NC: c.value("nc"), CNonce: c.value("cnonce"), QOP: strings.ToLower(c.value("qop")),
		Response: strings.ToLower(c.value("response")), Algorithm: algorithmOf(c.value("algorithm")),
	}
	count, err := countOf(l)
	if err != nil || c.value("realm") != realm || !slices.Contains(d.cfg.Algorithms, l.Algorithm) {
		return Subject{}, fmt.Errorf("%w: not what was asked for", ErrWrong)
	}
	asked := d.cfg.Now()
	ha1, allowed, err := d.cfg.Secrets.HA1(ctx, l)
	nobodys := hex.EncodeToString(d.seal("nobody", l.User)) // the same work for who is not known
	if err != nil || ha1 == "" {
		ha1 = nobodys
	}
	good := l.Response != "" && subtle.ConstantTimeCompare([]byte(responseOf(l, ha1, count)), []byte(l.Response)) == 1
	if refused := errors.Is(err, ErrWrong) || err == nil && !good && !allowed; d.cfg.Waits {
		d.pace.keep(ctx, asked, d.cfg.Now(), refused)
	}
	switch {
	case errors.Is(err, ErrWrong):
		return Subject{}, ErrWrong
	case err != nil:
		return Subject{}, err
	case !good && !allowed:
		return Subject{}, ErrWrong
	case !d.replay.use(l.Nonce, born, count, now):
		return Subject{}, ErrStale
	}
	return Subject{Name: subjectName(l.User)}, nil
}

// subjectName drops the sip: that some write before their user name.
func subjectName(user string) string {
	if len(user) > 4 && strings.EqualFold(user[:4], "sip:") {
		return user[4:]
	}
	return user
}

// countOf is the nonce count; 0 for RFC 2069's credentials without qop, which knows MD5 alone, and whose nonce is good once.
func countOf(l Login) (uint64, error) {
	if l.QOP == "" && l.Algorithm == MD5 {
		return 0, nil
	}
	if l.QOP != "auth" || l.CNonce == "" || len(l.NC) != 8 {
		return 0, ErrWrong
	}
	count, err := strconv.ParseUint(l.NC, 16, 31)
	if err == nil && count == 0 {
		err = ErrWrong
	}
	return count, err
}

// responseOf is the response that the secret calls for.
func responseOf(l Login, ha1 string, count uint64) string {
	ch := &digest.Challenge{Realm: l.Realm, Nonce: l.Nonce, Algorithm: string(l.Algorithm)}
	if l.QOP != "" {
		ch.QOP = []string{l.QOP}
	}
	made, err := digest.Digest(ch, digest.Options{
		Method: l.Method, URI: l.URI, Count: int(count), Username: l.User, A1: strings.ToLower(ha1), Cnonce: l.CNonce,
	})
	if err != nil {
		return ""
	}
	return made.Response
}
