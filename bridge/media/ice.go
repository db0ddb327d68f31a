package media

import (
	"github.com/pion/stun/v4"

	"tandem/bridge/sdp"
)

const (
	maxFlows   = 16 // validated pairs of a leg: a browser's interfaces times our candidates
	viaUnknown = -1 // a restored pair: any worker's socket may get its packets
	viaTCP     = -2 // a connection: its leg's worker reads it, wherever that is
)

// flow is a pair that a check validated: a far end and the listen address that it reaches.
type flow struct {
	key    source
	leg    *Leg
	to     *endpoint
	tcp    *tcpConn  // nil: UDP
	detour *detour   // nil: no TURN client's
	local  localAddr // where it is a wildcard socket
	via    int       // the worker whose socket the kernel picks for this far end
	user   string    // the peer's ufrag by which it was validated
	seen   int64     // last check
	heard  int64     // last genuine packet
}

func (f *flow) comesBy(worker int) bool { return f.via == worker || f.via == viaUnknown }

// iceState is an ICE-lite agent (RFC 8445 §2.5): it answers checks, sends none, and takes the pair that the peer nominated last.
type iceState struct {
	current, previous Credentials
	flows             []*flow
	selected          *flow // nominated last
	nominated         bool  // selected by USE-CANDIDATE, not for want of better
	firstCheck        int64
	lastCheck         int64 // 0: none yet
}

// restart takes new credentials and lets the old ones work until the new ones are used.
func (i *iceState) restart(c Credentials) {
	if i.previous.Ufrag == "" {
		i.previous = i.current
	}
	i.current = c
}

// receiveCheck answers a Binding request for the leg.
func (l *Leg) receiveCheck(w *worker, d *datagram) {
	key := d.source()
	f := w.flows[key]
	if (f == nil || f.leg != l) && !l.mayCheck(w, d.data) {
		w.drop(l, DropSTUNRate)
		return
	}
	c, verdict := l.judge(d, &w.question)
	if verdict.refusal != 0 {
		w.drop(l, verdict.reason)
		w.refuse(d, c, verdict)
		return
	}
	if verdict.reason != dropNone {
		w.drop(l, verdict.reason)
		return
	}
	defer w.accept(d, c) // when the pair is known wherever its packets may come in
	l.counters.checks.Add(1)
	if d.tcp != nil {
		d.tcp.proven = true
	}
	if c.local == l.ice.current.Ufrag {
		l.ice.previous = Credentials{} // the new ones are in use
	}
	if l.remote.Ufrag != "" && c.remote != l.remote.Ufrag {
		return // answered (its SDP may be on its way), but it validates nothing
	}
	l.validate(w, d, key, c)
}

// validate takes the pair of a good check in, and selects it where the peer nominates it.
func (l *Leg) validate(w *worker, d *datagram, key source, c check) {
	l.heard(w)
	if l.ice.lastCheck == 0 {
		l.ice.firstCheck = w.clock
	}
	l.ice.lastCheck = w.clock
	f := l.ice.find(key)
	if f == nil {
		f = &flow{key: key, leg: l, to: endpointOf(*d.from, d.to), tcp: d.tcp, detour: d.detour, local: d.to, via: d.comesBy()}
		w.learnFlow(l, f)
	}
	f.user, f.seen = c.remote, w.clock
	if via := d.comesBy(); via != f.via {
		w.reroute(f, via)
	}
	switch {
	case c.nominates && (l.ice.selected != f || !l.ice.nominated):
		l.selectFlow(f, true)
	case l.ice.selected == nil || w.clock-l.ice.selected.alive() > int64(l.engine.cfg.Limits.Pair):
		l.selectFlow(f, false)
	default:
		return
	}
	l.startActive(w)
	w.follow(l, f.via)
}

// alive is when the peer last used the pair. Consent checks nominate nothing (RFC 7675 §5.1), so that a NAT has changed its
// mapping may show by nothing else than the silence of the pair of before.
func (f *flow) alive() int64 { return max(f.seen, f.heard) }

