package lab

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// StartEcho sends back every packet that reaches addr:3480, until the test ends: coturn's turnutils_peer.
func StartEcho(t testing.TB, addr string) {
	t.Helper()
	cmd := exec.Command(Program(t, "turnutils_peer"), "-L", addr, "-p", "3480")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("turnutils_peer: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// Uclient is what coturn's turnutils_uclient counted.
type Uclient struct {
	Sent, Received int
	Output         string
}

var uclientTotals = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`)

// RunUclient has turnutils_uclient relay packets to the echo of StartEcho at peer, with more arguments, and gives the last totals
// that it printed. It ends by itself, at an error of the server's, too.
func RunUclient(t testing.TB, peer string, args ...string) Uclient {
	t.Helper()
	words := append([]string{"-e", peer, "-c", "-v"}, args...)
	out, err := exec.Command("timeout", append([]string{"60", Program(t, "turnutils_uclient")}, words...)...).CombinedOutput()
	u := Uclient{Output: strings.ToValidUTF8(string(out), "?")}
	if err != nil {
		u.Output += err.Error()
	}
	for _, m := range uclientTotals.FindAllStringSubmatch(u.Output, -1) {
		u.Sent, _ = strconv.Atoi(m[1])
		u.Received, _ = strconv.Atoi(m[2])
	}
	return u
}

// StartCoturn runs coturn at addr:3478 over UDP for user lab with password labpw in realm lab, whose relays reach loopback, until the
// test ends; it gives its process id.
func StartCoturn(t testing.TB, addr string) (pid int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(Program(t, "turnserver"), "-n", "-L", addr, "-E", addr, "-p", "3478", "--min-port", "49152", "--max-port", "65535",
		"--lt-cred-mech", "-u", "lab:labpw", "-r", "lab", "--allow-loopback-peers", "--no-tls", "--no-dtls", "--no-cli", "--no-tcp", "--no-tcp-relay",
		"--no-multicast-peers", "--no-stdout-log", "--log-file", dir+"/coturn.log", "--simple-log", "--pidfile", dir+"/pid", "--db", dir+"/db")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("turnserver: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}
