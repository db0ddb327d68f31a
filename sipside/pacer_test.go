package sipside

import (
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	for _, c := range []struct {
		name  string
		every time.Duration // a message
		runs  time.Duration
		want  time.Duration
	}{
		{"few messages are handled at once", 5 * time.Millisecond, time.Second, 0},
		{"many collect", 500 * time.Microsecond, time.Second, collectFor},
		{"a burst waits for nobody", 100 * time.Microsecond, paceWindow / 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			var p pacer
			p.came(1, now) // the first window begins
			got := time.Duration(-1)
			for end := now.Add(c.runs); now.Before(end); {
				now = now.Add(c.every)
				got = p.came(1, now)
			}
			if got != c.want {
				t.Errorf("after %s with one each %s the next collect for %s, want %s", c.runs, c.every, got, c.want)
			}
			if got = p.came(1, now.Add(time.Second)); got != 0 {
				t.Errorf("after a second's silence they collect for %s", got)
			}
		})
	}
}
