package identity

import "context"

// OneUser is Secrets of a single user.
type OneUser struct{ Username, Password string }

var _ Secrets = OneUser{}

// HA1 implements Secrets.
func (u OneUser) HA1(_ context.Context, l Login) (string, bool, error) {
	ha1 := l.Algorithm.HA1(u.Username, l.Realm, u.Password)
	if l.User != u.Username {
		return "", false, ErrWrong
	}
	return ha1, false, nil
}
