package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// recheck is how often handshakes look for changed certificate files.
const recheck = 2 * time.Second

// selfSignedLife is what browsers still take; renewal begins selfSignedSpare before the end.
const (
	selfSignedLife  = 397 * 24 * time.Hour
	selfSignedSpare = 30 * 24 * time.Hour
)

// certificates serves certificates from files, and loads them again when the files change; without files, a self-signed
// one for its hosts. A file that cannot be loaded leaves the certificate of before. Safe for concurrent use.
type certificates struct {
	// static after construction
	pairs []Certificate // empty: self-signed
	hosts []string
	log   *slog.Logger
	now   func() time.Time

	loaded  atomic.Pointer[[]tls.Certificate] // never nil; one for each pair
	checked atomic.Int64                      // Unix nanoseconds

	mu    sync.Mutex // held by the one handshake that checks
	state []string   // guarded by mu: what the files looked like when last loaded or refused
}

// openCertificates loads the pairs, or makes a self-signed certificate for the hosts where there is none.
func openCertificates(pairs []Certificate, hosts []string, log *slog.Logger, now func() time.Time) (*certificates, error) {
	c := &certificates{pairs: pairs, hosts: hosts, log: log, now: now, state: make([]string, len(pairs))}
	fresh := make([]tls.Certificate, max(len(pairs), 1))
	for i, p := range pairs {
		c.state[i] = p.state()
		var err error
		if fresh[i], err = tls.LoadX509KeyPair(p.Certificate, p.Key); err != nil {
			return nil, fmt.Errorf("gateway: certificate %s: %w", p.Certificate, err)
		}
	}
	if len(pairs) == 0 {
		var err error
		if fresh[0], err = selfSigned(hosts, now()); err != nil {
			return nil, fmt.Errorf("gateway: self-signed certificate: %w", err)
		}
	}
	c.loaded.Store(&fresh)
	c.checked.Store(now().UnixNano())
	return c, nil
}

// config is the server's side of TLS: 1.2 and up, HTTP/1.1 only, for a WebSocket is one HTTP/1.1 connection.
func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.choose}
}

// modern leaves what every browser of the last ten years has: forward secrecy and authenticated encryption (RFC 9325 §4.2). TLS 1.3 has
// nothing else.
func modern(cfg *tls.Config) *tls.Config {
	cfg.CipherSuites = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	return cfg
}

// choose gives the first certificate that names the client's SNI and that it can use, else the first.
func (c *certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.refresh()
	loaded := *c.loaded.Load()
	for i := range loaded {
		if hello.SupportsCertificate(&loaded[i]) == nil {
			return &loaded[i], nil
		}
	}
	return &loaded[0], nil
}

// refresh looks for changed files, at most every recheck and on one handshake at a time; the others go on.
func (c *certificates) refresh() {
	now := c.now()
	if now.Sub(time.Unix(0, c.checked.Load())) < recheck || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	c.checked.Store(now.UnixNano())
	fresh := slices.Clone(*c.loaded.Load())
	changed := false
	for i, p := range c.pairs {
		state := p.state()
		if state == c.state[i] {
			continue
		}
		c.state[i] = state // logged once for each change, good or bad
		pair, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
		if err != nil {
			c.log.Error("certificate not loaded, the one of before stays", "file", p.Certificate, "error", err)
			continue
		}
		c.log.Info("certificate loaded", "file", p.Certificate, "until", pair.Leaf.NotAfter)
		fresh[i], changed = pair, true
	}
	if len(c.pairs) == 0 && now.After(fresh[0].Leaf.NotAfter.Add(-selfSignedSpare)) {
		pair, err := selfSigned(c.hosts, now)
		if err != nil {
			c.log.Error("self-signed certificate not renewed", "error", err)
			return
		}
		fresh[0], changed = pair, true
	}
	if changed {
		c.loaded.Store(&fresh)
	}
}

// state tells one content of the two files from another by time and size.
func (p Certificate) state() string {
	return fileState(p.Certificate) + " " + fileState(p.Key)
}

// fileState tells one content of a file from another by time and size.
func fileState(file string) string {
	info, err := os.Stat(file) // follows links: secrets are mounted as links that are swapped
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size())
}

// selfSigned makes an ECDSA P-256 certificate for host names and addresses.
func selfSigned(hosts []string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "tandem, self-signed"},
		NotBefore:    now.Add(-time.Hour), // for clients whose clock is behind
		NotAfter:     now.Add(selfSignedLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// certificateHosts are the names of a self-signed certificate: localhost, and the addresses by which the listeners are reached.
func certificateHosts(listen []WebListen) ([]string, error) {
	hosts := []string{"localhost"}
	add := func(addr netip.Addr) {
		if text := addr.Unmap().WithZone("").String(); !slices.Contains(hosts, text) {
			hosts = append(hosts, text)
		}
	}
	for _, l := range listen {
		if !l.Addr.Addr().IsUnspecified() {
			add(l.Addr.Addr())
			continue
		}
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return nil, errors.Join(errors.New("gateway: the addresses of this machine"), err)
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				add(prefix.Addr())
			}
		}
	}
	return hosts, nil
}
