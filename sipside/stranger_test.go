package sipside

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// gossip is a Guard that notes what it is told.
type gossip struct {
	answer bool

	mu   sync.Mutex
	told []string // guarded by mu
}

func (g *gossip) Stranger(from netip.AddrPort, transport string, data []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	line, _, _ := strings.Cut(string(data), "\r\n")
	g.told = append(g.told, from.Addr().String()+" "+transport+" "+line)
	return g.answer
}

func (g *gossip) has(what string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, line := range g.told {
		if line == what {
			return true
		}
	}
	return false
}

// Strangers are told of, and answered with 403 where the guard says so; members are nobody's business.
func TestGuardIsToldOfStrangers(t *testing.T) {
	member, stranger := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.77")
	guard := &gossip{answer: true}
	cfg := trunk(t, "sip:"+member.at.String())
	cfg.Guard = guard
	d := openDoor(t, cfg, testLimits())
	udp, stream := d.Addrs()[0], d.Addrs()[1]
	stranger.send(udp, wire("OPTIONS", "SIP/2.0/UDP "+stranger.at.String()+";branch=z9hG4bK1", "", ""))
	if text, _ := stranger.read(); !strings.HasPrefix(text, "SIP/2.0 403 Forbidden\r\n") {
		t.Errorf("answered %q", text)
	}
	for _, unanswerable := range []string{"rubbish\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", wire("ACK", "SIP/2.0/UDP "+stranger.at.String()+";branch=z9hG4bK2", "", "")} {
		stranger.send(udp, unanswerable)
	}
	stranger.send(udp, wire("MESSAGE", "SIP/2.0/UDP "+stranger.at.String()+";branch=z9hG4bK3", "", ""))
	if text, _ := stranger.read(); !strings.Contains(text, "z9hG4bK3") {
		t.Errorf("what has no answer was answered: %q", text)
	}
	dialDoor(t, "127.0.0.77", stream).ended()
	eventually(t, "the guard was told of the connection", func() bool { return guard.has("127.0.0.77 TCP ") })
	if !guard.has("127.0.0.77 UDP OPTIONS sip:tandem@127.0.0.1 SIP/2.0") || !guard.has("127.0.0.77 UDP rubbish") {
		t.Errorf("told of %q", guard.told)
	}
	member.send(udp, wire("OPTIONS", "SIP/2.0/UDP "+member.at.String()+";branch=z9hG4bK4", "", ""))
	receive(t, "the member is served", d.requests)
	guard.mu.Lock()
	defer guard.mu.Unlock()
	for _, line := range guard.told {
		if strings.HasPrefix(line, "127.0.0.1 ") {
			t.Errorf("told of a member: %s", line)
		}
	}
	if !d.Knows(member.at.Addr()) || d.Knows(stranger.at.Addr()) {
		t.Error("members are known, others not")
	}
}
