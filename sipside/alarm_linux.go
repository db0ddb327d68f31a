package sipside

import (
	"os"
	"sync"
	"time"

	"tandem/sipside/raw"
)

// alarm is a timer that is set and stopped thousands of times for each time that it rings. The runtime's timers wake a thread when
// one is set that is due before all others; this one costs a system call.
type alarm struct {
	file *os.File // of a timerfd

	mu sync.RWMutex
	fd int // guarded by mu; -1: closed
}

func newAlarm() (*alarm, error) {
	fd, err := raw.NewTimer()
	if err != nil {
		return nil, err
	}
	return &alarm{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}, nil
}

// set has it ring once d has passed, and not before. Safe from any goroutine.
func (a *alarm) set(d time.Duration) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.fd >= 0 {
		_ = raw.SetTimer(a.fd, d) // fails for what is no timer only
	}
}

// stop has it not ring. Safe from any goroutine.
func (a *alarm) stop() {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.fd >= 0 {
		_ = raw.StopTimer(a.fd)
	}
}

// wait ends when it rings; false once it is closed.
func (a *alarm) wait() bool {
	var rung [8]byte
	_, err := a.file.Read(rung[:])
	return err == nil
}

// close ends wait. Safe to call twice.
func (a *alarm) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd < 0 {
		return nil
	}
	a.fd = -1
	return a.file.Close()
}
