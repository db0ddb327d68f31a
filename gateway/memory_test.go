package gateway

import "testing"

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
		s.check()
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
	s.check() // all that was ever written is new
	for check := 1; check <= 20; check++ {
		s.check()
		want := 0
		if check >= memoryLater {
			want = 1
		}
		if settled != want {
			t.Fatalf("%d checks after the burst: settled %d times, want %d", check, settled, want)
		}
	}
}

func TestGarbageShare(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{0: 1000, 8 * mb: 800, 64 * mb: 100, 128 * mb: 50, 4096 * mb: memoryShare} {
		if got := garbageShare(live); got != want {
			t.Errorf("%d MB in use: %d %%, want %d", live/mb, got, want)
		}
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
