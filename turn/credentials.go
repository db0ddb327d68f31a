package turn

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
)

// Credential is what a client shows, and until when it opens an allocation.
type Credential struct {
	Username string
	Password string
	Expires  time.Time
}

// Issue makes a time-limited credential in the form of coturn's use-auth-secret: the user name is "EXPIRY:USER" with the Unix time
// of expiry, the password the base64 of its HMAC-SHA1 by the secret.
func Issue(secret, user string, expires time.Time) Credential {
	name := strconv.FormatInt(expires.Unix(), 10)
	if user != "" {
		name += ":" + user
	}
	return Credential{Username: name, Password: password(secret, name), Expires: expires}
}

func password(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// limited takes a time-limited user name apart. Not ok: it is another's form, that of a user who is known by name.
func limited(username string) (expires time.Time, user string, ok bool) {
	stamp, user, named := strings.Cut(username, ":")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, "", false
	}
	if !named || user == "" {
		user = username
	}
	return time.Unix(seconds, 0), user, true
}

// authenticate gives the key by which a request is signed, and whose allocations it counts for. The expiry is looked at when an
// allocation is opened: a call that outlives its credential goes on (as with coturn), bounded by Quota.Lifetime.
func (s *Server) authenticate(message *stun.Message, username, realm string, method stun.Method) (user string, key []byte, refused string) {
	if realm != s.cfg.Realm {
		return "", nil, RefusedForged
	}
	if s.cfg.Users != nil {
		if key, found := s.cfg.Users(username, realm); found {
			return username, key, signed(message, key)
		}
	}
	expires, user, ok := limited(username)
	if !ok {
		return "", nil, RefusedUser
	}
	for _, secret := range s.cfg.Secrets {
		key := pion.GenerateAuthKey(username, realm, password(secret, username))
		if signed(message, key) != "" {
			continue
		}
		if method == stun.MethodAllocate && !s.cfg.now().Before(expires) {
			return "", nil, RefusedExpired
		}
		return user, key, ""
	}
	return "", nil, RefusedForged
}

// signed says why a message is not signed by a key; "" where it is.
func signed(message *stun.Message, key []byte) string {
	if stun.MessageIntegrity(key).Check(message) != nil {
		return RefusedForged
	}
	return ""
}
