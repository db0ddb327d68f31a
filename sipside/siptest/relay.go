package siptest

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// relay carries the audio of a call between users: a socket pair that faces each side.
type relay struct {
	// static after construction
	pairs [2]struct{ rtp, rtcp *net.UDPConn }
	wg    sync.WaitGroup

	mu sync.Mutex
	// guarded by mu
	remote [2]struct{ rtp, rtcp netip.AddrPort }
}

func newRelay(addr netip.Addr) (*relay, error) {
	r := new(relay)
	for _, s := range []side{caller, callee} {
		even, odd, err := openPair(addr)
		if err != nil {
			r.close()
			return nil, err
		}
		r.pairs[s].rtp, r.pairs[s].rtcp = even, odd
	}
	for _, s := range []side{caller, callee} {
		r.wg.Go(func() {
			r.carry(r.pairs[s].rtp, r.pairs[s.other()].rtp, func() netip.AddrPort { return r.remote[s.other()].rtp })
		})
		r.wg.Go(func() {
			r.carry(r.pairs[s].rtcp, r.pairs[s.other()].rtcp, func() netip.AddrPort { return r.remote[s.other()].rtcp })
		})
	}
	return r, nil
}

func (r *relay) close() {
	for _, p := range r.pairs {
		if p.rtp != nil {
			p.rtp.Close()
			p.rtcp.Close()
		}
	}
	r.wg.Wait()
}

// carry passes packets from one socket on through another until they are closed; to is called with mu held.
func (r *relay) carry(from, through *net.UDPConn, to func() netip.AddrPort) {
	buf := make([]byte, 2048)
	for {
		n, _, err := from.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		r.mu.Lock()
		target := to()
		r.mu.Unlock()
		if target.IsValid() {
			_, _ = through.WriteToUDPAddrPort(buf[:n], target) // a lost packet is lost
		}
	}
}

// rewrite notes where a side wants its audio, and puts the relay's address for the other side into its SDP. Media other than
// audio is rejected.
func (r *relay) rewrite(from side, sdp string) string {
	s, err := parseSDP(sdp)
	if err != nil {
		return sdp
	}
	at := s.audio()
	if at >= 0 && !s.address(at).Addr().IsUnspecified() {
		to := s.address(at)
		control := netip.AddrPortFrom(to.Addr(), to.Port()+1)
		if s.media[at].rtcp > 0 {
			control = netip.AddrPortFrom(to.Addr(), uint16(s.media[at].rtcp))
		}
		r.mu.Lock()
		r.remote[from].rtp, r.remote[from].rtcp = to, control
		r.mu.Unlock()
	}
	ours := unmap(r.pairs[from.other()].rtp.LocalAddr().(*net.UDPAddr).AddrPort())
	return substitute(sdp, at, ours)
}

// substitute replaces the addresses of an SDP and the port of its section at; all other sections get port 0.
func substitute(sdp string, at int, ours netip.AddrPort) string {
	var b strings.Builder
	section := -1
	for line := range strings.Lines(sdp) {
		line = strings.TrimRight(line, "\r\n")
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c=") && len(f) == 3 && f[2] != "0.0.0.0":
			line = f[0] + " " + f[1] + " " + ours.Addr().String()
		case strings.HasPrefix(line, "m=") && len(f) >= 4:
			section++
			f[1] = "0"
			if section == at {
				f[1] = strconv.Itoa(int(ours.Port()))
			}
			line = strings.Join(f, " ")
		case strings.HasPrefix(line, "a=rtcp:"):
			continue
		}
		b.WriteString(line + "\r\n")
	}
	return b.String()
}
