package media

import (
	"net/netip"
	"slices"
	"sync"

	"tandem/bridge/sdp"
)

// sharedPair is a port pair for the audio of many RTP legs. Whose a packet is, its source says: the address that the peer's SDP
// names, exactly. One worker reads it; a leg that lives with another gets its packets by that one's ring.
type sharedPair struct {
	port uint16
	ends [2]*sharedSocket // RTP, RTCP
}

// sharedSocket is one socket of a shared pair.
type sharedSocket struct {
	// static after construction
	fd     int
	rtcp   bool
	worker *worker // who reads it

	// guarded by mu: the truth, of which the worker has a copy. What changes is posted to it under mu, so in the same order
	mu     sync.Mutex
	claims map[source]*claim

	// owned by the worker
	sharedTable
}

// claim is who has a peer's address on a shared socket, and who wants it too: nothing tells two peers at one address apart, so
// the first keeps it until it lets go. Only a peer whose signalling comes from there goes before one who merely names it in its
// SDP: else a trunk could keep another's calls silent.
type claim struct {
	owner   *Leg
	waiting []*Leg
}

// share makes a pair that is bound a shared one and has the worker read it.
func (w *worker) share(pair portPair) *sharedPair {
	p := &sharedPair{port: pair.port}
	for i, fd := range []int{pair.rtp, pair.rtcp} {
		widen(fd)
		p.ends[i] = &sharedSocket{fd: fd, rtcp: i == 1, worker: w, claims: map[source]*claim{}, sharedTable: newSharedTable()}
	}
	w.post(func(w *worker) {
		for _, s := range p.ends {
			w.watchShared(s)
		}
	})
	return p
}

// claim gives the leg the peer's address, or says that another has it; then the leg gets it when that one lets go.
func (s *sharedSocket) claim(key source, l *Leg) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.claims[key]
	switch {
	case c == nil:
		s.claims[key] = &claim{owner: l}
		s.worker.post(func(*worker) { s.admit(key, l) })
		return true
	case c.owner == l:
		return true
	case l.livesAt(key) && !c.owner.livesAt(key):
		former := c.owner
		c.owner, c.waiting = l, append(c.waiting, former)
		s.worker.post(func(w *worker) {
			s.dismiss(w, key, former, lastHeard{})
			s.admit(key, l)
		})
		return true
	case !slices.Contains(c.waiting, l):
		c.waiting = append(c.waiting, l)
	}
	return false
}

// release lets go of an address; what is known of the stream that came from there makes its late packets known.
func (s *sharedSocket) release(key source, l *Leg, last lastHeard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.claims[key]
	switch {
	case c == nil:
		return
	case c.owner != l:
		c.waiting = slices.DeleteFunc(c.waiting, func(w *Leg) bool { return w == l })
		return
	case len(c.waiting) == 0:
		delete(s.claims, key)
		s.worker.post(func(w *worker) { s.dismiss(w, key, l, last) })
		return
	}
	c.owner, c.waiting = c.waiting[0], c.waiting[1:]
	next := c.owner
	s.worker.post(func(w *worker) {
		s.dismiss(w, key, l, last)
		s.admit(key, next)
	})
}

// livesAt says whether the leg's signalling comes from the address's host.
func (l *Leg) livesAt(key source) bool {
	host := sharedKey(netip.AddrPortFrom(l.spec.Signalling, key.port))
	return l.spec.Signalling.IsValid() && host == key
}

// sharedKey is how an address is known on a shared socket; the zero one stands for none.
func sharedKey(a netip.AddrPort) source {
	if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() {
		return source{}
	}
	s := sockaddrOf(a)
	return s.source(0)
}

// sharedKeys are the addresses from which the peer sends RTP and RTCP, by its SDP.
func sharedKeys(told *sdp.RemoteStream) [2]source {
	keys := [2]source{sharedKey(told.RTP)}
	if !told.Mux {
		keys[1] = sharedKey(told.Control())
	}
	return keys
}

// reserve claims a peer's addresses before our SDP is said; false where another leg has one of them.
func (p *sharedPair) reserve(l *Leg, keys [2]source) bool {
	for i, s := range p.ends {
		if keys[i] != (source{}) && !s.claim(keys[i], l) {
			p.forget(l, keys)
			return false
		}
	}
	return true
}

// forget takes back what reserve claimed.
func (p *sharedPair) forget(l *Leg, keys [2]source) {
	for i, s := range p.ends {
		if keys[i] != (source{}) {
			s.release(keys[i], l, lastHeard{})
		}
	}
}

// shares says whether the leg may do with a shared port: its peer must be known to send from one address, which tells it from
// all others.
func (l *Leg) shares() bool {
	told := l.spec.Offered
	switch {
	case !l.spec.Shared || l.learn == learnAny || l.spec.ICE && (told == nil || told.Ufrag != ""):
		return false
	case told == nil:
		return true
	case sharedKey(told.RTP) == source{}:
		return false
	}
	return l.learn == learnStrict || told.RTP.Addr().Unmap() == l.spec.Signalling.Unmap()
}

// takeShared gives the leg a place on the worker's shared pair; false where it needs a pair of its own.
func (l *Leg) takeShared(w *worker) (portPair, bool) {
	if !l.shares() {
		return portPair{}, false
	}
	shared := l.ports.sharedOf(w)
	if shared == nil {
		return portPair{}, false
	}
	pair := shared.pair()
	if told := l.spec.Offered; told != nil {
		if pair.claimed = sharedKeys(told); !shared.reserve(l, pair.claimed) {
			l.engine.counters.conflicts.Add(1)
			return portPair{}, false
		}
	}
	return pair, true
}

// pair is a place on it.
func (p *sharedPair) pair() portPair {
	return portPair{port: p.port, rtp: p.ends[0].fd, rtcp: p.ends[1].fd, shared: p}
}

// claim claims what the peer's SDP says, and lets go of what it said before.
func (s *rtpStream) claim(w *worker) {
	shared := s.pair.shared
	if shared == nil {
		return
	}
	keys := sharedKeys(s.rtp.told())
	for i, f := range s.ends() {
		if f.claimed == keys[i] {
			continue
		}
		if f.claimed != (source{}) {
			shared.ends[i].release(f.claimed, f.leg, f.learner.last())
		}
		f.claimed = keys[i]
		if keys[i] != (source{}) && !shared.ends[i].claim(keys[i], f.leg) {
			w.engine.counters.conflicts.Add(1)
			f.leg.log().Warn("another call has the peer's address on the shared RTP port", "rtcp", f.socket.rtcp)
		}
	}
}

// letGo frees what the stream has.
func (s *rtpStream) letGo(p *ports) {
	shared := s.pair.shared
	if shared == nil {
		p.release(s.pair)
		return
	}
	for i, f := range s.ends() {
		if f.claimed != (source{}) {
			shared.ends[i].release(f.claimed, f.leg, f.learner.last())
		}
	}
}
