package identity

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"tandem/bridge/identity/watched"
)

// Users is a password file, read again when it changes. A line is htdigest's user:realm:HA1, or user:password; ${NAME} in a
// password stands for an environment variable. Empty lines and those that begin with # say nothing. Safe for concurrent use.
type Users struct {
	now  func() time.Time
	file *watched.File[accounts]
}

// accounts are the secrets of a file.
type accounts struct {
	hashes    map[account]string // HA1 by user and realm
	passwords map[string]string  // by user
}

type account struct{ user, realm string }

// OpenUsers reads a password file. getenv is os.LookupEnv, or a test's. The error names the line.
func OpenUsers(file string, getenv func(string) (string, bool), log *slog.Logger) (*Users, error) {
	read := func(text []byte) (accounts, error) {
		known, err := parseUsers(string(text), getenv)
		if err != nil {
			err = fmt.Errorf("%s:%w", file, err)
		}
		return known, err
	}
	u := &Users{now: time.Now, file: watched.New(file, read, log)}
	if _, err := u.file.Get(u.now()); err != nil {
		return nil, err
	}
	return u, nil
}

// HA1 implements Secrets.
func (u *Users) HA1(_ context.Context, l Login) (string, bool, error) {
	known, err := u.file.Get(u.now())
	if err != nil { // OpenUsers has read it
		return "", false, err
	}
	// Whoever it is, both tables are looked at and one hash is made: how long it takes tells nothing.
	kept, isKept := known.hashes[account{l.User, l.Realm}]
	password, hasPassword := known.passwords[l.User]
	if !hasPassword {
		password = "nobody's"
	}
	made := MD5.HA1(l.User, l.Realm, password)
	switch {
	case isKept:
		return kept, false, nil
	case hasPassword:
		return made, false, nil
	}
	return "", false, ErrWrong
}

var (
	hashLine = regexp.MustCompile(`^([^:]+):([^:]*):([0-9a-fA-F]{32})$`)
	variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// parseUsers reads a password file's text; its errors begin with the number of the line.
func parseUsers(text string, getenv func(string) (string, bool)) (accounts, error) {
	known := accounts{hashes: map[account]string{}, passwords: map[string]string{}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if m := hashLine.FindStringSubmatch(line); m != nil {
			known.hashes[account{m[1], m[2]}] = strings.ToLower(m[3])
			continue
		}
		user, password, found := strings.Cut(line, ":")
		if !found || user == "" || password == "" {
			return known, fmt.Errorf("%d: is neither user:realm:HA1 nor user:password", number)
		}
		var missing string
		password = variable.ReplaceAllStringFunc(password, func(found string) string {
			value, isSet := getenv(found[2 : len(found)-1])
			if !isSet || value == "" {
				missing = found
			}
			return value
		})
		if missing != "" {
			return known, fmt.Errorf("%d: the environment variable %s is not set", number, missing)
		}
		known.passwords[user] = password
	}
	return known, nil
}
