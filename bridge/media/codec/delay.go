package codec

import "time"

// Bounds of the delay that the jitter buffer adds.
const (
	leastDelay = 20 * time.Millisecond
	firstDelay = 40 * time.Millisecond
	mostDelay  = 200 * time.Millisecond
)

const (
	delayBucket  = 5 * time.Millisecond
	delayBuckets = 64
	delayWindow  = 5 * time.Second
	// delayPart of the packets come in time.
	delayPart = 0.97
	// delayForget is what a packet leaves of the ones before it: a memory of 200 packets.
	delayForget = 0.995
)

// delay finds out how long the sound of one stream must wait so that most of its packets are there in time. A packet's
// transit is its arrival less its timestamp, both in time; the least transit of the last 5 to 10 s is the base, and a
// packet's lateness is what it has beyond. Clocks that drift apart move the base.
type delay struct {
	started       bool
	since         time.Duration // when the window of recent began
	earlier, last time.Duration // least transit of the window before, and of this one
	packets       int
	late          [delayBuckets]float32 // part of the packets by lateness
	target        time.Duration
	floor         time.Duration // what target is at least
}

// base is the transit of a packet that nothing held up.
func (d *delay) base() time.Duration { return min(d.earlier, d.last) }

// observe takes a packet's arrival and timestamp into account.
func (d *delay) observe(arrival, timestamp time.Duration) {
	transit := arrival - timestamp
	if !d.started {
		*d = delay{started: true, since: arrival, earlier: transit, last: transit, target: firstDelay, floor: leastDelay}
	}
	if arrival-d.since > delayWindow {
		d.since, d.earlier, d.last = arrival, d.last, transit
	}
	d.last = min(d.last, transit)

	d.packets++
	keep := float32(min(delayForget, float64(d.packets)/float64(d.packets+1)))
	for i := range d.late {
		d.late[i] *= keep
	}
	d.late[min(int((transit-d.base())/delayBucket), delayBuckets-1)] += 1 - keep
	if d.packets >= 10 {
		d.target = d.needed()
	}
}

// needed is the lateness that delayPart of the packets stay below, within the bounds.
func (d *delay) needed() time.Duration {
	var all, sum float32
	for _, part := range d.late {
		all += part
	}
	for i, part := range d.late {
		if sum += part; sum >= delayPart*all {
			return min(max(time.Duration(i+1)*delayBucket+delayBucket, d.floor), mostDelay)
		}
	}
	return mostDelay
}
