// Command floor forwards packets between browsers and phones without looking into them: what a gateway's sockets and system calls
// alone cost. It has a gateway's layout: one socket for all browsers, two for each call towards the phones, read in
// batches once in a millisecond.
//
// Standard input has a line for each call, "127.64.0.1:4000 127.128.0.1:4002": the browser's address and the phone's. For each it
// prints the call's RTP port. It ends with its input.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	tick       = time.Millisecond
	batch      = 64
	room       = 512
	socketRoom = 4 << 20
)

type sockaddr [unix.SizeofSockaddrInet4]byte

// call is one pair of far ends, and the sockets towards the phone.
type call struct {
	browser, phone sockaddr
	rtp, rtcp      int
}

// forwarder is all of it; one goroutine has it.
type forwarder struct {
	poll, browsers int
	address        netip.Addr
	calls          map[sockaddr]*call // by the browser's address
	sockets        map[int32]*call    // by the RTP socket
	events         [256]unix.EpollEvent
	in, out        [batch]unix.Mmsghdr
	inVectors      [batch]unix.Iovec
	outVectors     [batch]unix.Iovec
	names          [batch]sockaddr
	buffers        [batch][room]byte
	outSockets     [batch]int
	queued         int
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: floor ADDRESS:PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	at, err := netip.ParseAddrPort(listen)
	if err != nil {
		return err
	}
	f, err := newForwarder(at)
	if err != nil {
		return err
	}
	lines, ended := make(chan string), make(chan struct{})
	go func() {
		defer close(ended)
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			lines <- input.Text()
		}
	}()
	for {
		select {
		case line := <-lines:
			if err := f.add(line); err != nil {
				return err
			}
			continue
		case <-ended:
			return nil
		default:
		}
		if err := f.round(); err != nil {
			return err
		}
		time.Sleep(tick)
	}
}

func newForwarder(at netip.AddrPort) (*forwarder, error) {
	f := &forwarder{address: at.Addr(), calls: map[sockaddr]*call{}, sockets: map[int32]*call{}}
	for i := range f.in {
		f.inVectors[i].Base, f.inVectors[i].Len = &f.buffers[i][0], room
		h := &f.in[i].Hdr
		h.Iov, h.Iovlen, h.Name = &f.inVectors[i], 1, &f.names[i][0]
		f.out[i].Hdr.Iov, f.out[i].Hdr.Iovlen, f.out[i].Hdr.Namelen = &f.outVectors[i], 1, uint32(len(sockaddr{}))
	}
	var err error
	if f.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if f.browsers, _, err = f.open(at.Port()); err != nil {
		return nil, err
	}
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		if err := unix.SetsockoptInt(f.browsers, unix.SOL_SOCKET, option, socketRoom); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	return f, nil
}

func (f *forwarder) open(port uint16) (fd int, bound uint16, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port), Addr: f.address.As4()}); err != nil {
		unix.Close(fd)
		return -1, 0, os.NewSyscallError("bind", err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, os.NewSyscallError("getsockname", err)
	}
	err = unix.EpollCtl(f.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	return fd, uint16(at.(*unix.SockaddrInet4).Port), os.NewSyscallError("epoll_ctl", err)
}

// add opens a call's sockets.
func (f *forwarder) add(line string) error {
	browser, phone, _ := strings.Cut(line, " ")
	from, err := netip.ParseAddrPort(browser)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(phone)
	if err != nil {
		return err
	}
	c := &call{browser: raw(from), phone: raw(to)}
	for range 1000 {
		var port uint16
		if c.rtp, port, err = f.open(0); err != nil {
			return err
		}
		if port%2 == 0 {
			if c.rtcp, _, err = f.open(port + 1); err == nil {
				f.calls[c.browser], f.sockets[int32(c.rtp)] = c, c
				fmt.Println(port)
				return nil
			}
		}
		unix.Close(c.rtp)
	}
	return errors.New("no pair of ports is free")
}

func raw(at netip.AddrPort) (a sockaddr) {
	a[0], a[2], a[3] = unix.AF_INET, byte(at.Port()>>8), byte(at.Port())
	ip := at.Addr().As4()
	copy(a[4:], ip[:])
	return a
}

// round forwards all that has come.
func (f *forwarder) round() error {
	for {
		n, err := unix.EpollWait(f.poll, f.events[:], 0)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for i := range max(n, 0) {
			f.read(f.events[i].Fd)
		}
		if n < len(f.events) {
			return nil
		}
	}
}

func (f *forwarder) read(fd int32) {
	for {
		for i := range f.in {
			f.in[i].Hdr.Namelen = uint32(len(sockaddr{}))
		}
		n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&f.in[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return
		}
		for i := range int(n) {
			if int(fd) == f.browsers {
				if c := f.calls[f.names[i]]; c != nil {
					f.queue(i, c.rtp, &c.phone)
				}
			} else if c := f.sockets[fd]; c != nil {
				f.queue(i, f.browsers, &c.browser)
			}
		}
		f.flush()
		if n < batch {
			return
		}
	}
}

func (f *forwarder) queue(i, fd int, to *sockaddr) {
	f.outVectors[f.queued].Base, f.outVectors[f.queued].Len = &f.buffers[i][0], uint64(f.in[i].Len)
	f.out[f.queued].Hdr.Name = &to[0]
	f.outSockets[f.queued] = fd
	f.queued++
}

// flush sends each run of packets that share a socket with one system call.
func (f *forwarder) flush() {
	for at := 0; at < f.queued; {
		end := at + 1
		for end < f.queued && f.outSockets[end] == f.outSockets[at] {
			end++
		}
		n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(f.outSockets[at]), uintptr(unsafe.Pointer(&f.out[at])), uintptr(end-at), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			n = 1
		}
		at += int(n)
	}
	f.queued = 0
}
