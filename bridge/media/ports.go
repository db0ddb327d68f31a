package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoPorts says that the RTP range is used up.
var ErrNoPorts = errors.New("media: no free RTP ports")

// portPair is an even RTP port's socket and that of the RTCP port one above.
type portPair struct {
	port      uint16
	rtp, rtcp int
	shared    *sharedPair // it is one; nil: the leg's own
	claimed   [2]source   // there, before our SDP was said
}

// ports gives out the pairs of the range, the longest unused first.
type ports struct {
	// static after construction
	address   netip.Addr
	advertise netip.Addr
	drain     time.Duration
	dscp      int
	low, high int
	total     int
	ephemeral bool // no range: the system's free ports

	// guarded by mu
	mu   sync.Mutex
	free []freePort // in the order of release
	used int

	// guarded by sharing
	sharing sync.Mutex
	shared  []*sharedPair // by the worker that reads it; nil: none yet
	more    []*sharedPair // of restored legs, beside those
}

type freePort struct {
	port  uint16
	since time.Time // not before this plus drain; zero: at once
}

func newPorts(cfg RTPConfig, drain time.Duration, dscp int) *ports {
	p := &ports{address: cfg.Address, advertise: cfg.Advertise, drain: drain, dscp: dscp, ephemeral: cfg.Low == 0, low: int(cfg.Low), high: int(cfg.High)}
	if p.ephemeral {
		return p
	}
	for port := int(cfg.Low) + int(cfg.Low)&1; port+1 <= int(cfg.High); port += 2 {
		p.free = append(p.free, freePort{port: uint16(port)})
	}
	rand.Shuffle(len(p.free), func(i, j int) { p.free[i], p.free[j] = p.free[j], p.free[i] })
	p.total = len(p.free)
	return p
}

// newSecondPorts are those of the second address; nil without one.
func newSecondPorts(cfg RTPConfig, drain time.Duration, dscp int) *ports {
	if !cfg.Second.Address.IsValid() {
		return nil
	}
	cfg.Address, cfg.Advertise = cfg.Second.Address, cfg.Second.Advertise
	return newPorts(cfg, drain, dscp)
}

// portsTowards chooses by the family of an address: that of the peer's signalling, or, for a restored leg, of its own.
func (e *Engine) portsTowards(a netip.Addr) *ports {
	if s := e.second; s != nil && a.IsValid() && s.address.Unmap().Is4() == a.Unmap().Is4() {
		return s
	}
	return e.ports
}

// take binds a pair.
func (p *ports) take() (portPair, error) {
	if !p.address.IsValid() {
		return portPair{}, errors.New("media: no RTP address configured")
	}
	if p.ephemeral {
		return p.takeEphemeral()
	}
	for range p.total {
		port, ok := p.next()
		if !ok {
			break
		}
		if pair, err := p.bind(port); err == nil {
			return pair, nil
		}
		p.giveBack(port) // somebody else's socket is in the way: the next one
	}
	return portPair{}, ErrNoPorts
}

func (p *ports) next() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 || time.Since(p.free[0].since) < p.drain {
		return 0, false
	}
	port := p.free[0].port
	p.free = p.free[1:]
	p.used++
	return port, true
}

func (p *ports) giveBack(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	if !p.ephemeral && int(port) >= p.low && int(port) < p.high { // a restored leg's may lie outside
		p.free = append(p.free, freePort{port: port, since: time.Now()})
	}
}

const ephemeralTries = 64

func (p *ports) takeEphemeral() (portPair, error) {
	for range ephemeralTries {
		at, err := freeAddr(netip.AddrPortFrom(p.address, 0))
		if err != nil {
			return portPair{}, err
		}
		if pair, err := p.bind(at.Port() &^ 1); err == nil {
			p.mu.Lock()
			p.used++
			p.mu.Unlock()
			return pair, nil
		}
	}
	return portPair{}, ErrNoPorts
}

// takeExactly binds the pairs of a restored leg, drained or not, or none; where a port is 0 there is none.
func (p *ports) takeExactly(wanted []uint16) ([]portPair, error) {
	pairs := make([]portPair, len(wanted))
	for i, port := range wanted {
		if port == 0 {
			continue
		}
		p.withdraw(port)
		pair, err := p.bind(port)
		if err != nil {
			p.giveBack(port)
			for _, taken := range pairs[:i] {
				p.release(taken)
			}
			return nil, fmt.Errorf("media: restore RTP port %d: %w", port, err)
		}
		pairs[i] = pair
	}
	return pairs, nil
}

func (p *ports) withdraw(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used++
	for i, f := range p.free {
		if f.port == port {
			p.free = append(p.free[:i:i], p.free[i+1:]...)
			return
		}
	}
}

func (p *ports) bind(port uint16) (portPair, error) {
	rtp, err := udpSocket(netip.AddrPortFrom(p.address, port), false, p.dscp)
	if err != nil {
		return portPair{}, err
	}
	rtcp, err := udpSocket(netip.AddrPortFrom(p.address, port+1), false, p.dscp)
	if err != nil {
		unix.Close(rtp)
		return portPair{}, err
	}
	return portPair{port: port, rtp: rtp, rtcp: rtcp}, nil
}

// release closes a pair's sockets and lets its ports drain.
func (p *ports) release(pair portPair) {
	if pair.port == 0 {
		return
	}
	closeAll([]int{pair.rtp, pair.rtcp})
	p.giveBack(pair.port)
}

func (p *ports) counts() (used, free int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, len(p.free)
}

// sharedOf is the pair that the legs of a worker share; nil where none can be had.
func (p *ports) sharedOf(w *worker) *sharedPair {
	p.sharing.Lock()
	defer p.sharing.Unlock()
	p.shared = append(p.shared, make([]*sharedPair, max(0, w.id+1-len(p.shared)))...)
	if p.shared[w.id] == nil {
		pair, err := p.take()
		if err != nil {
			w.engine.cfg.Log.Warn("no shared RTP port", "err", err)
			return nil
		}
		p.shared[w.id] = w.share(pair)
	}
	return p.shared[w.id]
}

// sharedExactly is the shared pair of a restored leg.
func (p *ports) sharedExactly(port uint16, w *worker) (*sharedPair, error) {
	p.sharing.Lock()
	defer p.sharing.Unlock()
	for _, s := range append(slices.Clone(p.shared), p.more...) {
		if s != nil && s.port == port {
			return s, nil
		}
	}
	pairs, err := p.takeExactly([]uint16{port})
	if err != nil {
		return nil, err
	}
	s := w.share(pairs[0])
	p.shared = append(p.shared, make([]*sharedPair, max(0, w.id+1-len(p.shared)))...)
	if p.shared[w.id] == nil {
		p.shared[w.id] = s
	} else {
		p.more = append(p.more, s)
	}
	return s, nil
}

// closeShared closes the shared sockets when nobody reads them any more.
func (p *ports) closeShared() {
	p.sharing.Lock()
	defer p.sharing.Unlock()
	for _, s := range append(p.shared, p.more...) {
		if s != nil {
			closeAll([]int{s.ends[0].fd, s.ends[1].fd})
			p.giveBack(s.port)
		}
	}
	p.shared, p.more = nil, nil
}
