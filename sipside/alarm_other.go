//go:build !linux

package sipside

import (
	"sync"
	"time"
)

// alarm is a timer that is set and stopped thousands of times for each time that it rings.
type alarm struct {
	timer  *time.Timer
	closed chan struct{}
	once   sync.Once
}

func newAlarm() (*alarm, error) {
	a := &alarm{timer: time.NewTimer(time.Hour), closed: make(chan struct{})}
	a.timer.Stop()
	return a, nil
}

// set has it ring once d has passed, and not before. Safe from any goroutine.
func (a *alarm) set(d time.Duration) { a.timer.Reset(d) }

// stop has it not ring. Safe from any goroutine.
func (a *alarm) stop() { a.timer.Stop() }

// wait ends when it rings; false once it is closed.
func (a *alarm) wait() bool {
	select {
	case <-a.timer.C:
		return true
	case <-a.closed:
		return false
	}
}

// close ends wait. Safe to call twice.
func (a *alarm) close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}
