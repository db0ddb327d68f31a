package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate writes NAME.pem and NAME.key for the host NAME.example.
func writeCertificate(t *testing.T, dir, name string) Certificate {
	t.Helper()
	pair, err := selfSigned([]string{name + ".example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := Certificate{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		files.Key:         {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// handshake is one TLS handshake over a pipe; it gives the server's certificate.
func handshake(t *testing.T, server, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		tls.Server(far, server).Handshake()
	}()
	client.InsecureSkipVerify = true
	conn := tls.Client(near, client)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func TestSNIChoosesTheCertificate(t *testing.T) {
	dir := t.TempDir()
	pairs := []Certificate{writeCertificate(t, dir, "a"), writeCertificate(t, dir, "b")}
	certs, err := openCertificates(pairs, nil, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "c.example": "a.example", "": "a.example"} {
		got, err := handshake(t, certs.config(), &tls.Config{ServerName: name})
		if err != nil || got.DNSNames[0] != want {
			t.Errorf("SNI %q: %v, %v", name, got, err)
		}
	}
	if _, err := handshake(t, certs.config(), &tls.Config{MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

func TestChangedCertificateIsLoaded(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	now := time.Now()
	pairs := []Certificate{writeCertificate(t, dir, "a")}
	certs, err := openCertificates(pairs, nil, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		t.Helper()
		cert, err := handshake(t, certs.config(), &tls.Config{ServerName: "a.example"})
		if err != nil {
			t.Fatal(err)
		}
		return cert.SerialNumber.String()
	}
	touch := func(file string, at time.Time) { // file systems with coarse time stamps
		t.Helper()
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	first := serial()

	good, err := os.ReadFile(pairs[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pairs[0].Key, []byte("half wri"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(recheck)
		if serial() != first {
			t.Fatal("a broken file was taken")
		}
	}
	if n := strings.Count(log.String(), "certificate not loaded"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	if err := os.WriteFile(pairs[0].Key, good, 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, dir, "a")
	touch(pairs[0].Certificate, now.Add(time.Hour))
	if serial() != first {
		t.Error("looked again before its time")
	}
	now = now.Add(recheck)
	if serial() == first || !strings.Contains(log.String(), "certificate loaded") {
		t.Errorf("the new certificate is not served:\n%s", log.String())
	}
}

func TestSelfSigned(t *testing.T) {
	now := time.Now()
	hosts, err := certificateHosts([]WebListen{
		{Addr: netip.MustParseAddrPort("192.0.2.1:443")},
		{Addr: netip.MustParseAddrPort("0.0.0.0:443")},
	})
	if err != nil {
		t.Fatal(err)
	}
	certs, err := openCertificates(nil, hosts, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	cert, err := handshake(t, certs.config(), &tls.Config{ServerName: "whatever.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "192.0.2.1", "127.0.0.1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	now = now.Add(selfSignedLife - selfSignedSpare + time.Hour)
	renewed, err := handshake(t, certs.config(), &tls.Config{})
	if err != nil || renewed.SerialNumber.Cmp(cert.SerialNumber) == 0 {
		t.Errorf("not renewed: %v", err)
	}
}
