package watched

import (
	"crypto/x509"
	"errors"
)

// ReadPool reads certificates of authorities from a text in PEM; what else stands there is passed over. A text without any is an error.
func ReadPool(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("holds no PEM certificate")
	}
	return pool, nil
}
