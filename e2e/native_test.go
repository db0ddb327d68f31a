package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/e2e/lab"
	"tandem/wss/wsstest"
)

// nativeApps have no Origin, where one is required of pages.
var nativeApps = strings.Replace(vouching, `{listen: "https://127.0.0.20:0"}`,
	`{listen: "https://127.0.0.20:0", origins: [https://phone.example.com], origins-required: true}`, 1)

// app is a client of tina's on a telephone: no page, no Origin, a token.
func (s *site) app(ctx context.Context, t *testing.T) *wsstest.Browser {
	t.Helper()
	token := s.byToken(t, "tina").JWT
	b, err := wsstest.Dial(ctx, s.url(), wsstest.Options{NoOrigin: true, Header: http.Header{"Authorization": {token}}, JWT: token,
		Instance: "urn:uuid:5f8f6e0a-3f0f-4a53-b0a6-90d7dcbb6f61", ContactUser: "app"})
	must(t, err)
	t.Cleanup(func() {
		b.Close()
		for _, fault := range b.Faults() {
			t.Errorf("the app: %s", fault)
		}
	})
	_, err = b.Register(ctx, "tina", "")
	must(t, err)
	return b
}

// comeBack has an app, whose connection is lost or dead, go on with its call over another.
func (s *site) comeBack(ctx context.Context, t *testing.T, call *wsstest.Call) *wsstest.Browser {
	t.Helper()
	again := s.app(ctx, t)
	call.Move(again)
	return again
}

// A native app's profile, with Asterisk at the other end: no Origin but a token, trickled candidates, another network in mid-call, a
// WebSocket that is suspended for a minute while the call's audio goes on.
func TestNativeApp(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	s := knowing(t, nativeApps)
	lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Trusted: []string{"tina"}})
	lab.Address(t, "10.99.0.2/24")

	var refused *wsstest.HandshakeError
	if _, err := wsstest.Dial(ctx, s.url(), wsstest.Options{NoOrigin: true}); !errors.As(err, &refused) || refused.Status != 403 {
		t.Fatalf("without Origin and token: %v, want 403", err)
	}
	forged := http.Header{"Authorization": {s.byToken(t, "tina").JWT + "x"}}
	if _, err := wsstest.Dial(ctx, s.url(), wsstest.Options{NoOrigin: true, Header: forged}); !errors.As(err, &refused) || refused.Status != 401 {
		t.Fatalf("without Origin and with a forged token: %v, want 401", err)
	}

	app := s.app(ctx, t)
	audio, err := wsstest.NewMedia(wsstest.MediaOptions{Codecs: []string{"PCMU"}, Tone: aliceTone, Trickle: true})
	must(t, err)
	call, err := app.Invite(ctx, "600", wsstest.InviteOptions{Session: audio})
	must(t, err)
	must(t, call.Wait(ctx, wsstest.Confirmed))
	candidates, err := audio.Candidates(ctx)
	must(t, err)
	if offer := string(call.Invitation().Body()); strings.Contains(offer, "a=candidate") || !strings.Contains(string(candidates), "a=candidate") {
		t.Fatalf("candidates stand in the offer, or not in the INFO:\n%s\n%s", offer, candidates)
	}
	res, err := call.Request(ctx, sip.INFO, "application/trickle-ice-sdpfrag", candidates, sip.NewHeader("Info-Package", "trickle-ice"))
	if err != nil || res.StatusCode != 200 {
		t.Errorf("INFO with candidates: %v, %v", res, err)
	}
	must(t, audio.WaitTone(ctx, aliceTone))

	app.Drop()
	back := s.comeBack(ctx, t, call)
	audio.Roam(net.IPv4(10, 99, 0, 2))
	must(t, call.RestartICE(ctx))
	lab.Eventually(t, 30*time.Second, "the call goes by the new network", func() error {
		if at, err := audio.LocalAddress(); err != nil || at.String() != "10.99.0.2" {
			return fmt.Errorf("it goes from %v: %v", at, err)
		}
		return nil
	})
	must(t, audio.WaitTone(ctx, aliceTone))

	back.Deafen()
	const minute = 3000 // packets
	must(t, audio.WaitReceived(ctx, audio.Received()+minute))
	s.comeBack(ctx, t, call)
	must(t, call.Hold(ctx))
	must(t, call.Resume(ctx))
	must(t, audio.WaitTone(ctx, aliceTone))
	must(t, call.Bye(ctx))
	s.quiet(t)
	if n := s.ladder.count("INFO sip:"); n != 1 {
		t.Errorf("%d INFOs, want the app's alone", n)
	}
}
