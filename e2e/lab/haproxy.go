package lab

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// StartHAProxy runs HAProxy by a configuration, with KEYPAIR in it standing for a PEM file with a key and a certificate, until the
// test ends; it waits until something listens at each address.
func StartHAProxy(t testing.TB, config string, listens ...string) {
	t.Helper()
	folder := t.TempDir()
	pair := SelfSigned(t, folder, "rsa:2048")
	both := append(read(t, pair.Certificate), read(t, pair.Key)...)
	file := filepath.Join(folder, "pair.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(path, bytes.ReplaceAll([]byte(config), []byte("KEYPAIR"), []byte(file)), 0o600); err != nil {
		t.Fatal(err)
	}
	output := &Output{}
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Program(t, "haproxy"), "-db", "-f", path)
	cmd.Stdout, cmd.Stderr = writing, writing
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("haproxy: %v", err)
	}
	writing.Close()
	go output.read(bufio.NewScanner(reading))
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy:\n%s", output)
		}
	})
	for _, addr := range listens {
		Eventually(t, 10*time.Second, "haproxy listens at "+addr, func() error { return DialTCP(addr) })
	}
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
