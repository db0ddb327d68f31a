package gateway

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tandem/bridge/admission"
	"tandem/bridge/media"
)

// headroomSpan is the longest time whose use of processors says anything of now.
const headroomSpan = 10 * time.Second

// headroom reads what of the machine is in use. Safe for concurrent use.
type headroom struct {
	// static after construction
	media func() media.Stats
	root  fs.FS // of the file system
	now   func() time.Time
	spent func() time.Duration // of processors, since the process began

	mu   sync.Mutex // guards what follows
	used time.Duration
	at   time.Time // when used was
}

func newHeadroom(of func() media.Stats) *headroom {
	return &headroom{media: of, root: os.DirFS("/"), now: time.Now, spent: processorTime}
}

// load is what is in use now; what cannot be read counts as free.
func (h *headroom) load() admission.Load {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := admission.Load{CPU: h.processors(), Memory: memoryInUse(h.root)}
	if s := h.media(); s.PortsUsed+s.PortsFree > 0 {
		l.Ports = float64(s.PortsUsed) / float64(s.PortsUsed+s.PortsFree)
	}
	return l
}

// processors is the share in use since it was last asked. Go knows the quota of a control group by itself (GOMAXPROCS).
func (h *headroom) processors() float64 {
	used, now := h.spent(), h.now()
	share := float64(used-h.used) / float64(max(now.Sub(h.at), 1)) / float64(runtime.GOMAXPROCS(0))
	if now.Sub(h.at) > headroomSpan {
		share = 0
	}
	h.used, h.at = used, now
	return min(share, 1) // the clocks are not the same
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryInUse is what the process uses of what its control group allows, or what the machine has in use, whichever is more.
func memoryInUse(root fs.FS) float64 {
	share := 0.0
	if limit := groupLimit(root); limit > 0 {
		share = float64(resident(root)) / float64(limit)
	}
	machine := fields(root, "proc/meminfo")
	if total := number(machine["MemTotal:"]); total > 0 {
		share = max(share, 1-float64(number(machine["MemAvailable:"]))/float64(total))
	}
	return share
}

// resident is the process's own memory, in bytes.
func resident(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/statm")
	if pages := strings.Fields(string(text)); err == nil && len(pages) > 1 {
		return number(pages[1]) * int64(os.Getpagesize())
	}
	return 0
}

// groupLimit is the least that the process's control groups allow, in bytes; 0: they allow all there is.
func groupLimit(root fs.FS) (least int64) {
	text, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[1] == "memory": // version 1
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		for group := path.Join("/", parts[2]); ; group = path.Dir(group) {
			text, err := fs.ReadFile(root, path.Join(top, group, file))
			if limit := number(string(bytes.TrimSpace(text))); err == nil && limit > 0 && (least == 0 || limit < least) {
				least = limit
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

// fields are the lines of a file of keys and values, in which the second word counts.
func fields(root fs.FS, file string) map[string]string {
	out := map[string]string{}
	text, _ := fs.ReadFile(root, file)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 {
			out[words[0]] = words[1]
		}
	}
	return out
}

// number is 0 where there is none, as in the word max.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
