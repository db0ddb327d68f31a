package media

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These are system calls of which none waits, without telling the scheduler: it wakes its monitor for each that a process makes that
// was asleep, and the monitor then looks 50 times, every 20 µs.

func bindRaw(fd int, name *sockaddr) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(name.size()))
	if errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

func setOption(fd, level, option int, value int32) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
	if errno != 0 {
		return os.NewSyscallError("setsockopt", errno)
	}
	return nil
}

func closeRaw(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func setTimer(fd int, at *unix.ItimerSpec) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(at)), 0, 0, 0)
}

// readEight takes a timerfd's event off.
func readEight(fd int) bool {
	var b [8]byte
	_, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(len(b)))
	return errno == 0
}
