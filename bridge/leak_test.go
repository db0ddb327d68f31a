package bridge

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"

	"tandem/bridge/hiding"
	"tandem/sipside/transaction"
)

// The networks of a world: what is in one of them has no business in what leaves for another that is outside.
const (
	memberNet = "127.0.1." // the pool's members, a host each
	trunkHost = "127.0.2.1"
	mediaHost = "127.0.3.1" // all agents' media
)

func memberHost(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("%s%d", memberNet, i+1)), 0)
}

// leakScan looks at each message that leaves for a browser or a trunk, in every world, for what is not theirs to know.
type leakScan struct {
	inside bool // static once the world is open: the trunk beside the pool may see whom it talks with
	mu     sync.Mutex
	faults []string
	words  []string // what must not leave either
	own    int      // messages looked at
}

// echoed are the headers that a response has from its request: the peer's own words (RFC 3261 §8.2.6).
func echoed(line []byte) bool {
	for _, name := range []string{"Via:", "From:", "To:", "Call-ID:", "CSeq:", "Record-Route:"} {
		if bytes.HasPrefix(line, []byte(name)) {
			return true
		}
	}
	return false
}

// look is the trace of both doors.
func (s *leakScan) look(m transaction.Traced) {
	toTrunk := strings.HasPrefix(m.Remote, trunkHost+":")
	if !m.Sent || !toTrunk && !strings.HasPrefix(m.Transport, "WS") || toTrunk && s.inside {
		return
	}
	response := bytes.HasPrefix(m.Data, []byte("SIP/2.0 "))
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := append([]string{memberNet, mediaHost, ".local", "a=candidate:", "siptest"}, s.words...)
	if !toTrunk {
		secret[3] = trunkHost
	}
	s.own++
	for line := range bytes.SplitSeq(m.Data, []byte("\r\n")) {
		if response && echoed(line) {
			continue
		}
		for _, word := range secret {
			if bytes.Contains(line, []byte(word)) && len(s.faults) < 10 {
				s.faults = append(s.faults, fmt.Sprintf("%q leaves for %s in %q:\n%s", word, m.Remote, line, m.Data))
			}
		}
	}
}

// also adds what must not leave either; what is sent already was not looked at for it.
func (s *leakScan) also(words ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words = append(s.words, words...)
}

func (s *leakScan) found() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// outside are a world's peerings: the trunk beside the pool is outside.
func outside(peerings map[string]Peering) map[string]Peering {
	all := maps.Clone(peerings)
	if all == nil {
		all = map[string]Peering{}
	}
	trunk := all["other"]
	trunk.Hide, trunk.Strip = !trunk.Direct, hiding.Vendors()
	all["other"] = trunk
	return all
}
