package wss

import (
	"log/slog"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pollerBatch is how many ready connections one look takes.
const pollerBatch = 128

// poller watches the sockets of connections that rest. It opens with the first; the runtime's own poller watches it, so that its
// goroutine holds no thread.
type poller struct {
	// static after construction
	log *slog.Logger

	mu sync.Mutex
	// guarded by mu
	closed   bool
	fd       int
	file     *os.File        // closes fd; nil: not open
	watching map[int32]*Conn // by descriptor
}

// watch has the connection woken once when its socket can be read; false where that cannot be. Called with the connection's mu held.
func (p *poller) watch(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isOpen() {
		return false
	}
	ok := false
	err := c.raw.Control(func(fd uintptr) {
		operation := unix.EPOLL_CTL_MOD
		if p.watching[int32(fd)] != c {
			operation = unix.EPOLL_CTL_ADD
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
		if ok = unix.EpollCtl(p.fd, operation, int(fd), &event) == nil; ok {
			p.watching[int32(fd)], c.watched = c, int32(fd)
		}
	})
	return err == nil && ok
}

// forget lets go of a connection whose socket is about to be closed, which takes it out of the epoll. Called with the connection's
// mu held.
func (p *poller) forget(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watching[c.watched] == c {
		delete(p.watching, c.watched)
	}
}

// isOpen opens the poller at its first use. Called with mu held.
func (p *poller) isOpen() bool {
	if p.closed || p.file != nil {
		return !p.closed
	}
	raw, err := p.open()
	if err != nil {
		p.log.Warn("each browser keeps a goroutine", "error", err)
		p.closed = true
		return false
	}
	p.watching = map[int32]*Conn{}
	go p.run(p.fd, raw)
	return true
}

func (p *poller) open() (syscall.RawConn, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // by this os.NewFile knows that it can be polled
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p.fd, p.file = fd, os.NewFile(uintptr(fd), "epoll")
	return p.file.SyscallConn()
}

// run wakes connections until the poller is closed.
func (p *poller) run(fd int, raw syscall.RawConn) {
	var events [pollerBatch]unix.EpollEvent
	for {
		n := 0
		if err := raw.Read(func(uintptr) bool {
			n, _ = unix.EpollWait(fd, events[:], 0)
			return n > 0
		}); err != nil {
			return
		}
		for _, e := range events[:n] {
			p.ready(e.Fd)
		}
	}
}

func (p *poller) ready(fd int32) {
	p.mu.Lock()
	c := p.watching[fd]
	p.mu.Unlock()
	if c == nil {
		return // closed since
	}
	c.mu.Lock()
	c.wake()
	c.mu.Unlock()
}

// close ends the poller; connections that want to rest later go on by themselves. Safe to call twice.
func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.file != nil {
		_ = p.file.Close()
		p.file = nil
	}
}
