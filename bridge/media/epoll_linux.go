package media

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const eventBatch = 256

// What an epoll event stands for.
const (
	forWake int32 = iota
	forTimer
	forBrowser // with the number of the listen address
	forPort    // with the number of the SIP-side socket
)

// poller is a worker's epoll with the eventfd that wakes it and the timerfd of its next deadline. It waits through the Go
// runtime's own poller (an epoll is itself pollable), so that a sleeping worker holds no processor.
type poller struct {
	fd     int
	file   *os.File
	raw    syscall.RawConn
	event  int
	timer  int
	armed  int64 // deadline that the timer stands at; 0: none
	ready  int
	events [eventBatch]unix.EpollEvent
	check  func(uintptr) bool
}

func newPoller() (*poller, error) {
	p := &poller{fd: -1, event: -1, timer: -1}
	if err := p.open(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) open() (err error) {
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("media: epoll: %w", err)
	}
	if err = unix.SetNonblock(p.fd, true); err != nil { // what os.NewFile takes as a sign that it can be polled
		return fmt.Errorf("media: epoll: %w", err)
	}
	if p.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("media: eventfd: %w", err)
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return fmt.Errorf("media: timerfd: %w", err)
	}
	if err = errors.Join(p.add(p.event, forWake, 0), p.add(p.timer, forTimer, 0)); err != nil {
		return err
	}
	p.file = os.NewFile(uintptr(p.fd), "epoll")
	p.check = func(uintptr) bool { return p.poll() > 0 }
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return fmt.Errorf("media: epoll: %w", err)
	}
	return nil
}

// add watches fd; the event carries kind and number.
func (p *poller) add(fd int, kind, number int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number, Pad: kind}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("media: epoll add: %w", err)
	}
	return nil
}

func (p *poller) remove(fd int) { _ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) }

// poll looks for ready sockets without waiting and gives how many there are.
func (p *poller) poll() int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		eventBatch, 0, 0, 0)
	p.ready = 0
	if errno == 0 {
		p.ready = int(n)
	}
	return p.ready
}

// wait sleeps until something is ready.
func (p *poller) wait() { _ = p.raw.Read(p.check) }

// signal wakes the poller from another goroutine.
func (p *poller) signal() {
	one := [8]byte{1}
	_, _ = unix.Write(p.event, one[:])
}

// quench takes a wake or timer event off.
func (p *poller) quench(kind int32) {
	var b [8]byte
	if kind == forTimer {
		p.armed = 0
		_, _ = unix.Read(p.timer, b[:])
		return
	}
	_, _ = unix.Read(p.event, b[:])
}

// arm has wait end after d at the latest; deadline identifies the time, so that the same one is not set again.
func (p *poller) arm(deadline int64, d time.Duration) {
	if deadline == p.armed {
		return
	}
	p.armed = deadline
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	_ = unix.TimerfdSettime(p.timer, 0, &spec, nil)
}

func (p *poller) close() {
	if p.file != nil {
		_ = p.file.Close()
	} else if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
	for _, fd := range []int{p.event, p.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
