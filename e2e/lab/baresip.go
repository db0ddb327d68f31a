package lab

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const baresipConfig = `sip_listen %s:5060
audio_source %s
audio_player aubridge,loop
audio_alert aubridge,nowhere
call_local_timeout 60
rtcp_mux %s
http_listen %s:8000
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
module aufile.so
module aubridge.so
module srtp.so
module dtls_srtp.so
module ice.so
module_tmp account.so
module_app menu.so
module_app httpd.so
`

// Baresip is a phone at Addr:5060, UDP and TCP. Its RTP sockets are bound to no address, so Addr is 127.0.0.1 or its packets come
// from elsewhere than its SDP says. It answers by itself
// unless told otherwise.
type Baresip struct {
	Addr       string // default 127.0.0.1
	Codec      string // the only one: "opus/48000/2", "G722/16000/1" or the like
	Encryption string // mediaenc: "srtp" (optional), "srtp-mand", "srtp-mandf", "dtls_srtp"; default none
	NAT        string // medianat: "ice"
	Mux        bool   // rtcp-mux
	Registrar  string // address and port where it registers at example.com; default: nowhere
	User       string // default baresip; the password has "pw" behind it
	Rings      bool   // and leaves it to a person to answer
	Echo       bool   // what it hears; else it plays a tone of ToneHz for a minute and a half
}

// Desk is a running Baresip.
type Desk struct{ keys string }

// Press presses a key of the phone ("a": answer, "b": hang up, "l": the calls) and gives what it shows.
func (d *Desk) Press(t testing.TB, key string) string {
	t.Helper()
	res, err := http.Get(d.keys + key)
	if err != nil {
		t.Fatalf("baresip: %v", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("baresip: %v", err)
	}
	return string(text)
}

// Start runs it until the test ends.
func (b Baresip) Start(t testing.TB) *Desk {
	t.Helper()
	if b.Addr == "" {
		b.Addr = "127.0.0.1"
	}
	dir := t.TempDir()
	b.configure(t, dir)
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(Program(t, "baresip"), "-f", dir, "-n", b.Addr) // it takes no loopback address by itself
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("baresip: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(out.Name())
			t.Logf("baresip:\n%s", text)
		}
	})
	Eventually(t, 10*time.Second, "baresip listens", func() error {
		return errors.Join(DialTCP(b.Addr+":5060"), DialTCP(b.Addr+":8000"))
	})
	return &Desk{keys: "http://" + b.Addr + ":8000/?"}
}

func (b Baresip) configure(t testing.TB, dir string) {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var rate, channels int
	_, parameters, _ := strings.Cut(b.Codec, "/")
	if _, err := fmt.Sscanf(parameters, "%d/%d", &rate, &channels); err != nil {
		t.Fatalf("codec %q: %v", b.Codec, err)
	}
	write("tone.wav", string(toneWAV(90, rate, channels)))
	source := "aufile," + filepath.Join(dir, "tone.wav")
	if b.Echo {
		source = "aubridge,loop"
	}
	mux := "no"
	if b.Mux {
		mux = "yes"
	}
	user, mode := cmp.Or(b.User, "baresip"), "auto"
	who := fmt.Sprintf("<sip:%s@%s>;regint=0", user, b.Addr)
	if b.Registrar != "" {
		who = fmt.Sprintf(`<sip:%s@example.com>;auth_pass=%spw;outbound="sip:%s";regint=60`, user, user, b.Registrar)
	}
	if b.Rings {
		mode = "manual"
	}
	account := fmt.Sprintf("%s;answermode=%s;audio_codecs=%s", who, mode, b.Codec)
	if b.Encryption != "" {
		account += ";mediaenc=" + b.Encryption
	}
	if b.NAT != "" {
		account += ";medianat=" + b.NAT
	}
	write("config", fmt.Sprintf(baresipConfig, b.Addr, source, mux, b.Addr))
	write("accounts", account+"\n")
	write("contacts", "")
}
