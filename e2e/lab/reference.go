package lab

import (
	"embed"
	"errors"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

//go:embed reference proxy
var referenceFiles embed.FS

// Reference is the deployment that Tandem is measured against: Kamailio, rtpengine and coturn from Debian's packages, in front
// of the Asterisk at 127.0.0.10.
type Reference struct {
	URL   string         // of the WebSocket
	Lines int            // of configuration, without blank lines and comments
	NG    netip.AddrPort // rtpengine's control protocol
	run   string
	pids  map[string]int // by program
}

// StartReference runs it until the test ends.
func StartReference(t testing.TB) *Reference {
	t.Helper()
	run, err := os.MkdirTemp("", "ref")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	r := &Reference{URL: "wss://127.0.0.2:8443/", NG: netip.MustParseAddrPort("127.0.0.3:2223"), run: run, pids: map[string]int{}}
	if err := r.configure("reference", map[string]string{"Run": r.run}); err != nil {
		t.Fatalf("reference: %v", err)
	}
	certificate(t, run)
	r.start(t, "rtpengine", "--config-file="+filepath.Join(run, "rtpengine.conf"), "--foreground", "--log-stderr", "--pidfile="+filepath.Join(run, "rtpengine.pid"))
	r.start(t, "turnserver", "-c", filepath.Join(run, "coturn.conf"))
	r.start(t, "kamailio", "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-Y", run, "-f", filepath.Join(run, "kamailio.cfg"))
	Eventually(t, 15*time.Second, "kamailio listens", func() error { return DialTCP("127.0.0.2:8443") })
	return r
}

// StartProxy runs a Kamailio that proxies SIP over UDP from one address and port to another, until the test ends. It has no media.
func StartProxy(t testing.TB, listen, to string) *Reference {
	t.Helper()
	r := &Reference{run: t.TempDir(), pids: map[string]int{}}
	if err := r.configure("proxy", map[string]string{"Listen": listen, "To": to}); err != nil {
		t.Fatalf("proxy: %v", err)
	}
	r.start(t, "kamailio", "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", "512", "-Y", r.run, "-f", filepath.Join(r.run, "kamailio.cfg"))
	return r
}

func (r *Reference) configure(folder string, values map[string]string) error {
	texts := template.Must(template.ParseFS(referenceFiles, folder+"/*"))
	for _, text := range texts.Templates() {
		var b strings.Builder
		if err := text.Execute(&b, values); err != nil {
			return err
		}
		r.Lines += ConfigurationLines(b.String())
		if err := os.WriteFile(filepath.Join(r.run, text.Name()), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reference) start(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := os.Create(filepath.Join(r.run, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(Program(t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	r.pids[name] = cmd.Process.Pid
	t.Cleanup(func() {
		if t.Failed() {
			if text, err := os.ReadFile(out.Name()); err == nil {
				t.Logf("%s:\n%s", name, text)
			}
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

// Memory is the sum over its processes.
func (r *Reference) Memory() (Memory, error) { return MemoryOf(slices.Collect(maps.Values(r.pids))...) }

// Pid is the id of one of its programs' processes: "rtpengine", "turnserver", "kamailio".
func (r *Reference) Pid(program string) int { return r.pids[program] }

// certificate writes a self-signed cert.pem and key.pem into a folder.
func certificate(t testing.TB, dir string) {
	t.Helper()
	cmd := exec.Command(Program(t, "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=lab", "-keyout", filepath.Join(dir, "key.pem"), "-out", filepath.Join(dir, "cert.pem"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v: %s", err, errors.New(string(out)))
	}
}

// ConfigurationLines counts the lines that say something.
func ConfigurationLines(text string) (n int) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && (!strings.HasPrefix(line, "#") || strings.HasPrefix(line, "#!")) {
			n++
		}
	}
	return n
}
