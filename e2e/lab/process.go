package lab

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Memory is what processes hold, in kB.
type Memory struct{ RSS, PSS int }

// MemoryOf sums processes and their descendants.
func MemoryOf(pids ...int) (sum Memory, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return sum, err
		}
		sum.RSS += kilobytes(string(text), "Rss:")
		sum.PSS += kilobytes(string(text), "Pss:")
		below, err := MemoryOf(children(pid)...)
		if err != nil {
			return sum, err
		}
		sum.RSS += below.RSS
		sum.PSS += below.PSS
	}
	return sum, nil
}

func kilobytes(text, key string) int {
	_, rest, _ := strings.Cut(text, "\n"+key)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

func children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(word); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// DialTCP says whether something listens.
func DialTCP(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
