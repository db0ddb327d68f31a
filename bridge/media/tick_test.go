package media

import (
	"testing"
	"time"
)

func TestTickIsParsed(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"adaptive": adaptive, "0": 0, "250us": 250 * time.Microsecond, "500us": 500 * time.Microsecond, "1ms": time.Millisecond,
	} {
		if got, err := parseTick(s); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "2ms", "-1ms", "fast"} {
		if _, err := parseTick(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestPacer(t *testing.T) {
	const window = int64(tickWindow)
	for name, c := range map[string]struct {
		setting time.Duration
		packets int // in a window
		want    time.Duration
	}{
		"adaptive, idle":   {adaptive, 0, 0},
		"adaptive, quiet":  {adaptive, 31, 0},
		"adaptive, busy":   {adaptive, 32, adaptiveLong},
		"adaptive, busier": {adaptive, 159, adaptiveLong},
		"adaptive, many":   {adaptive, 160, adaptiveTick},
		"none":             {0, 1000, 0},
		"fixed, idle":      {time.Millisecond, 0, 0},
		"fixed":            {time.Millisecond, 1, time.Millisecond},
	} {
		p := pacer{setting: c.setting, packets: c.packets}
		if got := p.tick(window); got != c.want {
			t.Errorf("%s: tick %v, want %v", name, got, c.want)
		}
		if got := p.tick(window + 1); got != c.want {
			t.Errorf("%s: tick %v before the next window is over, want %v", name, got, c.want)
		}
		if got := p.tick(3 * window); got != 0 {
			t.Errorf("%s: tick %v after silence, want none", name, got)
		}
	}
}
