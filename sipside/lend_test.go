package sipside

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"tandem/sipside/transaction"
)

// waiter is a handler that keeps the goroutines that are lent to it, and answers once it may.
type waiter struct {
	begun   chan string // Call-IDs of what came
	release chan struct{}
	kept    atomic.Int32
}

func (*waiter) BackendDown(*Backend) {}

func (w *waiter) ServeBackend(_ *Backend, tx *transaction.Server) {
	answer := func() {
		<-w.release
		_ = tx.Respond(transaction.NewResponse(tx.Request(), 200, "OK"))
	}
	lent := tx.Lent()
	if lent {
		w.kept.Add(1)
	}
	w.begun <- tx.Request().Via().Params.GetOr("branch", "")
	if lent {
		answer()
	} else {
		go answer()
	}
}

// A call that waits on the goroutine that it was lent keeps no other message of the socket waiting, and the reader of a connection
// is not lent: each message behind is handled, in order, while none before is done.
func TestWhoWaitsKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			peer := newDatagramPeer(t, "127.0.0.1")
			cfg := trunk(t, "sip:"+peer.at.String()+";transport="+network)
			cfg.Listen = []Listen{{Network: network, Addr: anyPort}}
			e, err := open(cfg, testLimits())
			if err != nil {
				t.Fatal(err)
			}
			w := &waiter{begun: make(chan string, 100), release: make(chan struct{})}
			ended := make(chan error, 1)
			go func() { ended <- e.Serve(context.Background(), w) }()
			send, read := conversation(t, network, peer, e.Addrs()[0])
			const count = 40
			for i := range count { // the first alone, so that its reader has the time for it
				send(wire("OPTIONS", fmt.Sprintf("SIP/2.0/%s pbx;rport;branch=z9hG4bK%d", strings.ToUpper(network), i), "", ""))
				if got, want := receive(t, "a message behind one that waits", w.begun), fmt.Sprintf("z9hG4bK%d", i); got != want {
					t.Fatalf("message %s came, want %s", got, want)
				}
			}
			if kept := w.kept.Load(); network == "udp" && kept == 0 || network == "tcp" && kept != 0 {
				t.Errorf("%d goroutines were lent", kept)
			}
			close(w.release)
			for range count {
				if got := read(); !strings.HasPrefix(got, "SIP/2.0 200 ") {
					t.Errorf("read %q", got)
				}
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			if err := receive(t, "the end of all readers", ended); err != nil {
				t.Error(err)
			}
		})
	}
}

// conversation is with a door, as the peer or from its address.
func conversation(t *testing.T, network string, peer *datagramPeer, door netip.AddrPort) (send func(string), read func() string) {
	t.Helper()
	if network == "udp" {
		return func(text string) { peer.send(door, text) }, func() string { text, _ := peer.read(); return text }
	}
	s := dialDoor(t, peer.at.Addr().String(), door)
	return s.send, s.read
}
