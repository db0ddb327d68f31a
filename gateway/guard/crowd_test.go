package guard

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestCrowd(t *testing.T) {
	t.Parallel()
	proxy := netip.MustParseAddr("10.0.0.1")
	c := NewCrowd(6, 2, func(a netip.Addr) bool { return a == proxy })
	for i, step := range []struct {
		leave bool
		from  string
		full  Full
	}{
		{from: "192.0.2.1"},
		{from: "::ffff:192.0.2.1"},                  // the same
		{from: "192.0.2.1", full: FullForAddress},   //
		{from: "192.0.2.2"},                         // another
		{from: "2001:db8::1"},                       //
		{from: "2001:db8::ffff"},                    // the same /64
		{from: "2001:db8::2", full: FullForAddress}, //
		{from: "10.0.0.1"},                          // spared
		{from: "10.0.0.1", full: FullInAll},         //
		{from: "2001:db8:0:1::1", full: FullInAll},  //
		{leave: true, from: "192.0.2.1"},            //
		{from: "2001:db8:0:1::1"},                   // another /64
		{from: "192.0.2.1", full: FullInAll},        //
		{leave: true, from: "10.0.0.1"},             //
		{from: "192.0.2.1"},                         //
		{leave: true, from: "2001:db8::1"},          //
		{from: "2001:db8::3"},                       //
		{from: "2001:db8::4", full: FullInAll},      // what is full in all says so first
		{leave: true, from: "192.0.2.2"},            //
		{from: "2001:db8::4", full: FullForAddress}, //
	} {
		from := netip.MustParseAddr(step.from)
		if step.leave {
			c.Leave(from)
		} else if full := c.Enter(from); full != step.full {
			t.Fatalf("step %d: %s: %q", i, step.from, full)
		}
	}
}

// Whoever comes and goes, the bounds hold, and nothing is left in the end.
func TestCrowdForgetsWhoLeft(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	c := NewCrowd(50, 3, func(netip.Addr) bool { return false })
	var in []netip.Addr
	for range 20000 {
		from := netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(30))})
		switch {
		case random.IntN(2) == 0 && len(in) > 0:
			i := random.IntN(len(in))
			c.Leave(in[i])
			in = append(in[:i], in[i+1:]...)
		case random.IntN(2) == 0: // named later
			if c.Enter(netip.Addr{}) != Room {
				continue
			}
			if c.Name(from) != Room {
				from = netip.Addr{}
			}
			in = append(in, from)
		case c.Enter(from) == Room:
			in = append(in, from)
		}
		for _, n := range c.bySite {
			if n > 3 || n < 1 {
				t.Fatalf("%d from one address", n)
			}
		}
		if c.Len() != len(in) || c.Len() > 50 {
			t.Fatalf("%d are in, %d counted", len(in), c.Len())
		}
	}
	for _, from := range in {
		c.Leave(from)
	}
	if c.Len() != 0 || len(c.bySite) != 0 {
		t.Errorf("%d left, %v", c.Len(), c.bySite)
	}
}
