package identity

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Users is a password file, read again when it changes. A line is htdigest's user:realm:HA1, or user:password; ${NAME} in a
// password stands for an environment variable. Empty lines and those that begin with # say nothing. Safe for concurrent use.
type Users struct {
	// static after construction
	file   string
	getenv func(string) (string, bool)
	now    func() time.Time
	log    *slog.Logger

	mu     sync.Mutex // guards what follows
	looked time.Time
	mark   fileMark
	known  accounts
}

// fileMark is by what a change of a file is seen.
type fileMark struct {
	at   time.Time
	size int64
}

// accounts are the secrets of a file.
type accounts struct {
	hashes    map[account]string // HA1 by user and realm
	passwords map[string]string  // by user
}

type account struct{ user, realm string }

// lookEvery is how often the file is looked at for changes.
const lookEvery = time.Second

// OpenUsers reads a password file. getenv is os.LookupEnv, or a test's. The error names the line.
func OpenUsers(file string, getenv func(string) (string, bool), log *slog.Logger) (*Users, error) {
	u := &Users{file: file, getenv: getenv, now: time.Now, log: log}
	if err := u.read(); err != nil {
		return nil, err
	}
	u.looked = u.now()
	return u, nil
}

// HA1 implements Secrets.
func (u *Users) HA1(_ context.Context, l Login) (string, bool, error) {
	u.mu.Lock()
	u.refresh()
	known := u.known
	u.mu.Unlock()
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

// refresh reads the file again where it changed; one that cannot be read leaves what was known. The caller holds mu.
func (u *Users) refresh() {
	if now := u.now(); now.Sub(u.looked) >= lookEvery {
		u.looked = now
		if mark, err := u.look(); err != nil || mark == u.mark {
			return
		}
		if err := u.read(); err != nil {
			u.log.Error("the password file is not read anew", "error", err)
			return
		}
		u.log.Info("the password file was read anew", "file", u.file)
	}
}

func (u *Users) look() (fileMark, error) {
	info, err := os.Stat(u.file)
	if err != nil {
		return fileMark{}, err
	}
	return fileMark{info.ModTime(), info.Size()}, nil
}

func (u *Users) read() error {
	mark, err := u.look()
	if err != nil {
		return err
	}
	u.mark = mark // also of a faulty one: it is complained about once
	text, err := os.ReadFile(u.file)
	if err != nil {
		return err
	}
	known, err := parseUsers(string(text), u.getenv)
	if err != nil {
		return fmt.Errorf("%s:%w", u.file, err)
	}
	u.known = known
	return nil
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
