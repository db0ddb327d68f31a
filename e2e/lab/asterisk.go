package lab

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

//go:embed asterisk
var asteriskFiles embed.FS

// Asterisk is a running PBX; its extensions stand in asterisk/extensions.conf.
type Asterisk struct {
	Addr string // 127.0.0.x; SIP on port 5060, UDP and TCP
	run  string
	cmd  *exec.Cmd
}

// AsteriskUsers register with their name and "pw" behind it as password; carol speaks G.711 only.
var AsteriskUsers = [...]string{"alice", "bob", "dave", "erin"}

// AsteriskMedia is how an Asterisk's endpoints deal with media; zero values are plain RTP with all codecs.
type AsteriskMedia struct {
	DTMF       string // dtmf_mode; default rfc4733
	Encryption string // media_encryption: "sdes", "dtls"; default no
	ICE        bool
	Allow      string // codecs; default opus, alaw, ulaw, g722; carol's are always G.711
}

// AsteriskConfig is what differs from one Asterisk to another.
type AsteriskConfig struct {
	Users  AsteriskMedia
	Strict bool   // users' endpoints: 100rel=required, and Timers
	Timers bool   // users' endpoints: timers=always, 90 s
	Peer   string // the gateway's address and SIP port: then there is an endpoint "tandem", a peer without users
	Trunk  AsteriskMedia

	Trusted   []string // more users, without digest: they are who their From says
	Mailboxes bool     // users have mailboxes: NOTIFY unasked until a phone subscribes

	STIR     *AsteriskSTIR // of the endpoint "tandem"
	PeerAuth string        // the password with which "tandem" answers the gateway's challenges; its user name is lab
	PeerHash string        // the only algorithm with which it does: "SHA-256" or the like; default: MD5

	TLS     *AsteriskTLS // port 5061, too
	Keeping int          // users' max_contacts, and a further contact is refused; default: 1, and the newest replaces the oldest
}

// AsteriskTLS are the PEM files of an Asterisk that wants its peers' certificates.
type AsteriskTLS struct {
	Certificate, Key string
	CA               string // who signs the peers'
}

// AsteriskSTIR has an Asterisk sign calls of +12155551212 (extension 651), and verify those that come.
type AsteriskSTIR struct {
	URL string // of its certificate
	Key string // PEM files
	CA  string // the trust anchor
}

// StartAsterisk runs a PBX at a loopback address until the test ends.
func StartAsterisk(t testing.TB, addr string, config ...AsteriskConfig) *Asterisk {
	t.Helper()
	var with AsteriskConfig
	if len(config) > 0 {
		with = config[0]
	}
	root := filepath.Join(Dir(t), "asterisk")
	// a short path, for the control socket's name is limited to 108 bytes
	run, err := os.MkdirTemp("", "ast")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	a := &Asterisk{Addr: addr, run: run}
	if err := a.configure(root, with); err != nil {
		t.Fatalf("asterisk: %v", err)
	}
	t.Cleanup(a.Kill)
	a.Start(t)
	return a
}

func (a *Asterisk) configure(root string, with AsteriskConfig) error {
	for _, d := range []string{"etc", "cache", "lib/keys", "spool/outgoing", "log"} {
		if err := os.MkdirAll(filepath.Join(a.run, d), 0o755); err != nil {
			return err
		}
	}
	libs := filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	modules := filepath.Join(libs, "asterisk/modules")
	if _, err := os.Stat(modules); err != nil {
		modules = filepath.Join(root, "usr/lib/asterisk/modules")
	}
	if err := os.Symlink(filepath.Join(root, "usr/share/asterisk/documentation"), filepath.Join(a.run, "lib/documentation")); err != nil {
		return err
	}
	values := map[string]any{
		"Run": a.run, "Modules": modules, "Root": root, "Addr": a.Addr, "Entity": a.Addr[strings.LastIndexByte(a.Addr, '.')+1:],
		"Users": AsteriskUsers[:], "MaxContacts": 1, "With": with,
	}
	host := func(hostPort string) string { h, _, _ := strings.Cut(hostPort, ":"); return h }
	texts := template.Must(template.New("").Funcs(template.FuncMap{"host": host}).ParseFS(asteriskFiles, "asterisk/*.conf"))
	for _, text := range texts.Templates() {
		if err := a.write(text, text.Name(), values); err != nil {
			return err
		}
	}
	// modules that are loaded want their file even where it says nothing
	for _, name := range []string{"acl", "ccss", "cdr", "cel", "dsp", "features", "http", "manager", "musiconhold", "sorcery", "stasis", "udptl", "pjproject"} {
		if err := a.write(texts.Lookup("off.conf"), name+".conf", nil); err != nil {
			return err
		}
	}
	return a.wrapper(root, libs)
}

func (a *Asterisk) write(text *template.Template, name string, values any) error {
	f, err := os.Create(filepath.Join(a.run, "etc", name))
	if err != nil {
		return err
	}
	return errors.Join(text.Execute(f, values), f.Close())
}

// wrapper writes the command that starts the unpacked Asterisk with its own loader and libraries.
func (a *Asterisk) wrapper(root, libs string) error {
	var loader string
	for _, pattern := range []string{"usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-2*.so"} {
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) > 0 {
			loader = found[0]
		}
	}
	if loader == "" {
		return fmt.Errorf("no dynamic loader under %s", root)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s --library-path %s:%s/lib/x86_64-linux-gnu:%s/usr/lib %s/usr/sbin/asterisk -C %s/etc/asterisk.conf \"$@\"\n",
		loader, libs, root, root, root, a.run)
	return os.WriteFile(filepath.Join(a.run, "asterisk"), []byte(script), 0o755)
}

// Start runs it again after Kill.
func (a *Asterisk) Start(t testing.TB) {
	t.Helper()
	out, err := os.OpenFile(filepath.Join(a.run, "log/stdout"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	a.cmd = exec.Command(filepath.Join(a.run, "asterisk"), "-f")
	a.cmd.Stdout, a.cmd.Stderr = out, out
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		t.Fatalf("asterisk: %v", err)
	}
	Eventually(t, 30*time.Second, "asterisk at "+a.Addr+" is up", func() error {
		_, err := a.CLI("core waitfullybooted")
		return err
	})
}

// Kill ends it at once (SIGKILL). Safe to call twice.
func (a *Asterisk) Kill() {
	if a.cmd != nil && a.cmd.Process != nil {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		a.cmd = nil
	}
}

// Freeze stops its process (SIGSTOP) until thaw; Kill works meanwhile.
func (a *Asterisk) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	process := a.cmd.Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}

// CLI runs one console command and gives what it prints.
func (a *Asterisk) CLI(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(a.run, "asterisk"), "-rx", command).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("asterisk -rx %q: %w: %s", command, err, out)
	}
	return string(out), nil
}

// Idle waits until it has no call any more.
func (a *Asterisk) Idle(t testing.TB) {
	t.Helper()
	Eventually(t, patience, "no call is left at "+a.Addr, func() error {
		out, err := a.CLI("core show channels count")
		if err == nil && !strings.Contains(out, "0 active channels") {
			err = errors.New(out)
		}
		return err
	})
}

// Log is what it logged so far.
func (a *Asterisk) Log() string {
	text, err := os.ReadFile(filepath.Join(a.run, "log/full"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Registered says whether a user has a contact there.
func (a *Asterisk) Registered(t testing.TB, user string) bool {
	t.Helper()
	out, err := a.CLI("pjsip show aor " + user)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(out, "Contact:  "+user+"/sip:")
}
