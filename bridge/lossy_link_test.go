package bridge

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/wss/wsstest"
)

// fate is what happens to one datagram.
type fate string

const (
	lost     fate = "lost"
	doubled  fate = "doubled"
	overtook fate = "overtaken" // it arrives after what follows it, or a while later
)

// lossyLink is a UDP path between the gateway and a member that does something to the first message of a kind. Both ends take
// it for the other: it writes its own addresses for theirs.
type lossyLink struct {
	near, far *net.UDPConn // near has the gateway behind it, far the member
	member    *net.UDPAddr

	mu      sync.Mutex
	gateway *net.UDPAddr // guarded by mu; learned from its first datagram
	kind    string       // guarded by mu; "" : nothing more happens
	fate    fate         // guarded by mu
}

const lateBy = 40 * time.Millisecond

// between opens the link in front of a member and gives the URI by which the gateway reaches it.
func (l *lossyLink) between(t *testing.T, member sip.Uri) sip.Uri {
	t.Helper()
	var err error
	if l.member, err = net.ResolveUDPAddr("udp4", member.HostPort()); err != nil {
		t.Fatal(err)
	}
	for _, sock := range []**net.UDPConn{&l.near, &l.far} {
		if *sock, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	var running sync.WaitGroup
	running.Go(func() { l.carry(l.near) })
	running.Go(func() { l.carry(l.far) })
	t.Cleanup(func() {
		l.near.Close()
		l.far.Close()
		running.Wait()
	})
	at := l.near.LocalAddr().(*net.UDPAddr)
	return sip.Uri{Scheme: "sip", Host: at.IP.String(), Port: at.Port}
}

// carry takes datagrams from one side to the other until the socket is closed.
func (l *lossyLink) carry(in *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := in.ReadFromUDP(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		if in == l.near {
			l.gateway = from
		}
		gateway, happens := l.gateway, fate("")
		if l.kind != "" && kindOf(buf[:n]) == l.kind {
			happens, l.kind = l.fate, ""
		}
		l.mu.Unlock()
		if gateway == nil {
			continue
		}
		pass := l.passage(in, bytes.Clone(buf[:n]), gateway)
		switch happens {
		case lost:
		case overtook:
			time.AfterFunc(lateBy, pass)
		case doubled:
			pass()
			pass()
		default:
			pass()
		}
	}
}

// passage is the sending of a datagram to the other side, in its words.
func (l *lossyLink) passage(in *net.UDPConn, data []byte, gateway *net.UDPAddr) func() {
	name := func(a net.Addr) []byte { return []byte(a.String()) }
	if in == l.near {
		data = bytes.ReplaceAll(data, name(gateway), name(l.far.LocalAddr()))
		data = bytes.ReplaceAll(data, name(l.near.LocalAddr()), name(l.member))
		return func() { _, _ = l.far.WriteToUDP(data, l.member) }
	}
	data = bytes.ReplaceAll(data, name(l.member), name(l.near.LocalAddr()))
	data = bytes.ReplaceAll(data, name(l.far.LocalAddr()), name(gateway))
	return func() { _, _ = l.near.WriteToUDP(data, gateway) }
}

// next chooses what happens to the next message of a kind.
func (l *lossyLink) next(kind string, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kind, l.fate = kind, f
}

// happened says whether such a message came by.
func (l *lossyLink) happened() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kind == ""
}

// kindOf names a message: its method, or status and method; what belongs to a re-INVITE says so ("re-INVITE", "200 re-INVITE").
func kindOf(data []byte) string {
	lines := strings.Split(string(data), "\r\n")
	words := strings.Fields(lines[0])
	if len(words) < 2 {
		return ""
	}
	method, first := words[0], true
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "cseq":
			seq := strings.Fields(value)
			if words[0] == "SIP/2.0" {
				method = words[1] + " " + seq[1]
			}
			first = first && seq[0] == "1"
		}
	}
	if !first && strings.Contains(method, "INVITE") {
		method = strings.Replace(method, "INVITE", "re-INVITE", 1)
	}
	return method
}

// A message lost, doubled or overtaken at any step of a call by UDP changes nothing that its users see: RFC 3261's
// retransmissions and RFC 5407's races.
func TestLossyLink(t *testing.T) {
	t.Parallel()
	steps := map[string][]string{
		"call":   {"INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "re-INVITE", "200 re-INVITE", "BYE", "200 BYE"},
		"cancel": {"INVITE", "180 INVITE", "CANCEL", "200 CANCEL", "487 INVITE", "ACK"},
		"hangup": {"200 INVITE", "ACK", "BYE", "200 BYE"},
	}
	for story, kinds := range steps {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			link := &lossyLink{}
			w := newWorld(t, conditions{link: link, timers: quick()})
			b := w.registered("alice", wsstest.Options{})
			for _, kind := range kinds {
				for _, f := range []fate{lost, doubled, overtook} {
					link.next(kind, f)
					w.lossyStory(story, b)
					if kind != "100 INVITE" { // which a peer that answers at once does not send
						w.until("a "+kind+" to come by", link.happened)
					}
					w.until(fmt.Sprintf("no call to run after a %s %s", f, kind), func() bool { return w.bridge.Stats().Calls == 0 })
				}
			}
			w.until("no transaction to be left", func() bool { return w.sip.Stats().Transactions.Servers == 0 && w.sip.Stats().Transactions.Clients == 0 })
		})
	}
}
