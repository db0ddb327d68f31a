package media

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tandem/sipside/raw"
)

const eventBatch = 256

// What an epoll event stands for.
const (
	forTimer   int32 = iota
	forBrowser       // with the number of the listen address
	forPort          // with the number of the SIP-side socket
	forShared        // with the number of the shared socket
	forTCP           // with the descriptor of a browser's connection
	forRelayed       // with the number of the allocation
)

// poller is a worker's epoll with the timerfd of its next deadline. It waits through the Go runtime's own poller (an epoll is
// itself pollable), so that a sleeping worker holds no processor, and who wakes it asks the kernel for nothing. The runtime sees
// it through a gate, which is shut while packets collect: else each that comes would wake a thread.
type poller struct {
	fd     int
	gate   gate
	pause  pause
	timer  int
	armed  int64 // deadline that the timer stands at; 0: none
	ready  int
	events [eventBatch]unix.EpollEvent
}

// gate is an epoll of the worker's epoll alone.
type gate struct {
	fd     int
	inner  int
	raw    syscall.RawConn
	file   *os.File
	check  func(uintptr) bool
	opened bool
}

// pause is a timerfd, for time.Sleep's grain is a millisecond when nothing else runs.
type pause struct {
	fd    int
	raw   syscall.RawConn
	file  *os.File
	check func(uintptr) bool
}

func newPoller() (*poller, error) {
	p := &poller{fd: -1, timer: -1}
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
	if p.timer, err = raw.NewTimer(); err != nil {
		return fmt.Errorf("media: %w", err)
	}
	if err = p.add(p.timer, forTimer, 0); err != nil {
		return err
	}
	if err = p.gate.init(p.fd, func(uintptr) bool { return p.poll() > 0 }); err != nil {
		return err
	}
	return p.pause.open()
}

func (g *gate) init(inner int, check func(uintptr) bool) (err error) {
	if g.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("media: epoll: %w", err)
	}
	g.inner, g.check = inner, check
	g.file, g.raw, err = pollable(g.fd, "epoll")
	if err != nil {
		return err
	}
	shut := unix.EpollEvent{Events: unix.EPOLLONESHOT}
	if err = unix.EpollCtl(g.fd, unix.EPOLL_CTL_ADD, inner, &shut); err != nil {
		return fmt.Errorf("media: epoll add: %w", err)
	}
	return nil
}

// wait returns once check, which is asked at each event, is content, or by a signal; that may have been meant for an earlier wait.
func (g *gate) wait() {
	g.set(true)
	if g.raw.Read(g.check) == nil {
		g.set(false)
		return
	}
	_ = g.file.SetReadDeadline(time.Time{}) // open still: who is woken so is soon back, most often
}

func (g *gate) set(open bool) {
	if g.opened == open {
		return
	}
	g.opened = open
	e := unix.EpollEvent{Events: unix.EPOLLONESHOT}
	if open {
		e.Events |= unix.EPOLLIN
	}
	_ = raw.Watch(g.fd, g.inner, &e)
}

// signal ends wait, or the next one, from another goroutine.
func (g *gate) signal() { _ = g.file.SetReadDeadline(time.Unix(1, 0)) }

func (p *pause) open() (err error) {
	if p.fd, err = raw.NewTimer(); err != nil {
		return fmt.Errorf("media: %w", err)
	}
	p.check = func(fd uintptr) bool { return raw.ReadTimer(int(fd)) }
	p.file, p.raw, err = pollable(p.fd, "timerfd")
	return err
}

// sleep lasts for d, above zero.
func (p *pause) sleep(d time.Duration) {
	if raw.SetTimer(p.fd, d) == nil {
		_ = p.raw.Read(p.check)
	}
}

// pollable gives a descriptor to the runtime's poller; closing the file closes it.
func pollable(fd int, name string) (*os.File, syscall.RawConn, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // what os.NewFile takes as a sign that it can be polled
		return nil, nil, fmt.Errorf("media: %s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	if err != nil {
		return file, nil, fmt.Errorf("media: %s: %w", name, err)
	}
	return file, raw, nil
}

// add watches fd; the event carries kind and number.
func (p *poller) add(fd int, kind, number int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number, Pad: kind}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("media: epoll add: %w", err)
	}
	return nil
}

// addStream watches a TCP connection; the event carries forTCP and fd.
func (p *poller) addStream(fd int, blocked bool) error {
	e := unix.EpollEvent{Events: streamEvents(blocked), Fd: int32(fd), Pad: forTCP}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("media: epoll add: %w", err)
	}
	return nil
}

// changeStream begins or ends waiting for room to send.
func (p *poller) changeStream(fd int, blocked bool) {
	e := unix.EpollEvent{Events: streamEvents(blocked), Fd: int32(fd), Pad: forTCP}
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &e)
}

func streamEvents(blocked bool) uint32 {
	if blocked {
		return unix.EPOLLIN | unix.EPOLLOUT
	}
	return unix.EPOLLIN
}

func (p *poller) remove(fd int) { _ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) }

// poll looks for ready sockets without waiting and gives how many there are.
func (p *poller) poll() int {
	p.ready = raw.Poll(p.fd, p.events[:])
	return p.ready
}

// wait sleeps until something is ready.
func (p *poller) wait() { p.gate.wait() }

// sleep lasts for d, above zero, whatever comes.
func (p *poller) sleep(d time.Duration) {
	p.gate.set(false)
	p.pause.sleep(d)
}

// signal wakes the poller from another goroutine.
func (p *poller) signal() { p.gate.signal() }

// quench takes the timer's event off.
func (p *poller) quench() {
	p.armed = 0
	raw.ReadTimer(p.timer)
}

// arm has wait end after d at the latest; deadline identifies the time, so that the same one is not set again.
func (p *poller) arm(deadline int64, d time.Duration) {
	if deadline == p.armed {
		return
	}
	p.armed = deadline
	_ = raw.SetTimer(p.timer, d) // our own descriptor, a time that is valid
}

func (p *poller) close() {
	for _, f := range []*os.File{p.gate.file, p.pause.file} {
		if f != nil {
			_ = f.Close()
		}
	}
	closeAll([]int{p.fd, p.timer})
}
