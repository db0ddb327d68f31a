package lab

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Variables of the processes that run tests.
const (
	inside = "TANDEM_LAB_NAMESPACE"
	built  = "TANDEM_LAB_COMMAND" // where the gateway's command was built for all of them; may be missing
)

// Isolate runs the tests of a package again inside a network namespace with nothing but loopback, and gives their exit
// code; it is for TestMain. Without root it takes a user namespace. Where all the tests are asked for, as many as
// the machine has CPUs run at a time, four at most, each in a process and a namespace of its own: nobody's ports are in another's way.
func Isolate(m *testing.M) int {
	if os.Getenv(inside) != "" {
		return m.Run()
	}
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	if !everything() {
		return isolated(os.Stdout, self, os.Args[1:])
	}
	list := exec.Command(self, "-test.list=^Test")
	list.Env = append(os.Environ(), inside+"=1")
	names, err := list.Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: the tests' names:", err)
		return 1
	}
	folder, err := os.MkdirTemp("", "lab")
	if err == nil {
		defer os.RemoveAll(folder)
		err = errors.Join(buildTandem(filepath.Join(folder, "tandem")), os.Setenv(built, filepath.Join(folder, "tandem")))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: the gateway's command:", err)
		return 1
	}
	return besides(self, strings.Fields(string(names)), min(runtime.NumCPU(), 4))
}

// everything says whether the command line asks for all tests, and for nothing that one process must have for itself, as a profile.
func everything() bool {
	all := true
	flag.Visit(func(f *flag.Flag) {
		all = all && slices.Contains([]string{"test.v", "test.timeout", "test.count", "test.paniconexit0", "test.testlogfile"}, f.Name)
	})
	return all
}

// besides runs tests in so many lanes, and prints what failed or, with -v, everything, one test after the other.
func besides(self string, tests []string, lanes int) (code int) {
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return strings.HasPrefix(arg, "-test.testlogfile") })
	next := make(chan string, len(tests))
	for _, test := range tests {
		next <- test
	}
	close(next)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range lanes {
		wg.Go(func() {
			for test := range next {
				var out bytes.Buffer
				ended := isolated(&out, self, append(slices.Clone(args), "-test.run=^"+test+"$"))
				mu.Lock()
				code = max(code, ended)
				if ended != 0 || testing.Verbose() {
					os.Stdout.Write(bytes.TrimSuffix(out.Bytes(), []byte("PASS\n")))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return code
}

// isolated runs the tests of a command line in a namespace.
func isolated(out io.Writer, self string, args []string) (code int) {
	// an empty resolv.conf keeps Asterisk from opening DNS sockets on all addresses
	script := `mount --make-rprivate / && ip link set lo up && mount --bind /dev/null /etc/resolv.conf && exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", self}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.WaitDelay = 10 * time.Second // for what outlives the test and has its output open
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // the tests passed
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "lab: no network namespace for the end-to-end tests:", err)
	return 1
}
