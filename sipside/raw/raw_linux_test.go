package raw

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udp is a socket of 127.0.0.1 with its name.
func udp(t *testing.T) (int, unix.RawSockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Close(fd); err != nil {
			t.Error(err)
		}
	})
	name := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	if err := Bind(fd, bytesOf(&name), unix.SizeofSockaddrInet4); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], uint16(at.(*unix.SockaddrInet4).Port))
	return fd, name
}

func bytesOf(name *unix.RawSockaddrInet4) *byte { return (*byte)(unsafe.Pointer(name)) }

// batch is messages with a buffer and a name each.
type batch struct {
	messages [3]unix.Mmsghdr
	vectors  [3]unix.Iovec
	names    [3]unix.RawSockaddrInet4
	buffers  [3][8]byte
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.messages {
		b.vectors[i] = unix.Iovec{Base: &b.buffers[i][0], Len: uint64(len(b.buffers[i]))}
		h := &b.messages[i].Hdr
		h.Iov, h.Iovlen, h.Name, h.Namelen = &b.vectors[i], 1, bytesOf(&b.names[i]), unix.SizeofSockaddrInet4
	}
	return b
}

// Datagrams sent in each way arrive, in their order and with their source, in each way.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	from, source := udp(t)
	to, name := udp(t)
	if err := SetOption(to, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16); err != nil {
		t.Fatal(err)
	}
	in := newBatch()
	if n, errno := Receive(to, in.messages[:]); n != 0 || errno != unix.EAGAIN {
		t.Fatalf("an empty socket gives %d, %v", n, errno)
	}
	out := newBatch()
	for i := range out.messages {
		out.names[i] = name
		copy(out.buffers[i][:], "datagram")
	}
	if errno := SendOne(from, []byte("the first, of many bytes"), bytesOf(&name), unix.SizeofSockaddrInet4); errno != 0 {
		t.Fatal(errno)
	}
	if errno := SendMessage(from, &out.messages[0].Hdr); errno != 0 {
		t.Fatal(errno)
	}
	if n, errno := Send(from, out.messages[:2]); n != 2 || errno != 0 {
		t.Fatalf("%d sent, %v", n, errno)
	}
	var heard unix.RawSockaddrInet4
	size, buffer := uint32(unix.SizeofSockaddrInet4), make([]byte, 9)
	n, errno := ReceiveOne(to, buffer, bytesOf(&heard), &size)
	if n != 24 || errno != 0 || string(buffer) != "the first" || heard != source || size != unix.SizeofSockaddrInet4 {
		t.Errorf("%d bytes %q from %v, %v", n, buffer, heard, errno)
	}
	if n, errno := Receive(to, in.messages[:]); n != 3 || errno != 0 {
		t.Fatalf("%d came, %v", n, errno)
	}
	for i := range in.messages {
		if in.messages[i].Len != 8 || string(in.buffers[i][:]) != "datagram" || in.names[i] != source {
			t.Errorf("the %dth: %q from %v", i, in.buffers[i], in.names[i])
		}
	}
}

// A timer expires once for each time that it is set, and an epoll tells.
func TestTimer(t *testing.T) {
	t.Parallel()
	timer, err := NewTimer()
	if err != nil {
		t.Fatal(err)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, timer, &unix.EpollEvent{}); err != nil {
		t.Fatal(err)
	}
	if ReadTimer(timer) {
		t.Error("a timer that was not set has expired")
	}
	if err := SetTimer(timer, 0); err != nil {
		t.Fatal(err)
	}
	events := make([]unix.EpollEvent, 2)
	if n := Poll(epoll, events); n != 0 {
		t.Errorf("%d events of what is not watched", n)
	}
	if err := Watch(epoll, timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 7}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for end := time.Now().Add(30 * time.Second); n == 0 && time.Now().Before(end); {
		n = Poll(epoll, events)
	}
	if n != 1 || events[0].Fd != 7 || !ReadTimer(timer) || ReadTimer(timer) {
		t.Errorf("%d events, %+v", n, events[0])
	}
	if err := errors.Join(SetTimer(timer, 0), StopTimer(timer)); err != nil || ReadTimer(timer) {
		t.Errorf("it expires though it was stopped, or %v", err)
	}
	for _, fd := range []int{timer, epoll} {
		if err := Close(fd); err != nil {
			t.Error(err)
		}
	}
	if err := SetTimer(-1, time.Second); !errors.Is(err, unix.EBADF) || !errors.As(err, new(*os.SyscallError)) {
		t.Errorf("no timer: %v", err)
	}
}

func TestNothingAllocates(t *testing.T) {
	from, name := udp(t)
	data, in := []byte("datagram"), newBatch()
	if n := testing.AllocsPerRun(100, func() {
		if errno := SendOne(from, data, bytesOf(&name), unix.SizeofSockaddrInet4); errno != 0 {
			t.Fatal(errno)
		}
		if n, errno := Receive(from, in.messages[:]); n != 1 || errno != 0 {
			t.Fatal(n, errno)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
