package siptest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// endpoint is one UDP socket and one TCP listener on the same port, with the transactions over them.
type endpoint struct {
	// static after construction
	udp   *net.UDPConn
	tcp   *net.TCPListener
	addr  netip.AddrPort
	layer *transaction.Layer
	serve transaction.Handler
	trace transaction.Trace
	log   *slog.Logger

	wg sync.WaitGroup

	mu sync.Mutex
	// guarded by mu
	closed bool
	conns  map[netip.AddrPort]*stream
}

func openEndpoint(listen netip.AddrPort, timers transaction.Config, log *slog.Logger) (*endpoint, error) {
	if !listen.IsValid() {
		listen = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	tcp, udp, err := openBoth(listen)
	if err != nil {
		return nil, fmt.Errorf("siptest: %w", err)
	}
	if timers.Log == nil {
		timers.Log = log
	}
	return &endpoint{
		udp: udp, tcp: tcp, addr: unmap(tcp.Addr().(*net.TCPAddr).AddrPort()),
		layer: transaction.New(timers), log: log, conns: make(map[netip.AddrPort]*stream),
	}, nil
}

// openBoth finds a port that is free for both transports.
func openBoth(listen netip.AddrPort) (*net.TCPListener, *net.UDPConn, error) {
	var last error
	for range 20 {
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(listen))
		if err != nil {
			return nil, nil, err
		}
		port := uint16(tcp.Addr().(*net.TCPAddr).Port)
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(listen.Addr(), port)))
		if err == nil {
			return tcp, udp, nil
		}
		last = err
		if err := tcp.Close(); err != nil || listen.Port() != 0 {
			return nil, nil, errors.Join(last, err)
		}
	}
	return nil, nil, last
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// start reads both sockets until close.
func (e *endpoint) start(serve transaction.Handler, trace transaction.Trace) {
	e.serve, e.trace = serve, trace
	e.wg.Go(e.readUDP)
	e.wg.Go(e.acceptTCP)
}

func (e *endpoint) close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	conns := e.conns
	e.conns = nil
	e.mu.Unlock()
	err := errors.Join(e.udp.Close(), e.tcp.Close())
	for _, s := range conns {
		s.conn.Close()
	}
	e.wg.Wait()
	return err
}

func (e *endpoint) readUDP() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := e.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n <= 4 { // an ICMP error of an earlier write, or a keepalive
			continue
		}
		e.receive(buf[:n], &datagram{e, unmap(from)}, unmap(from))
	}
}

func (e *endpoint) acceptTCP() {
	for {
		conn, err := e.tcp.AcceptTCP()
		if err != nil {
			return
		}
		if s, err := e.adopt(conn); err == nil {
			e.wg.Go(s.read)
		}
	}
}

// adopt takes over a connection, or closes it where the endpoint is closed.
func (e *endpoint) adopt(conn *net.TCPConn) (*stream, error) {
	s := &stream{e: e, conn: conn, remote: unmap(conn.RemoteAddr().(*net.TCPAddr).AddrPort())}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	e.conns[s.remote] = s
	return s, nil
}

// flow is the way to an address: a connection is made where there is none.
func (e *endpoint) flow(transport string, to netip.AddrPort) (transaction.Flow, error) {
	if transport != "tcp" {
		return &datagram{e, to}, nil
	}
	e.mu.Lock()
	s := e.conns[to]
	e.mu.Unlock()
	if s != nil {
		return s, nil
	}
	dialer := net.Dialer{Timeout: time.Minute, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(e.addr.Addr(), 0))}
	conn, err := dialer.DialContext(context.Background(), "tcp", to.String())
	if err != nil {
		return nil, err
	}
	s, err = e.adopt(conn.(*net.TCPConn))
	if err != nil {
		return nil, err
	}
	e.wg.Go(s.read)
	return s, nil
}

// via is the Via of a new request over a flow.
func (e *endpoint) via(flow transaction.Flow) *sip.ViaHeader {
	v := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transportOf(flow),
		Host: e.addr.Addr().String(), Port: int(e.addr.Port()),
	}
	v.Params.Add("branch", sip.GenerateBranch())
	v.Params.Add("rport", "")
	return v
}

func transportOf(flow transaction.Flow) string {
	if flow.Reliable() {
		return "TCP"
	}
	return "UDP"
}

// receive takes one whole message.
func (e *endpoint) receive(data []byte, flow transaction.Flow, from netip.AddrPort) {
	e.traced(data, flow, from, false)
	msg, err := transaction.Parse(data)
	if err != nil {
		e.log.Warn("siptest: message refused", "remote", from, "error", err)
		e.refuse(msg, flow, from, err)
		return
	}
	if req, ok := msg.Message.(*sip.Request); ok {
		stamp(req, from)
	}
	e.layer.Receive(msg, flow, e.serve)
}

// refuse answers a bad request without a transaction.
func (e *endpoint) refuse(msg transaction.Message, flow transaction.Flow, from netip.AddrPort, err error) {
	req, ok := msg.Message.(*sip.Request)
	var perr *transaction.ParseError
	if !ok || !errors.As(err, &perr) {
		return
	}
	stamp(req, from)
	res := transaction.NewResponse(req, perr.Status, perr.Reason)
	if err := flow.Send(transaction.Append(nil, transaction.Message{Message: res})); err != nil {
		e.log.Warn("siptest: refusal not sent", "remote", from, "error", err)
	}
}

// stamp notes where a request came from (RFC 3261 §18.2.1, RFC 3581 §4).
func stamp(req *sip.Request, from netip.AddrPort) {
	via := req.Via()
	_, rport := via.Params.Get("rport")
	if rport {
		via.Params.Add("rport", fmt.Sprint(from.Port()))
	}
	if rport || via.Host != from.Addr().String() {
		via.Params.Add("received", from.Addr().String())
	}
	req.SetSource(from.String())
}

func (e *endpoint) traced(data []byte, flow transaction.Flow, remote netip.AddrPort, sent bool) {
	if e.trace == nil {
		return
	}
	e.trace(transaction.Traced{
		Data: data, At: time.Now(), Transport: transportOf(flow), Local: e.addr.String(), Remote: remote.String(),
		Sent: sent, CallID: headerValue(data, "call-id", "i"),
	})
}

// datagram is the UDP socket and one peer.
type datagram struct {
	e  *endpoint
	to netip.AddrPort
}

func (d *datagram) Send(data []byte) error {
	d.e.traced(data, d, d.to, true)
	_, err := d.e.udp.WriteToUDPAddrPort(data, d.to)
	return err
}

func (d *datagram) Reliable() bool   { return false }
func (d *datagram) Identity() string { return "udp/" + d.to.String() }
