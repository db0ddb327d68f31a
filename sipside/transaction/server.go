package transaction

import (
	"github.com/emiago/sipgo/sip"
)

// Server is a server transaction, or the ACK of a 2xx, as its user sees it.
type Server struct {
	*serving

	// static after construction
	msg     Message
	req     *sip.Request
	cancels *Server
	looped  bool
}

// serving is the machine of a server transaction. For half a minute after its final response it only absorbs repetitions: then
// it holds nothing of its request.
type serving struct {
	core

	// static after construction
	key  serverKey
	flow Flow

	// guarded by mu
	user    *Server // nil once there is a final response
	last    []byte  // the last response
	lastTag string  // its To-tag
}

func (l *Layer) newServer(key serverKey, msg Message, req *sip.Request, flow Flow) *Server {
	pair := l.tables.server
	if key.method == sip.INVITE {
		pair = l.tables.inviteServer
	}
	m := &serving{key: key, flow: flow}
	m.core = core{layer: l, table: choose(pair, flow.Reliable()), machine: m}
	m.user = &Server{serving: m, msg: msg, req: req}
	return m.user
}

// Request is the request that opened it. Read only. Nil where Cancels found an INVITE that has its final response already.
func (s *Server) Request() *sip.Request { return s.req }

// RequestURI is the Request-URI byte for byte.
func (s *Server) RequestURI() string { return s.msg.RequestURI }

// Lent says that the handler may keep its goroutine.
func (s *Server) Lent() bool { return s.msg.Lent }

// Flow is where the request came from and where responses go.
func (s *serving) Flow() Flow { return s.flow }

// Cancels is, for a CANCEL, the INVITE transaction that it matches (RFC 3261 §9.2); nil where none does.
func (s *Server) Cancels() *Server { return s.cancels }

// asServer is the transaction in its user's eyes.
func (s *serving) asServer() *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.user == nil {
		return &Server{serving: s}
	}
	return s.user
}

// Looped says whether the request is one of ours that came back as it was (RFC 3261 §16.3 step 4): a Via of it below the top
// is that of a request which still runs, and its Request-URI has not changed. With another one it is a spiral, which is legal.
func (s *Server) Looped() bool { return s.looped }

// Respond sends a response from any goroutine. A 2xx to an INVITE may be given again and again (the call repeats it
// until the ACK, RFC 3261 §13.3.1.4); any other response after a final one is ErrTerminated. The error of a failed
// write is returned, and a transaction whose final response failed to write is still cleaned up.
func (s *Server) Respond(res *sip.Response) error {
	if s.req != nil && s.req.Method == sip.ACK {
		return ErrNoResponse
	}
	in := provisional
	switch {
	case res.StatusCode >= 300:
		in = failure
	case res.StatusCode >= 200:
		in = success
	}
	data := s.layer.write(Message{Message: res})
	s.mu.Lock()
	known, err := s.run(in, data, toTag(res.To()))
	if !known {
		return ErrTerminated
	}
	return err
}

func (s *serving) begin() {
	s.mu.Lock()
	s.run(begin, nil, "")
}

func (s *serving) repeated() {
	s.mu.Lock()
	s.run(repeated, nil, "")
}

// ack says whether the machine took the ACK; the ACK of a 2xx it leaves to the call.
func (s *serving) ack() bool {
	s.mu.Lock()
	known, _ := s.run(acked, nil, "")
	return known
}

// matchesAck completes §17.2.3 for RFC 2543 peers: their ACK carries the To-tag of the response.
func (s *serving) matchesAck(ack *sip.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key.branch == ack.Via().Params.GetOr("branch", "") || s.lastTag == toTag(ack.To())
}

func (s *serving) timeout(timer input) { s.run(timer, nil, "") }

func (s *serving) flowLost(error) {
	s.mu.Lock()
	s.run(broken, nil, "")
}

// run steps the machine and does its actions. Called with mu held, releases it: a write may come back to this transaction.
func (s *serving) run(in input, response []byte, tag string) (known bool, err error) {
	do, ok := s.advance(in)
	if !ok {
		s.mu.Unlock()
		return false, nil
	}
	var out []byte
	for _, a := range do {
		switch a {
		case sendResponse:
			s.last, s.lastTag = response, tag
			out = s.last
		case sendTrying:
			s.last = s.layer.write(Message{Message: NewResponse(s.user.req, sip.StatusTrying, "Trying")})
			out = s.last
		case sendLast:
			out = s.last
		}
	}
	ended := s.state == terminated
	if s.state >= accepted {
		s.user = nil
	}
	s.mu.Unlock()
	if ended {
		s.layer.removeServer(s)
	}
	if out == nil {
		return true, nil
	}
	if err = s.flow.Send(out); err != nil {
		s.layer.counters.flowErrors.Add(1)
	}
	return true, err
}

func (l *Layer) removeServer(s *serving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.servers[s.key] == s {
		delete(l.servers, s.key)
		l.leave(s.flow, &s.core)
	}
}
