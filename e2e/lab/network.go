package lab

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Block drops what leaves any process of the namespace and matches, as iptables writes it, until the test ends. IPv4 only.
func Block(t testing.TB, match ...string) {
	t.Helper()
	rule := append(append([]string{"OUTPUT"}, match...), "-j", "DROP")
	if err := firewall(t, "-A", rule); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := firewall(t, "-D", rule); err != nil {
			t.Error(err)
		}
	})
}

// Cut takes an address off the network until mend or the test's end: what it sends and what is sent to it is lost, and nobody is told.
func Cut(t testing.TB, addr string) (mend func()) {
	t.Helper()
	rules := [][]string{{"INPUT", "-s", addr, "-j", "DROP"}, {"INPUT", "-d", addr, "-j", "DROP"}}
	for _, rule := range rules {
		if err := firewall(t, "-A", rule); err != nil {
			t.Fatal(err)
		}
	}
	mend = sync.OnceFunc(func() {
		for _, rule := range rules {
			if err := firewall(t, "-D", rule); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(mend)
	return mend
}

func firewall(t testing.TB, what string, rule []string) error {
	words := append([]string{"-w", what}, rule...)
	if out, err := exec.Command(Program(t, "iptables"), words...).CombinedOutput(); err != nil {
		return fmt.Errorf("iptables %s: %w: %s", strings.Join(words, " "), err, out)
	}
	return nil
}

// Address gives the namespace an address on an interface that is not loopback, until the test ends: Chromium
// gathers no candidate on ::1.
func Address(t testing.TB, prefix string) {
	t.Helper()
	const inner, outer = "lab0", "lab1"
	for _, words := range []string{
		"link add " + inner + " type veth peer name " + outer, "link set " + outer + " up", "link set " + inner + " up",
		"addr add " + prefix + " dev " + inner + " nodad",
	} {
		if out, err := exec.Command(Program(t, "ip"), strings.Fields(words)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", words, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "link", "del", inner).CombinedOutput(); err != nil {
			t.Errorf("ip link del: %v: %s", err, out)
		}
	})
}

// Dropped is how many packets have been dropped by the rules of a protocol ("udp", "tcp").
func Dropped(t testing.TB, protocol string) (packets int) {
	t.Helper()
	out, err := exec.Command(Program(t, "iptables"), "-w", "-L", "OUTPUT", "-n", "-v", "-x").CombinedOutput()
	if err != nil {
		t.Fatalf("firewall: %v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // packets, bytes, target, protocol
		if len(f) < 4 || f[2] != "DROP" || f[3] != protocol && f[3] != map[string]string{"udp": "17", "tcp": "6"}[protocol] {
			continue
		}
		n, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatalf("firewall: %q", line)
		}
		packets += n
	}
	return packets
}
