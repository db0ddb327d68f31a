package media

import (
	"net/netip"

	"tandem/bridge/media/ice"
	"tandem/bridge/sdp"
)

// newAgent has a stream answer checks, and send them once both descriptions are there. What the agent wants is done by
// whichever worker owns the leg: it is asked by that one only.
func (s *rtpStream) newAgent() *ice.Agent {
	l := s.rtp.leg
	limits := l.engine.cfg.Limits
	return ice.New(ice.Config{
		Local:   ice.Credentials(l.ice.current),
		Consent: int64(limits.Consent),
		Limit:   int64(limits.Check),
		Send: func(component int, to netip.AddrPort, message []byte) {
			l.owner().queue(s.ends()[component-1].socket.fd, nil, endpointAt(to), message)
		},
		Selected: func(component int, to netip.AddrPort) { s.ends()[component-1].selected(to) },
		Expired: func(component int) {
			s.ends()[component-1].to = nil // RFC 7675 §5.1: who does not consent any more gets nothing
			if component == 1 {
				l.lapsed = true
				l.die(l.owner())
			}
		},
		Failed: func() {
			if s.rtp.socket.stream == sdp.Audio {
				l.fail(l.owner(), NoConnectivity)
			}
		},
	})
}

// owner is the worker whose leg it is; called by that worker only.
func (l *Leg) owner() *worker { return l.engine.workers[l.home().worker()] }

// selected has packets go to a nominated pair.
func (f *far) selected(to netip.AddrPort) {
	w, l := f.leg.owner(), f.leg
	f.to = endpointAt(to)
	if !f.socket.rtcp {
		l.counters.remote.Store(&to)
		l.lapsed = false
		l.heard(w)
	}
	f.startActive(w)
}

// check takes what the peer's SDP says of ICE. A peer that does none is believed as ever.
func (s *rtpStream) check(w *worker) {
	l, told := s.rtp.leg, s.rtp.told()
	switch {
	case told.Ufrag == "" && told.RTP.IsValid():
		s.uncheck(w)
		return
	case told.Ufrag == "" || l.ice.current.Ufrag == "":
		return
	case s.agent == nil:
		s.agent = s.newAgent()
		w.agents.add(s)
	}
	if s.rtp.agent == nil {
		for _, f := range s.ends() {
			f.agent, f.to = s.agent, nil // nobody gets anything before a check has proven the address
		}
	}
	r := ice.Remote{Credentials: ice.Credentials{Ufrag: told.Ufrag, Password: told.Password}, Controlling: told.Controlling, Components: 2}
	if told.Mux {
		r.Components = 1
	}
	for _, c := range told.Candidates {
		if c.Transport == "udp" && c.Addr.Addr().Unmap().Is4() == l.ports.address.Unmap().Is4() {
			at := netip.AddrPortFrom(c.Addr.Addr().Unmap(), c.Addr.Port())
			r.Candidates = append(r.Candidates, ice.Candidate{Addr: at, Component: c.Component, Priority: c.Priority})
		}
	}
	s.agent.SetRemote(r, w.clock)
	if l.said {
		s.agent.Begin(w.clock)
	}
	w.agents.plan(s)
}

// begin lets checks go out: our description is.
func (s *rtpStream) begin(w *worker) {
	if s != nil && s.agent != nil {
		s.agent.Begin(w.clock)
		w.agents.plan(s)
	}
}

func (s *rtpStream) uncheck(w *worker) {
	w.agents.remove(s)
	s.agent = nil
	for _, f := range s.ends() {
		f.agent = nil
	}
}

// receiveCheck takes a STUN message that came to a stream's port.
func (s *rtpStream) receiveCheck(w *worker, p *portSocket, d *datagram) {
	l, from := s.rtp.leg, d.from.addrPort()
	component := p.far.component()
	if !s.agent.Accepts(component, from) && !l.mayCheck(w, d.data) {
		w.drop(l, DropSTUNRate)
		return
	}
	switch s.agent.Receive(component, from, d.data, w.clock) {
	case ice.Good:
		l.counters.checks.Add(1)
	case ice.Malformed:
		w.drop(l, DropSTUNMalformed)
	case ice.Ufrag:
		w.drop(l, DropSTUNUfrag)
	case ice.Integrity:
		w.drop(l, DropSTUNIntegrity)
	case ice.Role:
		w.drop(l, DropSTUNRole)
	case ice.Unexpected, ice.Refused:
		w.drop(l, DropSTUNUnexpected)
	}
	w.agents.plan(s)
}

// agents are those of a worker's streams that have one, and when the first of them has something to do.
type agents struct {
	streams []*rtpStream
	at      int64 // 0: never
}

func (a *agents) add(s *rtpStream) {
	if s.agent != nil {
		a.streams = append(a.streams, s)
		a.plan(s)
	}
}

func (a *agents) remove(s *rtpStream) {
	for i, o := range a.streams {
		if o == s {
			last := len(a.streams) - 1
			a.streams[i], a.streams[last] = a.streams[last], nil
			a.streams = a.streams[:last]
			return
		}
	}
}

// plan takes in that a stream's agent is due at another time.
func (a *agents) plan(s *rtpStream) {
	if s.agent == nil {
		return
	}
	if due := s.agent.Due(); due != 0 && (a.at == 0 || due < a.at) {
		a.at = due
	}
}

// advanceAgents does what is due of ICE.
func (w *worker) advanceAgents() {
	if w.agents.at == 0 || w.clock < w.agents.at {
		return
	}
	w.agents.at = 0
	for i := len(w.agents.streams) - 1; i >= 0; i-- {
		w.advanceAgent(w.agents.streams[i])
	}
}

func (w *worker) advanceAgent(s *rtpStream) {
	w.current = s.rtp.leg
	defer w.contain()
	if due := s.agent.Due(); due != 0 && w.clock >= due {
		s.agent.Advance(w.clock)
	}
	w.agents.plan(s)
	w.current = nil
}
