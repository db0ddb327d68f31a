package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const baresipConfig = `sip_listen %s:5060
audio_source aufile,%s
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
call_local_timeout 60
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
module aufile.so
module aubridge.so
module_tmp account.so
module_app menu.so
`

// StartBaresip runs a phone at addr:5060, UDP and TCP, until the test ends. Its RTP sockets are bound to no address, so addr is
// 127.0.0.1 or its packets come from elsewhere than its SDP says. It answers by itself and plays a tone of ToneHz for
// half a minute; it speaks one codec, NAME/RATE/CHANNELS: "opus/48000/2", "G722/16000/1" or the like.
func StartBaresip(t testing.TB, addr, codec string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var rate, channels int
	_, parameters, _ := strings.Cut(codec, "/")
	if _, err := fmt.Sscanf(parameters, "%d/%d", &rate, &channels); err != nil {
		t.Fatalf("codec %q: %v", codec, err)
	}
	write("tone.wav", string(toneWAV(30, rate, channels)))
	write("config", fmt.Sprintf(baresipConfig, addr, filepath.Join(dir, "tone.wav")))
	write("accounts", fmt.Sprintf("<sip:baresip@%s>;regint=0;answermode=auto;audio_codecs=%s\n", addr, codec))
	write("contacts", "")
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(Program(t, "baresip"), "-f", dir, "-n", addr) // it takes no loopback address by itself
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
	Eventually(t, 10*time.Second, "baresip listens", func() error { return DialTCP(addr + ":5060") })
}
