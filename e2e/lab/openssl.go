package lab

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// KeyPair are the PEM files of a certificate and its key.
type KeyPair struct{ Certificate, Key string }

// SelfSigned has openssl make a certificate with a new key of a kind, such as rsa:2048, that signs itself and others.
func SelfSigned(t testing.TB, folder, kind string) KeyPair {
	t.Helper()
	name := strings.ReplaceAll(kind, ":", "-")
	p := KeyPair{filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")}
	OpenSSL(t, append(newKey(kind), "-x509", "-nodes", "-days", "2", "-subj", "/CN="+name, "-addext", "subjectAltName=DNS:phone.example.com",
		"-out", p.Certificate, "-keyout", p.Key)...)
	return p
}

// SignedBy has openssl make a certificate with a key of its own that an authority has signed.
func SignedBy(t testing.TB, folder string, ca KeyPair, subject string) KeyPair {
	t.Helper()
	p := KeyPair{filepath.Join(folder, "client.pem"), filepath.Join(folder, "client.key")}
	OpenSSL(t, append(newKey("ec"), "-x509", "-CA", ca.Certificate, "-CAkey", ca.Key, "-nodes", "-days", "2", "-subj", subject,
		"-out", p.Certificate, "-keyout", p.Key)...)
	return p
}

func newKey(kind string) []string {
	if kind == "ec" {
		return []string{"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"}
	}
	return []string{"req", "-newkey", kind}
}

// OpenSSL runs a command of openssl that has to succeed.
func OpenSSL(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(Program(t, "openssl"), args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// SClient connects with openssl s_client, asks for /ice.json, and gives all that openssl prints, whether it got through or not.
func SClient(t testing.TB, addr string, args ...string) string {
	t.Helper()
	words := append([]string{"30", Program(t, "openssl"), "s_client", "-connect", addr, "-ign_eof"}, args...)
	cmd := exec.Command("timeout", words...)
	cmd.Stdin = strings.NewReader("GET /ice.json HTTP/1.1\r\nHost: phone.example.com\r\nConnection: close\r\n\r\n")
	out, _ := cmd.CombinedOutput() // a refusal is what some want to see
	return string(out)
}
