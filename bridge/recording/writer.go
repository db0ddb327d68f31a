package recording

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

const drainEvery = 100 * time.Millisecond

// sink is one file that is being written. After an error nothing but finish is called.
type sink interface {
	begin() error // writes what a file without a packet has
	add(p *parcel)
	flush(now time.Duration) error  // writes what will not change any more
	finish(now time.Duration) error // makes the file whole and closes it; now is 0 where it broke off
	size() int64
}

// run writes until the recording is finished or something is at fault.
func (r *Recording) run() {
	defer close(r.ended)
	defer r.contain()
	ticker := time.NewTicker(drainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := r.drain(); err != nil {
				r.breakOff(EndOf(err), err)
				return
			}
		case <-r.stop:
			if err := errors.Join(r.drain(), r.close(time.Since(r.start))); err != nil {
				r.breakOff(EndOf(err), err)
			}
			return
		}
	}
}

// contain ends this recording, and nothing else, where a codec panicked.
func (r *Recording) contain() {
	if fault := recover(); fault != nil {
		r.breakOff(Fault, fmt.Errorf("%v\n%s", fault, debug.Stack()))
	}
}

// drain writes what came; what comes meanwhile has its turn, or nothing would be written while packets come as fast as they are taken.
func (r *Recording) drain() error {
	for range queueLength {
		p := r.queue.peek()
		if p == nil {
			break
		}
		for _, s := range r.sinks {
			s.add(p)
		}
		r.queue.advance()
	}
	var faults []error
	for _, s := range r.sinks {
		faults = append(faults, s.flush(time.Since(r.start)))
	}
	r.measure()
	return errors.Join(faults...)
}

// breakOff ends the writing: the call goes on without its recording.
func (r *Recording) breakOff(why string, err error) {
	r.reason.Store(&why)
	r.log.Error("recording ended", "files", r.files, "reason", why, "error", err)
	_ = r.close(0)
}

// close makes the files whole, each whatever became of the other.
func (r *Recording) close(now time.Duration) error {
	var faults []error
	for _, s := range r.sinks {
		faults = append(faults, finish(s, now))
	}
	r.measure()
	r.sinks = nil
	return errors.Join(faults...)
}

var errFault = errors.New("fault in a recording")

func finish(s sink, now time.Duration) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v\n%s", errFault, fault, debug.Stack())
		}
	}()
	return s.finish(now)
}

func (r *Recording) measure() {
	if len(r.sinks) == 0 {
		return
	}
	size := int64(0)
	for _, s := range r.sinks {
		size += s.size()
	}
	r.bytes.Store(size)
}
