package sipside

import "time"

const (
	collectFor = 2 * time.Millisecond  // so much later a message is handled where many come
	manyEvery  = time.Millisecond      // from one message in this time on it pays
	paceWindow = 32 * time.Millisecond // over which that is judged, so that a single burst waits for nobody
)

// pacer says how long a UDP reader lets messages collect. What costs is that the process wakes up for each, not reading it; but who
// waits is late. So where few come each is handled at once, and where many come all of a while together.
type pacer struct {
	messages int       // of this window
	window   time.Time // when it began
	busy     bool      // by the last window
}

// came counts a batch and says how long the next one is to collect; 0: it is handled as soon as something comes.
func (p *pacer) came(messages int, now time.Time) time.Duration {
	p.messages += messages
	if span := now.Sub(p.window); span >= paceWindow {
		p.busy = time.Duration(p.messages)*manyEvery >= span
		p.window, p.messages = now, 0
	}
	if p.busy {
		return collectFor
	}
	return 0
}
