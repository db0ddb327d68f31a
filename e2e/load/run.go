package load

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	chunk  = 16   // packets that share a time stamp
	atOnce = 512  // packets that the loop sends before it reads again
	silent = 2000 // reads one after the other in which nothing came: whoever stood still has read since
)

// Load says what is sent.
type Load struct {
	Sessions []*Session
	Rate     float64       // packets a second in each direction of a session; 0 stands for 50
	Warm     time.Duration // sent before the measurement begins
	Duration time.Duration // of the measurement
	Begun    func()        // called when the measurement begins, Ended when its last packet was sent; by the caller of Run
	Ended    func()
}

// Result is what became of a load's packets, both directions together.
type Result struct {
	Sent, Received uint64
	Duration       time.Duration
	Latency        *Histogram
	Late           time.Duration // by how much the generator was behind its schedule at worst
}

// Loss is the share of packets that did not arrive.
func (r *Result) Loss() float64 {
	if r.Sent == 0 {
		return 0
	}
	return 1 - float64(r.Received)/float64(r.Sent)
}

// Rate is the packets sent in a second.
func (r *Result) Rate() float64 { return float64(r.Sent) / r.Duration.Seconds() }

// run is a load under way; owned by the loop.
type run struct {
	load              Load
	slots             []slot
	period            time.Duration // in which each slot sends once
	began             time.Duration
	next              int64 // slot to send, counted from began on
	phase             phase
	measured          time.Duration // when the measurement began, on the loop's clock
	from              int64         // the same, Unix ns
	silence           int           // reads since something came
	result            *Result
	begun, sent, done chan struct{}
}

type slot struct {
	session *Session
	down    bool
}

type phase int

const (
	warming phase = iota
	measuring
	draining
)

// Run sends a load and gives what became of it. One runs at a time; another waits for it.
func (g *Generator) Run(ctx context.Context, l Load) (*Result, error) {
	if l.Rate == 0 {
		l.Rate = 50
	}
	r := &run{load: l, period: time.Duration(float64(time.Second) / l.Rate), result: &Result{Latency: &Histogram{}},
		begun: make(chan struct{}), sent: make(chan struct{}), done: make(chan struct{})}
	for _, s := range l.Sessions {
		s.invited.Load() // orders what the phone's goroutine said before what the loop reads
		r.slots = append(r.slots, slot{s, false}, slot{s, true})
	}
	rand.Shuffle(len(r.slots), func(i, j int) { r.slots[i], r.slots[j] = r.slots[j], r.slots[i] })
	select {
	case g.runs <- r:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, step := range []struct {
		at   chan struct{}
		call func()
	}{{r.begun, l.Begun}, {r.sent, l.Ended}, {r.done, nil}} {
		select {
		case <-step.at:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-g.stopped:
			return nil, context.Canceled
		}
		if step.call != nil {
			step.call()
		}
	}
	return r.result, nil
}

// step sends what is due; true when the load is over.
func (r *run) step(g *Generator, now time.Duration) (over bool) {
	switch {
	case r.phase == warming && now-r.began >= r.load.Warm:
		r.next = max(r.next, r.due(now)) // what was not sent to get warm is none of the measurement's
		r.phase, r.measured, r.from = measuring, now, time.Now().UnixNano()
		close(r.begun)
	case r.phase == measuring && now-r.measured >= r.load.Duration && r.next >= r.due(now):
		r.phase, r.silence = draining, 0
		r.result.Duration = now - r.measured
		close(r.sent)
	}
	if r.phase == draining {
		if r.silence < silent && r.result.Received < r.result.Sent {
			return false
		}
		close(r.done)
		return true
	}
	r.sendDue(g, now)
	return false
}

// due is how many packets the schedule has until now: who was late sends all of the measurement's, and it takes longer.
func (r *run) due(now time.Duration) int64 {
	if r.phase == measuring {
		now = min(now, r.measured+r.load.Duration)
	}
	return int64(float64(now-r.began) / float64(r.period) * float64(len(r.slots)))
}

func (r *run) sendDue(g *Generator, now time.Duration) {
	slots, due := int64(len(r.slots)), r.due(now)
	if behind := time.Duration(due-r.next) * r.period / time.Duration(slots); r.phase == measuring && behind > r.result.Late {
		r.result.Late = behind
	}
	for count := 0; r.next < due && count < atOnce; count += chunk {
		end := min(due, r.next+chunk)
		stamp := time.Now().UnixNano()
		for ; r.next < end; r.next++ {
			r.slots[r.next%slots].send(g, stamp)
			if r.phase == measuring {
				r.result.Sent++
			}
		}
		g.faults.refused.Add(uint64(g.browsers.flush() + g.phones.flush()))
	}
}

// send queues the slot's next packet.
func (s slot) send(g *Generator, stamp int64) {
	if s.down {
		p := s.session.down.write(g.phones.out.next(), s.session, 'd', stamp)
		g.phones.out.add(len(p), s.session.phoneAddr(), s.session.phone)
		return
	}
	head := s.session.head()
	p := s.session.up.write(g.browsers.out.next()[head:head], s.session, 'u', stamp)
	if k := s.session.keys.Load(); k != nil {
		var err error
		if p, err = k.seal.EncryptRTP(p[:0], p, &k.header); err != nil {
			g.faults.refused.Add(1)
			return
		}
	}
	to := s.session.frame(g.browsers.out.next()[:head], len(p))
	g.browsers.out.add(head+len(p), s.session.browserAddr(), to)
}

// arrived counts a packet that was sent during the measurement.
func (r *run) arrived(sent, at int64) {
	if r.phase == warming || sent < r.from {
		return
	}
	r.silence = 0
	r.result.Received++
	r.result.Latency.add(time.Duration(at - sent))
}
