package sipside

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// arrival is how a message came in: by a UDP socket or a connection.
type arrival struct {
	transport   transport
	local, from netip.AddrPort
	udp         *udpListener // exactly one of the two is set
	conn        *conn
	lent        bool // whoever gets the message may keep the reader's goroutine
}

// receive takes one message of a known source through parser and transaction layer to the handler. It runs on the
// reader's goroutine; data is not kept. A fault in one message costs that message only.
func (e *Endpoints) receive(data []byte, in arrival) {
	defer func() {
		if p := recover(); p != nil {
			e.rejected.Add(1)
			e.log.Error("message panicked", "peer", in.from.String(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	e.messagesIn.Add(1)
	e.traced(data, in.transport, in.local, in.from, false)
	msg, err := transaction.Parse(data)
	if err != nil {
		e.reject(msg, err, in)
		return
	}
	msg.Lent = in.lent
	backend, who := e.sources.of(in.from, viaPort(msg))
	req, isRequest := msg.Message.(*sip.Request)
	switch {
	case who == stranger, who == nextHopOnly && isRequest && !inDialog(req) && req.Method != sip.CANCEL:
		e.strangers.Add(1)
	case isRequest:
		e.layer.Receive(msg, in.replyFlow(req.Via()), backend.receive)
	default:
		e.layer.Receive(msg, in.flow(), backend.receive)
	}
}

// strange counts a stranger's datagram, and answers it where the guard says so; it is not parsed else.
func (e *Endpoints) strange(data []byte, in arrival) {
	e.strangers.Add(1)
	if !e.guard.Stranger(in.from, string(in.transport), data) {
		return
	}
	msg, err := transaction.Parse(data)
	if req, ok := msg.Message.(*sip.Request); ok && err == nil && req.Method != sip.ACK {
		e.answer(req, sip.StatusForbidden, "Forbidden", in)
	}
}

// reject answers a malformed request with what is wrong with it, and drops anything else that is malformed.
func (e *Endpoints) reject(msg transaction.Message, err error, in arrival) {
	status, reason := sip.StatusBadRequest, "Bad Request"
	var bad *transaction.ParseError
	if errors.As(err, &bad) {
		status, reason = bad.Status, bad.Reason
	}
	e.rejected.Add(1)
	e.log.Debug("malformed message", "peer", in.from.String(), "error", err)
	req, ok := msg.Message.(*sip.Request)
	if !ok || req.Method == sip.ACK {
		return
	}
	e.answer(req, status, reason, in)
}

// refuse answers the header section that broke a stream, where it is that of a request.
func (e *Endpoints) refuse(bad *frameError, in arrival) {
	e.rejected.Add(1)
	e.log.Debug("malformed stream", "conn", in.conn.id, "peer", in.from.String(), "error", bad)
	if bad.head == nil {
		return
	}
	e.traced(bad.head, in.transport, in.local, in.from, false)
	msg, _ := transaction.Parse(bad.head) // what is wrong is known already; only the headers are wanted
	if req, ok := msg.Message.(*sip.Request); ok && req.Method != sip.ACK {
		e.answer(req, bad.status, bad.reason, in)
	}
}

// answer responds without a transaction (RFC 3261 §8.2.7).
func (e *Endpoints) answer(req *sip.Request, status int, reason string, in arrival) {
	flow := in.replyFlow(req.Via())
	res := transaction.NewResponse(req, status, reason)
	if to := res.To(); to != nil && !to.Params.Has("tag") {
		to.Params.Add("tag", strings.ToLower(rand.Text()))
	}
	if err := flow.Send(transaction.Append(nil, transaction.Message{Message: res})); err != nil {
		e.log.Debug("answer a malformed request", "peer", in.from.String(), "error", err)
	}
}

// viaPort is the port of a request's topmost sent-by, 0 for a response: its Via is ours.
func viaPort(msg transaction.Message) uint16 {
	if _, ok := msg.Message.(*sip.Request); !ok {
		return 0
	}
	return uint16(msg.Via().Port) // Parse has checked the range
}

// flow is the way back to the very source.
func (in arrival) flow() transaction.Flow {
	if in.udp != nil {
		return in.udp.flow(in.from)
	}
	return in.conn
}

// replyFlow writes received and rport into a request's top Via (RFC 3261 §18.2.1, RFC 3581 §4) and gives the way of its
// responses: the source address with rport or else sent-by's port; for streams the same connection (§18.2.2).
func (in arrival) replyFlow(via *sip.ViaHeader) transaction.Flow {
	_, wantsPort := param(via.Params, "rport")
	if wantsPort {
		setParam(&via.Params, "rport", strconv.Itoa(int(in.from.Port())))
	}
	if said, err := netip.ParseAddr(strings.Trim(via.Host, "[]")); wantsPort || err != nil || said != in.from.Addr() {
		setParam(&via.Params, "received", in.from.Addr().String())
	}
	sentBy := netip.AddrPortFrom(in.from.Addr(), uint16(via.Port))
	if via.Port == 0 {
		sentBy = netip.AddrPortFrom(in.from.Addr(), in.transport.defaultPort())
	}
	switch {
	case in.conn != nil:
		return &reply{conn: in.conn, sentBy: sentBy, host: strings.Trim(via.Host, "[]")}
	case wantsPort:
		return in.udp.flow(in.from)
	}
	return in.udp.flow(sentBy)
}

func setParam(params *sip.HeaderParams, name, value string) {
	for i, kv := range *params {
		if strings.EqualFold(kv.K, name) {
			(*params)[i].V = value
			return
		}
	}
	*params = append(*params, sip.HeaderKV{K: name, V: value})
}

// reply is the flow of a request's responses on a stream: the connection that the request came by or, once that is gone,
// a new one to received and sent-by's port (RFC 3261 §18.2.2). Its identity is the peer's host, not the connection: a CANCEL,
// an ACK or a repetition may come over another one (§17.2.3), and the loss of the connection ends no server transaction.
type reply struct {
	conn   *conn
	sentBy netip.AddrPort
	host   string
}

var _ transaction.Flow = (*reply)(nil)

func (r *reply) Send(data []byte) error {
	if err := r.conn.Send(data); err == nil {
		return nil
	}
	b, who := r.conn.e.sources.of(r.sentBy, 0)
	if who == stranger {
		return r.conn.cause()
	}
	c, err := r.conn.e.to(b.connKeyOf(place{transport: r.conn.transport, addr: r.sentBy}, r.host))
	if err != nil {
		return err
	}
	return c.Send(data)
}

func (r *reply) Reliable() bool { return true }
func (r *reply) Identity() string {
	return string(r.conn.transport) + "/" + r.conn.peer.Addr().String()
}

// sent counts and traces a message that went out; a keepalive's answer is none.
func (e *Endpoints) sent(data []byte, t transport, local, to netip.AddrPort) {
	if len(data) <= len("\r\n\r\n") {
		return
	}
	e.messagesOut.Add(1)
	e.traced(data, t, local, to, true)
}

func (e *Endpoints) traced(data []byte, t transport, local, remote netip.AddrPort, sent bool) {
	if e.trace == nil {
		return
	}
	e.trace(transaction.Traced{
		Data: data, At: time.Now(), Transport: string(t), Sent: sent, CallID: callID(data),
		Local: local.String(), Remote: remote.String(),
	})
}
