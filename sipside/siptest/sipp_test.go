package siptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// sipp is the field's own test tool (Debian: sip-tester). It runs at a host and in a folder of its own, where its tone lies, and
// sends nothing twice.
func sipp(t *testing.T, ctx context.Context, host, scenario string, args ...string) *exec.Cmd {
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
	args = append(args, "-i", host, "-mi", host, "-nr", "-nostdin", "-trace_err", "-timeout", "50s", "-timeout_error")
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

// ownHost is an address for one sipp, where nobody else has ports.
func ownHost() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254))
}

// once are timers by which nothing is sent again, however busy the machine: sipp takes a message that comes twice for a fault.
func once() transaction.Config { return transaction.Config{T1: time.Minute, T2: time.Minute} }

// listens waits until a sipp that is called has its port; what came before would not come again.
func listens(t *testing.T, ctx context.Context, host string) {
	t.Helper()
	ip := netip.MustParseAddr(host).As4()
	at := fmt.Sprintf(" %02X%02X%02X%02X:%04X ", ip[3], ip[2], ip[1], ip[0], 5060)
	for {
		sockets, err := os.ReadFile("/proc/net/udp")
		must(t, err)
		if strings.Contains(string(sockets), at) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("sipp does not listen")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestSippRegistersAndCalls(t *testing.T) {
	for transport, flag := range map[string]string{"udp": "u1", "tcp": "t1"} {
		t.Run(transport, func(t *testing.T) {
			ctx, p, host := within(t), pbx(t, PBXConfig{Users: map[string]string{"alice": "secret"}, Timers: once()}), ownHost()
			common := []string{p.Addr().String(), "-m", "1", "-t", flag, "-au", "alice", "-ap", "secret"}
			must(t, run(sipp(t, ctx, host, "register.xml", append(common, "-s", "alice")...)))
			if list := p.Contacts("alice"); len(list) != 1 {
				t.Errorf("contacts %v", list)
			}
			must(t, run(sipp(t, ctx, host, "call.xml", append(common, "-s", "600")...)))
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
	bob, m := agent(t, AgentConfig{User: "bob", Timers: once()}), media(t)
	cmd := sipp(t, ctx, ownHost(), "call.xml", bob.Addr().String(), "-m", "1", "-au", "alice", "-ap", "x", "-s", "bob")
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
	ctx, p, host := within(t), pbx(t, PBXConfig{AnyUser: true, Timers: once()}), ownHost()
	cmd := sipp(t, ctx, host, "uas", "-m", "1")
	done := running(cmd)
	listens(t, ctx, host)
	alice, m := agent(t, AgentConfig{User: "alice"}), media(t)
	uri := sip.Uri{Scheme: "sip", User: "sipp", Host: "127.0.0.1", Port: number(p, "").Port}
	res := got[*sip.Response](t)(alice.Do(ctx, sip.REGISTER, Call{
		To: uri, Headers: []sip.Header{sip.NewHeader("Contact", "<sip:sipp@"+host+":5060>")},
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
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true, Users: map[string]string{}, Timers: once()})
	must(t, run(sipp(t, ctx, ownHost(), "uac", p.Addr().String(), "-m", "100", "-r", "50", "-d", "200", "-s", "600")))
	if s := p.Stats(); s.Answered != 100 {
		t.Errorf("stats %+v", s)
	}
	idle(t, ctx, p)
}
