package wss

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"

	"github.com/gorilla/websocket"

	"tandem/sipside/transaction"
)

// Server upgrades HTTP requests and owns the connections.
type Server struct {
	// static after construction
	cfg      Config
	viaHost  string
	viaPort  int
	origins  originList
	upgrader websocket.Upgrader
	layer    *transaction.Layer
	buffers  sync.Pool // *bytes.Buffer, one while a message is read

	flows  flows
	users  users
	poller poller
	counts counts
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	origins, err := newOriginList(cfg.Origins, cfg.OriginsRequired)
	if err != nil {
		return nil, err
	}
	host, port, err := sentBy(cfg.ViaHost)
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg:     cfg,
		viaHost: host,
		viaPort: port,
		origins: origins,
		upgrader: websocket.Upgrader{
			HandshakeTimeout: cfg.WriteTimeout,
			ReadBufferSize:   0,    // takeover's
			WriteBufferSize:  4096, // most messages leave as one TLS record
			WriteBufferPool:  new(sync.Pool),
			CheckOrigin:      func(*http.Request) bool { return true }, // admit has looked
			Error:            func(http.ResponseWriter, *http.Request, int, error) {},
		},
		layer:  transaction.New(cfg.Timers),
		flows:  newFlows(),
		users:  users{most: cfg.PerUser, byName: map[string][]*Conn{}},
		poller: poller{log: cfg.Log},
		counts: newCounts(),
	}, nil
}

// Serve upgrades one request, which comes from r.RemoteAddr, hands the connection to a goroutine of its own and returns; a refused
// handshake gets its HTTP status (400, 401, 403, 426, 429, 503) with a reason in the body.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, h Handler) {
	if no := s.admit(r); no != nil {
		s.refuse(w, r, no)
		return
	}
	from := remoteOf(r)
	visitor, no := s.visit(from.Addr())
	if no == nil {
		no = s.enter(from.Addr())
	}
	if no != nil {
		s.refuse(w, r, no)
		return
	}
	c := s.upgrade(w, r, h, from, visitor)
	if c == nil {
		s.leave(from.Addr())
		return
	}
	s.counts.accepted.Add(1)
	s.cfg.Log.Debug("browser connected", "conn", c.flow, "remote", c.remote, "transport", c.transport,
		"origin", r.Header.Get("Origin"), "agent", r.UserAgent(), "certificate", c.certificate)
	// A fresh goroutine: the one of net/http has grown its stack in the TLS handshake.
	c.watch()
	go c.run()
}

// upgrade makes a connection of a request that may come in; nil where it could not, which was answered if possible.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, h Handler, from netip.AddrPort, visitor Visitor) *Conn {
	subject, no := s.authenticate(r, visitor)
	if no != nil {
		no.challenge(w)
		s.refuse(w, r, no)
		return nil
	}
	taken := &takeover{ResponseWriter: w}
	ws, err := s.upgrader.Upgrade(taken, r, http.Header{"Sec-Websocket-Protocol": {subprotocol}})
	if errors.As(err, new(websocket.HandshakeError)) {
		s.refuse(w, r, &refusal{http.StatusBadRequest, RefusedUpgrade, err.Error()})
		return nil
	}
	if err != nil { // the connection has been taken over and closed: nobody is left to answer
		s.counts.refused(RefusedUpgrade)
		s.cfg.Log.Info("browser lost in its handshake", "remote", r.RemoteAddr, "error", err)
		return nil
	}
	c := newConn(s, ws, taken.br, r, h)
	c.subject, c.remote, c.visitor = subject, from, visitor
	if cert := certificateOf(r); cert != nil {
		c.certificate = cert.Subject.String()
	}
	if subject != nil {
		c.Judged("", true)
	}
	if !s.flows.add(c) {
		s.counts.refused(RefusedShutdown)
		cutSocket(ws.NetConn())
		return nil
	}
	return c
}

// Find gives the connection of a flow id, nil when it is gone.
func (s *Server) Find(flow string) *Conn { return s.flows.find(flow) }

// Shutdown closes all connections (1001 going away) and waits for their goroutines or ctx. New handshakes get 503. When ctx
// ends first the sockets are cut and its error is returned at once. Safe to call twice.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.poller.close()
	open := s.flows.shut()
	for _, c := range open {
		c.end(websocket.CloseGoingAway, "going away", ClosedShutdown)
	}
	idle := make(chan struct{})
	go func() {
		s.flows.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	for _, c := range open {
		c.cut(ClosedShutdown)
	}
	return ctx.Err()
}
