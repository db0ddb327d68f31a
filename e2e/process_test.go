package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

const localPBX = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:0", "tcp://127.0.0.20:0"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:%s"], probe: {every: 0s}}
routes:
  - {from: browsers, user: '^900', reject: 403}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`

// local is the whole gateway on port 0 between test doubles on both sides.
type local struct {
	*site
	ctx context.Context
}

func newLocal(t *testing.T) *local {
	t.Helper()
	pbx, err := siptest.NewPBX(siptest.PBXConfig{
		Listen: netip.MustParseAddrPort("127.0.0.40:0"), Users: map[string]string{"alice": "alicepw", "bob": "bobpw"},
		RingTime: 300 * time.Millisecond, EarlyTime: 3 * time.Second, HangupTime: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pbx.Close() })
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop)
	return &local{newSite(t, fmt.Sprintf(localPBX, pbx.Addr())), ctx}
}

// browser registers a user who sends a tone.
func (l *local) browser(t *testing.T, user string, tone float64) *wsstest.Browser {
	t.Helper()
	b, err := wsstest.Dial(l.ctx, l.url(), wsstest.Options{NewSession: func() (wsstest.Session, error) {
		return wsstest.NewMedia(wsstest.MediaOptions{Codecs: []string{"PCMU", "PCMA"}, Tone: tone})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		for _, fault := range b.Faults() {
			t.Errorf("%s would not accept: %s", user, fault)
		}
	})
	if _, err := b.Register(l.ctx, user, user+"pw"); err != nil {
		t.Fatal(err)
	}
	return b
}

func (l *local) call(t *testing.T, b *wsstest.Browser, target string) *wsstest.Call {
	t.Helper()
	c, err := b.Invite(l.ctx, target, wsstest.InviteOptions{})
	must(t, err)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExtensions(t *testing.T) {
	l := newLocal(t)
	rows := []struct {
		target string
		status int     // refused with; 0: answered
		early  bool    // hears the tone before the answer
		tone   float64 // heard, Hz
		far    bool    // the far end hangs up
	}{
		{target: "600", tone: aliceTone},
		{target: "601", tone: 1004},
		{target: "603", tone: aliceTone},
		{target: "604", tone: 425, early: true},
		{target: "606", tone: aliceTone, far: true},
		{target: "607", status: 486},
		{target: "608", status: 480},
		{target: "900123", status: 403},
		{target: "nobody", status: 404},
	}
	for _, row := range rows {
		t.Run(row.target, func(t *testing.T) {
			l.ladderOnFailure(t)
			c := l.call(t, l.browser(t, "alice", aliceTone), row.target)
			if row.early {
				must(t, c.Media().WaitTone(l.ctx, row.tone))
			}
			err := c.Wait(l.ctx, wsstest.Confirmed)
			var refused *wsstest.StatusError
			switch {
			case row.status != 0:
				if !errors.As(err, &refused) || refused.Response.StatusCode != row.status {
					t.Fatalf("%v, want %d", err, row.status)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			if tags := c.ToTags(); len(tags) != 1 {
				t.Errorf("To-tags %v", tags)
			}
			if !row.early {
				must(t, c.Media().WaitTone(l.ctx, row.tone))
			}
			if !row.far {
				must(t, c.Bye(l.ctx))
			}
			must(t, c.Wait(l.ctx, wsstest.Ended))
			l.quiet(t)
		})
	}
}

func TestCancelAndHold(t *testing.T) {
	l := newLocal(t)
	t.Run("cancel", func(t *testing.T) {
		l.ladderOnFailure(t)
		c := l.call(t, l.browser(t, "alice", aliceTone), "609")
		must(t, c.Wait(l.ctx, wsstest.Ringing))
		must(t, c.Cancel(l.ctx))
		l.quiet(t)
		l.lastRecord(t, func(r record) error {
			if r.Status != 487 || r.By != "caller" {
				return fmt.Errorf("record %+v", r)
			}
			return nil
		})
	})
	t.Run("user to user, hold from either side", func(t *testing.T) {
		l.ladderOnFailure(t)
		alice, bob := l.browser(t, "alice", aliceTone), l.browser(t, "bob", bobTone)
		out := l.call(t, alice, "bob")
		in, err := bob.NextCall(l.ctx)
		must(t, err)
		must(t, in.Ring())
		must(t, in.Answer(l.ctx))
		must(t, out.Wait(l.ctx, wsstest.Confirmed))
		talk := func() {
			t.Helper()
			must(t, out.Media().WaitTone(l.ctx, bobTone))
			must(t, in.Media().WaitTone(l.ctx, aliceTone))
		}
		talk()
		for _, holder := range []*wsstest.Call{out, in} {
			must(t, holder.Hold(l.ctx))
			must(t, holder.Media().WaitQuiet(l.ctx, 300*time.Millisecond))
			must(t, holder.Resume(l.ctx))
			talk()
		}
		must(t, in.Bye(l.ctx))
		must(t, out.Wait(l.ctx, wsstest.Ended))
		l.quiet(t)
	})
}
