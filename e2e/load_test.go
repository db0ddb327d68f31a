package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

const loaded = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: "udp://127.0.0.20:0"}
guard: off
media: {listen: "127.0.0.20:0", rtp: {ports: 20000-20999}}
pools:
  phones: {members: ["sip:%s"], probe: {every: 0s}}
routes:
  - {from: browsers, to: phones}
turn: {listen: "udp://127.0.0.20:0", realm: lab, users: %s}
admin: {listen: "127.0.0.20:0"}
`

// relayUser writes the file of the one user that the generator's relays have, and gives their credentials.
func relayUser(t testing.TB) (file string, by load.TURN) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "users")
	must(t, os.WriteFile(file, []byte("lab:labpw\n"), 0o600))
	return file, load.TURN{User: "lab", Password: "labpw", Realm: "lab"}
}

// stoodStill is by how much a generator is late whose machine stood still: it catches up at once, in more packets than a socket holds.
const stoodStill = 200 * time.Millisecond

// The load generator's packets all arrive, are opened with the keys of their call, and carry what was sent; those of half of the
// calls by relays.
func TestLoad(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	g, err := load.New(0, nil)
	must(t, err)
	t.Cleanup(g.Close)
	phones, err := g.ListenPhones(netip.MustParseAddrPort("127.0.0.10:0"))
	must(t, err)
	t.Cleanup(phones.Close)
	users, by := relayUser(t)
	s := newSite(t, fmt.Sprintf(loaded, phones.Addr(), users))
	s.ladderOnFailure(t)
	browser, err := g.DialBrowser(ctx, s.url(), "example.com")
	must(t, err)
	t.Cleanup(browser.Close)
	by.Server = s.TURNAddrs()[0].Addr
	ways := []*load.Browser{browser, browser.Through(by)}

	var calls []*load.Call
	var sessions []*load.Session
	for i := range 4 {
		c, err := ways[(i+i/2)%2].Call(ctx, load.Both(load.Codec(i%2)), []load.Profile{load.GCM, load.SHA1}[i/2])
		must(t, err)
		calls, sessions = append(calls, c), append(sessions, c.Session)
	}
	var result *load.Result
	for again := true; again; again = result.Received != result.Sent && result.Late > stoodStill {
		result, err = g.Run(ctx, load.Load{Sessions: sessions, Warm: 200 * time.Millisecond, Duration: 2 * time.Second})
		must(t, err)
	}
	if result.Sent < 780 || result.Sent > 820 || result.Received != result.Sent {
		t.Errorf("%d packets sent, %d arrived, want 800 of both", result.Sent, result.Received)
	}
	if in, out := s.detoured(t); in < 200 || out < 200 {
		t.Errorf("%d packets came from relays within the process, %d went to them, want a half", in, out)
	}
	lab.Eventually(t, 10*time.Second, "reports have crossed in both directions", func() error {
		if browsers, phones := g.Reports(); browsers == 0 || phones == 0 {
			return fmt.Errorf("the browsers got %d, the phones %d", browsers, phones)
		}
		return nil
	})
	if faults := g.Faults(); faults != (load.Faults{}) {
		t.Errorf("wrong packets: %+v, the first: %v", faults, g.FirstFault())
	}
	if n := phones.Open(); n != len(calls) {
		t.Errorf("%d calls at the phones, want %d", n, len(calls))
	}
	for _, c := range calls {
		must(t, c.Bye(ctx))
	}
	s.quiet(t)
	lab.Eventually(t, 5*time.Second, "the phones' calls have ended", func() error {
		if n := phones.Open(); n != 0 {
			return fmt.Errorf("%d calls", n)
		}
		return nil
	})
}
