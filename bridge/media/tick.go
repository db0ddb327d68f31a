package media

import (
	"fmt"
	"time"
)

const (
	adaptive     time.Duration = -1
	adaptiveTick               = 750 * time.Microsecond
	adaptiveLong               = time.Millisecond      // while a round finds so few packets that the sleep is most of what each costs
	adaptiveBusy               = 4                     // packets in a millisecond: from here on collecting pays
	adaptiveMany               = 20                    // from here on for the shorter time
	tickWindow                 = 8 * time.Millisecond  // over which the load is judged, so that a single burst waits for nobody
	leastPause                 = 50 * time.Microsecond // of a worker that cannot keep up: others want the processor too
)

// parseTick reads Config.Tick.
func parseTick(s string) (time.Duration, error) {
	switch s {
	case "adaptive":
		return adaptive, nil
	case "0", "250us", "500us", "1ms":
		return time.ParseDuration(s)
	}
	return 0, fmt.Errorf("media: tick %q: must be adaptive, 0, 250us, 500us or 1ms", s)
}

// pacer says how long a worker lets packets collect. What costs is the wake-up for each packet, not the system call; but a
// packet that waits is late. So a quiet worker is woken at once, and a busy one collects for a tick.
type pacer struct {
	setting time.Duration
	packets int   // handled in this window
	window  int64 // when it began
	busy    bool  // by the last window
	many    bool  // the same
}

// tick is how long after a round that began at clock the next one is to begin; 0: as soon as something comes.
func (p *pacer) tick(clock int64) time.Duration {
	if span := clock - p.window; span >= int64(tickWindow) {
		p.busy, p.many = p.pays(span), p.rate(adaptiveMany, span)
		p.window, p.packets = clock, 0
	}
	if !p.busy {
		return 0
	}
	switch {
	case p.setting != adaptive:
		return p.setting
	case p.many:
		return adaptiveTick
	}
	return adaptiveLong
}

// pays judges a window of span ns. A fixed tick holds whenever packets come at all.
func (p *pacer) pays(span int64) bool {
	if p.setting == adaptive {
		return p.rate(adaptiveBusy, span)
	}
	return int64(p.packets)*int64(tickWindow) >= span
}

// rate says whether at least so many packets came in a millisecond of a window of span ns.
func (p *pacer) rate(least int, span int64) bool {
	return int64(p.packets)*int64(time.Millisecond) >= int64(least)*span
}
