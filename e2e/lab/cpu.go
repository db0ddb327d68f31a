package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is what processes have used. The kernel counts the total in nanoseconds, but samples user and system.
type CPU struct {
	Total                  time.Duration
	userTicks, systemTicks int64
}

// CPUOf sums processes and their descendants, as the kernel accounts for them (proc(5)).
func CPUOf(pids ...int) (sum CPU, err error) {
	for _, pid := range pids {
		alone, err := CPUOfAlone(pid)
		if err != nil {
			return sum, err
		}
		below, err := CPUOf(children(pid)...)
		if err != nil {
			return sum, err
		}
		sum.Total += alone.Total + below.Total
		sum.userTicks += alone.userTicks + below.userTicks
		sum.systemTicks += alone.systemTicks + below.systemTicks
	}
	return sum, nil
}

// CPUOfAlone leaves the descendants out.
func CPUOfAlone(pid int) (c CPU, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return c, fmt.Errorf("lab: /proc/%d/stat has %d fields", pid, len(fields))
	}
	if c.userTicks, err = strconv.ParseInt(fields[11], 10, 64); err != nil {
		return c, err
	}
	if c.systemTicks, err = strconv.ParseInt(fields[12], 10, 64); err != nil {
		return c, err
	}
	c.Total, err = threadsTime(pid)
	return c, err
}

// threadsTime sums the run time of a process's threads.
func threadsTime(pid int) (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("lab: %s: %w", f, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// Since is what was used from an earlier reading on.
func (c CPU) Since(earlier CPU) CPU {
	return CPU{c.Total - earlier.Total, c.userTicks - earlier.userTicks, c.systemTicks - earlier.systemTicks}
}

// System is the share of the total that the kernel used, in sampled ticks.
func (c CPU) System() float64 {
	if c.userTicks+c.systemTicks == 0 {
		return 0
	}
	return float64(c.systemTicks) / float64(c.userTicks+c.systemTicks)
}

// MachineCPU is what all of the machine has used of its processors, in samples.
func MachineCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var used int64
	for i, word := range strings.Fields(first) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the name, idle, iowait, guests
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("lab: /proc/stat: %w", err)
		}
		used += n
	}
	return time.Duration(used) * 10 * time.Millisecond, nil // USER_HZ is 100 on all of Linux's architectures but alpha and ia64
}

// Pin holds all threads of a process to some CPUs.
func Pin(pid int, cpus ...int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("lab: /proc/%d/task: %w", pid, err)
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("lab: affinity of %d: %w", tid, err)
		}
	}
	return nil
}
