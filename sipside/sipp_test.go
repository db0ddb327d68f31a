package sipside

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// sipp runs SIPp with its built-in scenario until it ends, and gives what it printed if it failed. It sends nothing twice, and takes
// what comes twice for a fault: neither does the door.
func sipp(t *testing.T, args ...string) chan error {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		t.Fatal("these tests need SIPp: apt install sip-tester")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	cmd := exec.CommandContext(ctx, path, append(args, "-nr", "-nostdin", "-timeout", "60s", "-timeout_error")...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), "TERM=dumb")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		if err := cmd.Wait(); err != nil {
			err = fmt.Errorf("%w: %s", err, out.String())
			ended <- err
			return
		}
		ended <- nil
	}()
	t.Cleanup(func() { cancel(); <-waited })
	return ended
}

// answerCalls plays the called user: 180, 200, and 200 to BYE.
func answerCalls(t *testing.T, d *door, calls int) {
	for byes := 0; byes < calls; {
		got := receive(t, "a request of SIPp", d.requests)
		switch got.tx.Request().Method {
		case sip.INVITE:
			for _, status := range []int{180, 200} {
				res := transaction.NewResponse(got.tx.Request(), status, "Fine")
				res.To().Params.Add("tag", "ours")
				res.AppendHeader(&sip.ContactHeader{Address: got.backend.Contact("x1")})
				if err := got.tx.Respond(res); err != nil {
					t.Fatal(err)
				}
			}
		case sip.BYE:
			byes++
			respond(t, got, 200)
		}
	}
}

func TestSIPpCallsUs(t *testing.T) {
	for i, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			const calls = 20
			cfg := trunk(t, "sip:127.0.0.50:5060")
			cfg.Timers = transaction.Config{T1: time.Minute, T2: time.Minute}
			d := openDoor(t, cfg, testLimits())
			ended := sipp(t, "-sn", "uac", "-i", "127.0.0.50", "-t", transport, "-m", fmt.Sprint(calls), "-r", "50", "-d", "1",
				d.Addrs()[i].String())
			answerCalls(t, d, calls)
			if err := receive(t, "SIPp is content", ended); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWeCallSIPp(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			at := netip.MustParseAddrPort(map[string]string{"u1": "127.0.0.51:5060", "t1": "127.0.0.52:5060"}[transport]) // nobody else is there
			ended := sipp(t, "-sn", "uas", "-i", at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-t", transport, "-m", "1")
			to := "sip:" + at.String()
			if transport == "t1" {
				to += ";transport=tcp"
			}
			cfg := trunk(t, to)
			cfg.Timers = transaction.Config{T1: time.Minute, T2: time.Minute}
			d := openDoor(t, cfg, testLimits())
			b := d.Backend("pbx")
			final := inviteUntilAnswered(t, b)
			inDialog := func(method sip.RequestMethod, seq uint32) transaction.Outbound {
				out := request(t, method, final.Contact().Address.String(), "")
				out.To().Params.Add("tag", final.To().Params.GetOr("tag", ""))
				out.CSeq().SeqNo = seq
				return out
			}
			if err := b.Ack(inDialog(sip.ACK, 1)); err != nil {
				t.Fatal(err)
			}
			got, on := events()
			if _, err := b.Request(inDialog(sip.BYE, 2), on); err != nil {
				t.Fatal(err)
			}
			if e := receive(t, "the BYE's answer", got); e.Err != nil || e.Response.StatusCode != 200 {
				t.Errorf("%+v", e)
			}
			if err := receive(t, "SIPp is content", ended); err != nil {
				t.Error(err)
			}
		})
	}
}

// inviteUntilAnswered calls until SIPp, which is still starting, takes the call.
func inviteUntilAnswered(t *testing.T, b *Backend) *sip.Response {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		got, on := events()
		if _, err := b.Request(request(t, sip.INVITE, "sip:bob@example.com", "v=0\r\n",
			&sip.ContactHeader{Address: b.Contact("x1")}), on); err != nil {
			t.Fatal(err)
		}
		for e := range got {
			if e.Err != nil {
				break
			}
			if e.Response.IsSuccess() {
				return e.Response
			}
			if !strings.HasPrefix(e.Response.Reason, "Ringing") {
				t.Fatalf("SIPp says %s", e.Response.StartLine())
			}
		}
		<-time.After(20 * time.Millisecond) // TCP is refused at once while it starts
	}
	t.Fatal("in vain: SIPp answers")
	return nil
}
