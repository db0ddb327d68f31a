package gateway

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"tandem/bridge/admission"
	"tandem/bridge/media"
)

// files are a file system of a few texts.
func files(texts map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range texts {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestMemoryInUse(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	statm := fmt.Sprintf("999999 %d 100 1 0 1 0\n", (100<<20)/page) // 100 MB
	const meminfo = "MemTotal:        1000000 kB\nMemFree:          100000 kB\nMemAvailable:     700000 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"nothing to read", nil, 0},
		{"the machine's", map[string]string{"proc/meminfo": meminfo, "proc/self/statm": statm}, 0.3},
		{"no limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/statm": statm, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
		}, 0.3},
		{"version 2", map[string]string{
			"proc/meminfo": meminfo, "proc/self/statm": statm, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "209715200\n",
		}, 0.5},
		{"the least of those above", map[string]string{
			"proc/self/statm": statm, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "125829120\n", "sys/fs/cgroup/memory.max": "999999999999\n",
		}, 100.0 / 120},
		{"in a namespace of its own", map[string]string{
			"proc/self/statm": statm, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "209715200\n",
		}, 0.5},
		{"version 1", map[string]string{
			"proc/self/statm": statm, "proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/1\n",
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "209715200\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":          "9223372036854771712\n",
		}, 0.5},
	} {
		if got := memoryInUse(files(c.files)); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%s: %f, wanted %f", c.name, got, c.want)
		}
	}
	if real := memoryInUse(os.DirFS("/")); real <= 0 || real >= 1 {
		t.Errorf("this machine has %f in use", real)
	}
}

func TestProcessorsInUse(t *testing.T) {
	t.Parallel()
	now, used := time.Unix(1000, 0), time.Minute
	h := newHeadroom(func() media.Stats { return media.Stats{PortsUsed: 3, PortsFree: 1} })
	h.root, h.now, h.spent = files(nil), func() time.Time { return now }, func() time.Duration { return used }
	for i, c := range []struct {
		passed, spent time.Duration
		want          float64 // of one processor
	}{{0, 0, 0}, {time.Second, time.Second / 2, 0.5}, {2 * time.Second, 2 * time.Second, 1}, {time.Minute, time.Minute, 0}, {time.Second, 0, 0}} {
		now, used = now.Add(c.passed), used+c.spent
		want := admission.Load{CPU: c.want / float64(runtime.GOMAXPROCS(0)), Ports: 0.75}
		if got := h.load(); got != want {
			t.Errorf("%d: %+v, wanted %+v", i, got, want)
		}
	}
	if processorTime() <= 0 {
		t.Error("this process used no processor")
	}
}
