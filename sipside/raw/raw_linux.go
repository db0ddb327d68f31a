// Package raw makes system calls that return at once without telling Go's scheduler: for each call it is told of, a process that was
// asleep wakes its monitor thread, which then looks 50 times, every 20 µs. What may wait belongs to package unix. Nothing here allocates.
package raw

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive reads datagrams into messages (recvmmsg) and gives how many came; unix.EAGAIN where there is none.
func Receive(fd int, messages []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// ReceiveOne reads a datagram and its source (recvfrom): a third less than Receive costs for one. name has room for *size bytes, which
// becomes what the source takes of them. It gives the datagram's length, which may be more than buffer holds.
func ReceiveOne(fd int, buffer []byte, name *byte, size *uint32) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(size)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// Send sends datagrams (sendmmsg) and gives how many the kernel took; the error is that of the first, where it took none.
func Send(fd int, messages []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// SendOne sends a datagram, which is not empty, to the address that stands in size bytes at name (sendto).
func SendOne(fd int, data []byte, name *byte, size uint32) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(name)), uintptr(size))
	return errno
}

// SendMessage sends a datagram with control messages or of several pieces (sendmsg).
func SendMessage(fd int, message *unix.Msghdr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(message)), unix.MSG_DONTWAIT)
	return errno
}

// Poll gives how many events an epoll has, and the first of them.
func Poll(epoll int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Watch changes what an epoll looks at of fd.
func Watch(epoll, fd int, event *unix.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_MOD, uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0)
	return failed("epoll_ctl", errno)
}

// NewTimer opens a timerfd of the monotonic clock, which does not block.
func NewTimer() (int, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	return fd, os.NewSyscallError("timerfd_create", err)
}

// SetTimer has a timerfd expire once, after d; zero or less: at once.
func SetTimer(fd int, d time.Duration) error {
	return setTimer(fd, unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))})
}

// StopTimer has a timerfd not expire, and forgets that it did.
func StopTimer(fd int) error { return setTimer(fd, unix.ItimerSpec{}) }

func setTimer(fd int, spec unix.ItimerSpec) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	return failed("timerfd_settime", errno)
}

// ReadTimer takes a timerfd's expiry off; false where it has not expired.
func ReadTimer(fd int) bool {
	var count [8]byte
	_, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&count)), uintptr(len(count)))
	return errno == 0
}

// Bind binds a socket to the address that stands in size bytes at name.
func Bind(fd int, name *byte, size uint32) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(size))
	return failed("bind", errno)
}

// SetOption sets a socket option that is an int.
func SetOption(fd, level, option int, value int32) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
	return failed("setsockopt", errno)
}

// Close closes a datagram socket, a timer or an epoll.
func Close(fd int) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return failed("close", errno)
}

func failed(call string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return os.NewSyscallError(call, errno)
}
