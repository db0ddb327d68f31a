package gateway

import (
	"slices"
	"testing"
)

func TestSettler(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct {
		figures memoryFigures
		before  uint64
		settles bool
	}{
		"after a burst":          {memoryFigures{live: 40 * mb, heap: 70 * mb, written: 900 * mb}, 899 * mb, true},
		"while checks go on":     {memoryFigures{live: 40 * mb, heap: 70 * mb, written: 900 * mb}, 885 * mb, true},
		"in a burst":             {memoryFigures{live: 40 * mb, heap: 70 * mb, written: 900 * mb}, 870 * mb, false},
		"settled":                {memoryFigures{live: 40 * mb, heap: 41 * mb, spare: mb / 2, written: 900 * mb}, 900 * mb, false},
		"free pages kept":        {memoryFigures{live: 40 * mb, heap: 40 * mb, spare: 30 * mb, written: 900 * mb}, 900 * mb, true},
		"not worth a collection": {memoryFigures{live: 800 * mb, heap: 820 * mb, written: 900 * mb}, 900 * mb, false},
		"empty":                  {memoryFigures{live: mb, heap: 2 * mb, written: 3 * mb}, 3 * mb, false},
		"before any collection":  {memoryFigures{heap: 3 * mb, written: 3 * mb}, 3 * mb, true},
	} {
		settled := false
		s := settler{read: func() memoryFigures { return c.figures }, settle: func() { settled = true }, share: func(int) {}, before: c.before}
		s.check(s.read())
		if settled != c.settles {
			t.Errorf("%s: settled %v, want %v", name, settled, c.settles)
		}
	}
}

// What a burst leaves lingering, transactions for half a minute, is settled when it is over; nothing is while nothing happens.
func TestSettlerComesAgain(t *testing.T) {
	const mb = 1 << 20
	figures, settled := memoryFigures{live: 40 * mb, heap: 41 * mb, written: 900 * mb}, 0
	s := settler{read: func() memoryFigures { return figures }, settle: func() { settled++ }, share: func(int) {}}
	s.check(s.read()) // all that was ever written is new
	for check := 1; check <= 20; check++ {
		s.check(s.read())
		want := 0
		if check >= memoryLater {
			want = 1
		}
		if settled != want {
			t.Fatalf("%d checks after the burst: settled %d times, want %d", check, settled, want)
		}
	}
}

// A large heap, or one to which little is written, has half of it become garbage; a small one in a hurry more.
func TestGarbageShare(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		live, written uint64
		want          int
	}{
		{0, 0, 50}, {mb, 4 * mb, 50}, {8 * mb, 60 * mb, 62}, {8 * mb, 480 * mb, 500}, {40 * mb, 60 * mb, 50}, {40 * mb, 480 * mb, 100},
		{16 * mb, 4096 * mb, 400}, {4096 * mb, 4096 * mb, 50},
	} {
		if got := garbageShare(c.live, c.written); got != c.want {
			t.Errorf("%d MB in use, %d MB written: %d %%, want %d", c.live/mb, c.written/mb, got, c.want)
		}
	}
}

// The share follows what is written, not each of its waves; each tenth pace checks.
func TestSettlerPaces(t *testing.T) {
	const mb = 1 << 20
	figures := memoryFigures{live: 40 * mb, heap: 70 * mb}
	var shares []int
	settled := 0
	s := newSettler()
	s.read, s.settle, s.share = func() memoryFigures { return figures }, func() { settled++ }, func(p int) { shares = append(shares, p) }
	for _, written := range []uint64{0, 480, 480, 510, 450, 0, 0, 0, 0} {
		figures.written += written * mb
		s.pace()
	}
	if want := []int{100, memoryShare}; !slices.Equal(shares, want) || settled != 0 {
		t.Errorf("shares %d, want %d; settled %d times before the check", shares, want, settled)
	}
	figures.written, s.before = 1920*mb, 1920*mb
	if s.pace(); settled != 1 {
		t.Errorf("settled %d times in the tenth pace", settled)
	}
}

// The figures are the runtime's, under the names that this Go knows.
func TestMemoryFigures(t *testing.T) {
	s := newSettler()
	s.settle()
	m := s.read()
	if m.live == 0 || m.heap == 0 || m.written < m.heap {
		t.Errorf("%+v", m)
	}
}