// comesBy is the worker whose socket the kernel picks for this far end.
func (d *datagram) comesBy() int {
	if d.tcp != nil {
		return viaTCP
	}
	return int(d.via)
}

func (i *iceState) find(key source) *flow {
	for _, f := range i.flows {
		if f.key == key {
			return f
		}
	}
	return nil
}

func (l *Leg) selectFlow(f *flow, nominated bool) {
	l.ice.selected, l.ice.nominated = f, nominated
	at := f.to.name.addrPort()
	l.counters.remote.Store(&at)
}

// learnFlow makes a pair the leg's, the oldest making room.
func (w *worker) learnFlow(l *Leg, f *flow) {
	if other := w.flows[f.key]; other != nil {
		other.leg.forgetFlow(w, other)
	}
	if len(l.ice.flows) >= maxFlows {
		l.forgetFlow(w, l.ice.oldest())
	}
	l.ice.flows = append(l.ice.flows, f)
	w.flows[f.key] = f
	delete(w.away, f.key)
	w.tellAway(f, l)
}

// forgetOld lets pairs go that the peer has left.
func (l *Leg) forgetOld(w *worker) {
	for i := len(l.ice.flows) - 1; i >= 0; i-- {
		f := l.ice.flows[i]
		if f != l.ice.selected && w.clock-f.seen > int64(l.engine.cfg.Limits.Consent) {
			l.forgetFlow(w, f)
		}
	}
}

func (i *iceState) oldest() *flow {
	var oldest *flow
	for _, f := range i.flows {
		if f != i.selected && (oldest == nil || f.seen < oldest.seen) {
			oldest = f
		}
	}
	return oldest
}

// tellAway has the worker whose socket gets the pair's packets pass them to the leg's worker; l nil takes that back.
func (w *worker) tellAway(f *flow, l *Leg) {
	for _, other := range w.engine.workers {
		if other == w || !f.comesBy(other.id) {
			continue
		}
		other.post(func(w *worker) {
			switch {
			case l == nil && (w.away[f.key] == nil || w.away[f.key] == f.leg):
				delete(w.away, f.key)
			case l != nil && w.flows[f.key] == nil:
				w.away[f.key] = l
			}
		})
	}
}

// reroute follows a pair whose packets come by another worker's socket than thought.
func (w *worker) reroute(f *flow, via int) {
	w.tellAway(f, nil)
	f.via = via
	w.tellAway(f, f.leg)
}

func (l *Leg) forgetFlow(w *worker, f *flow) {
	for i, other := range l.ice.flows {
		if other == f {
			l.ice.flows = append(l.ice.flows[:i], l.ice.flows[i+1:]...)
			break
		}
	}
	if l.ice.selected == f {
		l.ice.selected, l.ice.nominated = nil, false
	}
	if w.flows[f.key] == f {
		delete(w.flows, f.key)
	}
	w.tellAway(f, nil)
	if f.tcp != nil {
		w.closeTCP(f.tcp)
	}
}

func (l *Leg) forgetFlows(w *worker) {
	w.out.flush(w)
	for len(l.ice.flows) > 0 {
		l.forgetFlow(w, l.ice.flows[0])
	}
}

// setPeer takes the peer's SDP. Pairs that were validated under another ufrag than it says now stop being new ones' peers.
func (l *Leg) setPeer(w *worker, r sdp.Remote) {
	before := l.remote
	l.remote = r
	l.remote.Streams = nil // they say nothing that a browser's leg goes by
	if before.Ufrag == "" {
		for i := len(l.ice.flows) - 1; i >= 0; i-- {
			if f := l.ice.flows[i]; r.Ufrag != "" && f.user != r.Ufrag {
				l.forgetFlow(w, f)
			}
		}
	}
	l.renew(before.Transport, r.Transport)
	l.releaseEarly(w)
}

// check is what a Binding request says.
type check struct {
	message       *stun.Message
	local, remote string
	password      string // "": unknown ufrag
	nominates     bool
}
