package siptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// sipp is the field's own test tool (Debian: sip-tester). It runs in a folder of its own, where its tone lies.
func sipp(t *testing.T, ctx context.Context, scenario string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	if text, err := os.ReadFile(filepath.Join("testdata", scenario)); err == nil {
		samples, phase := make([]int16, rate), 0.0
		tone(samples, 800, &phase)
		stream := make([]byte, len(samples))
		for i, s := range samples {
			stream[i] = alawEncode(s)
		}
		must(t, os.WriteFile(filepath.Join(dir, "tone.alaw"), stream, 0o600))
		text = bytes.ReplaceAll(text, []byte("@TONE@"), []byte(filepath.Join(dir, "tone.alaw")))
		must(t, os.WriteFile(filepath.Join(dir, scenario), text, 0o600))
		args = append(args, "-sf", scenario)
	} else {
		args = append(args, "-sn", scenario)
	}
	args = append(args, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", freePort(t), "-nostdin", "-trace_err", "-timeout", "50s", "-timeout_error")
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Dir = dir
	return cmd
}

// run runs sipp to its end; its own verdict is the exit status.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	logs, globErr := filepath.Glob(filepath.Join(cmd.Dir, "*errors.log"))
	for _, file := range logs {
		text, readErr := os.ReadFile(file)
		out, globErr = append(out, text...), errors.Join(globErr, readErr)
	}
	return fmt.Errorf("sipp (Debian: sip-tester): %w\n%s", errors.Join(err, globErr), out[max(0, len(out)-3000):])
}

// running runs sipp beside the test.
func running(cmd *exec.Cmd) <-chan error {
	done := make(chan error, 1)
	go func() { done <- run(cmd) }()
	return done
}

// freePort is a port for sipp, free together with the five above it, which sipp's media takes. It lies below the range
// from which the kernel gives port 0, so that no other test gets it before sipp does.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := uint16(20000 + 2*rand.IntN(6000))
		if free(port, 6) {
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no free ports")
	return ""
}

func free(port, count uint16) bool {
	for p := port; p < port+count; p++ {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, p)))
		if err != nil {
			return false
		}
		defer c.Close()
	}
	return true
}

func TestSippRegistersAndCalls(t *testing.T) {
	for transport, flag := range map[string]string{"udp": "u1", "tcp": "t1"} {
		t.Run(transport, func(t *testing.T) {
			ctx, p := within(t), pbx(t, PBXConfig{Users: map[string]string{"alice": "secret"}})
			common := []string{p.Addr().String(), "-m", "1", "-t", flag, "-au", "alice", "-ap", "secret", "-p", freePort(t)}
			must(t, run(sipp(t, ctx, "register.xml", append(common, "-s", "alice")...)))
			if list := p.Contacts("alice"); len(list) != 1 {
				t.Errorf("contacts %v", list)
			}
			must(t, run(sipp(t, ctx, "call.xml", append(common, "-s", "600")...)))
			if s := p.Stats(); s.Answered != 1 {
				t.Errorf("stats %+v", s)
			}
			idle(t, ctx, p)
		})
	}
}

// An agent hears what another's tool sends: the ear is not only right about its own voice.
func TestSippIsHeard(t *testing.T) {
	ctx := within(t)
	bob, m := agent(t, AgentConfig{User: "bob"}), media(t)
	cmd := sipp(t, ctx, "call.xml", bob.Addr().String(), "-m", "1", "-au", "alice", "-ap", "x", "-s", "bob", "-p", freePort(t))
	done := running(cmd)
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	challenge := sip.NewHeader("WWW-Authenticate", `Digest realm="r", nonce="n", algorithm=MD5, qop="auth"`)
	must(t, in.Respond(Reply{Status: 401, Headers: []sip.Header{challenge}}))
	in = got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	if h := in.Request().GetHeader("Authorization"); h == nil || !strings.Contains(h.Value(), `nonce="n"`) {
		t.Errorf("Authorization %v", h)
	}
	d := got[*Dialog](t)(in.Accept(ctx, Reply{SDP: got[string](t)(m.Answer(in.SDP()))}))
	must(t, m.WaitTone(ctx, 800))
	bye := got[*Incoming](t)(d.Expect(ctx, sip.BYE))
	must(t, bye.Respond(Reply{Status: 200}))
	must(t, <-done)
}

// sipp's own callee behind the PBX: registered by another's REGISTER, called, and hung up on.
func TestSippIsCalled(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	port := freePort(t)
	cmd := sipp(t, ctx, "uas", "-m", "1", "-p", port)
	done := running(cmd)
	alice, m := agent(t, AgentConfig{User: "alice"}), media(t)
	uri := sip.Uri{Scheme: "sip", User: "sipp", Host: "127.0.0.1", Port: number(p, "").Port}
	res := got[*sip.Response](t)(alice.Do(ctx, sip.REGISTER, Call{
		To: uri, Headers: []sip.Header{sip.NewHeader("Contact", "<sip:sipp@127.0.0.1:"+port+">")},
	}))
	if res.StatusCode != 200 {
		t.Fatalf("REGISTER answered %d", res.StatusCode)
	}
	out := got[*Outgoing](t)(alice.Invite(Call{To: uri, SDP: m.Offer("sendrecv")}))
	d := got[*Dialog](t)(out.Answered(ctx, ""))
	must(t, m.Connect(d.Remote))
	must(t, d.Bye(ctx))
	must(t, <-done)
	idle(t, ctx, p)
}

// Many short calls at once leave nothing behind.
func TestSippLoad(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true, Users: map[string]string{}})
	must(t, run(sipp(t, ctx, "uac", p.Addr().String(), "-m", "100", "-r", "50", "-d", "200", "-s", "600", "-p", freePort(t))))
	if s := p.Stats(); s.Answered != 100 {
		t.Errorf("stats %+v", s)
	}
	idle(t, ctx, p)
}
