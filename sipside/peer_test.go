package sipside

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// patience bounds every wait of these tests; nothing waits so long unless it fails.
const patience = time.Minute

// eventually polls until ok, and fails with the reason.
func eventually(t *testing.T, reason string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", reason)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// receive takes from a channel, and fails with the reason.
func receive[T any](t *testing.T, reason string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("in vain: %s", reason)
		panic("unreachable")
	}
}

// served is one request that a door gave to its handler.
type served struct {
	backend *Backend
	tx      *transaction.Server
}

// handler keeps what it is given, and panics where the request says so.
type handler chan served

func (handler) BackendDown(*Backend) {}

func (h handler) ServeBackend(b *Backend, tx *transaction.Server) {
	if tx.Request().GetHeader("X-Panic") != nil {
		panic("as asked")
	}
	h <- served{b, tx}
}

// door is an open sipside under test.
type door struct {
	*Endpoints
	requests handler
	log      *logBuffer
	trace    *traceBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

type traceBuffer struct {
	mu   sync.Mutex
	seen []string
}

func (b *traceBuffer) add(m transaction.Traced) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, _, _ := strings.Cut(string(m.Data), "\r\n")
	b.seen = append(b.seen, fmt.Sprintf("%v %s %s [%s] %s", m.Sent, m.Transport, m.Remote, m.CallID, first))
}

func (b *traceBuffer) has(s string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.seen {
		if strings.Contains(line, s) {
			return true
		}
	}
	return false
}

// testLimits are the defaults with times that a test can wait for.
func testLimits() limits {
	l := defaultLimits()
	l.linger, l.names = 300*time.Millisecond, 50*time.Millisecond
	l.dial, l.lookUp = patience/2, patience/2 // a busy machine is slow, too
	return l
}

// openDoor serves a configuration until the test ends, and checks that nothing is left running.
func openDoor(t *testing.T, cfg Config, lim limits) *door {
	t.Helper()
	d := &door{requests: make(handler, 1024), log: &logBuffer{}, trace: &traceBuffer{}}
	cfg.Log = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Trace = d.trace.add
	if len(cfg.Listen) == 0 {
		cfg.Listen = []Listen{{Network: "udp", Addr: anyPort}, {Network: "tcp", Addr: anyPort}}
	}
	e, err := open(cfg, lim)
	if err != nil {
		t.Fatal(err)
	}
	d.Endpoints = e
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(context.Background(), d.requests) }()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := receive(t, "Serve ends after Close", ended); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return d
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

func uri(t *testing.T, text string) sip.Uri {
	t.Helper()
	var u sip.Uri
	if err := sip.ParseUri(text, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// trunk is a configuration with one trunk.
func trunk(t *testing.T, to string) Config {
	return Config{Trunks: []TrunkConfig{{Name: "pbx", URI: uri(t, to)}}}
}

// datagramPeer is a SIP peer on a UDP socket of its own.
type datagramPeer struct {
	t    *testing.T
	sock *net.UDPConn
	at   netip.AddrPort
	last string // that was read
}

func newDatagramPeer(t *testing.T, ip string) *datagramPeer {
	t.Helper()
	sock, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sock.Close() })
	return &datagramPeer{t: t, sock: sock, at: sock.LocalAddr().(*net.UDPAddr).AddrPort()}
}

func (p *datagramPeer) send(to netip.AddrPort, text string) {
	p.t.Helper()
	if _, err := p.sock.WriteToUDPAddrPort([]byte(text), to); err != nil {
		p.t.Fatal(err)
	}
}

// read gives the next message and where it came from; what is the last one again, for the machine is busy, is passed over.
func (p *datagramPeer) read() (text string, from netip.AddrPort) {
	p.t.Helper()
	for text = p.last; text == p.last; {
		text, from = p.any()
	}
	p.last = text
	return text, from
}

// any is read, but for that repetitions count.
func (p *datagramPeer) any() (string, netip.AddrPort) {
	p.t.Helper()
	buf := make([]byte, maxDatagram)
	_ = p.sock.SetReadDeadline(time.Now().Add(patience))
	n, from, err := p.sock.ReadFromUDPAddrPort(buf)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(buf[:n]), from
}

// streamPeer is one connection of a SIP peer.
type streamPeer struct {
	t    *testing.T
	sock net.Conn
	in   *bufio.Reader
}

func newStreamPeer(t *testing.T, sock net.Conn) *streamPeer {
	t.Helper()
	t.Cleanup(func() { _ = sock.Close() })
	return &streamPeer{t, sock, bufio.NewReader(sock)}
}

func dialDoor(t *testing.T, from string, to netip.AddrPort) *streamPeer {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	sock, err := dialer.Dial("tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	return newStreamPeer(t, sock)
}

func (p *streamPeer) send(text string) {
	p.t.Helper()
	if _, err := p.sock.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// read gives the next message.
func (p *streamPeer) read() string {
	p.t.Helper()
	text, err := p.tryRead()
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func (p *streamPeer) tryRead() (string, error) {
	_ = p.sock.SetReadDeadline(time.Now().Add(patience))
	var head strings.Builder
	length := 0
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		head.WriteString(line)
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(p.in, body); err != nil {
		return "", err
	}
	return head.String() + string(body), nil
}

// ended waits until the door has closed the connection, whatever it sends before.
func (p *streamPeer) ended() {
	p.t.Helper()
	_ = p.sock.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, p.in)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		p.t.Fatal("in vain: the door closes the connection")
	}
}

// listener is where a streamPeer is dialled.
type streamListenerPeer struct {
	t  *testing.T
	l  net.Listener
	at netip.AddrPort
}

func listenStream(t *testing.T, at string) *streamListenerPeer {
	t.Helper()
	l, err := tryListen(t, netip.MustParseAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tryListen(t *testing.T, at netip.AddrPort) (*streamListenerPeer, error) {
	t.Helper()
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = l.Close() })
	return &streamListenerPeer{t, l, l.Addr().(*net.TCPAddr).AddrPort()}, nil
}

func (p *streamListenerPeer) accept() *streamPeer {
	p.t.Helper()
	_ = p.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	sock, err := p.l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	return newStreamPeer(p.t, sock)
}

// wire is a request of a peer.
func wire(method, via, extra, body string) string {
	return fmt.Sprintf("%s sip:tandem@127.0.0.1 SIP/2.0\r\nVia: %s\r\nFrom: <sip:bob@pbx>;tag=f\r\nTo: <sip:alice@tandem>\r\n"+
		"Call-ID: call-%s\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\n%sContent-Length: %d\r\n\r\n%s",
		method, via, method, method, extra, len(body), body)
}

// answerTo is a response to a request as text.
func answerTo(t *testing.T, request string, status int, reason string) string {
	t.Helper()
	msg, err := transaction.Parse([]byte(request))
	if err != nil {
		t.Fatalf("%v in %s", err, request)
	}
	res := transaction.NewResponse(msg.Message.(*sip.Request), status, reason)
	if !res.To().Params.Has("tag") {
		res.To().Params.Add("tag", "peer")
	}
	return string(transaction.Append(nil, transaction.Message{Message: res}))
}

// request is one of ours to a backend, with extra headers and a body.
func request(t *testing.T, method sip.RequestMethod, to string, body string, extra ...sip.Header) transaction.Outbound {
	t.Helper()
	req := sip.NewRequest(method, uri(t, to))
	callID := sip.CallIDHeader("ours")
	for _, h := range append([]sip.Header{
		&sip.FromHeader{Address: uri(t, "sip:alice@tandem"), Params: sip.HeaderParams{{K: "tag", V: "a"}}},
		&sip.ToHeader{Address: uri(t, to)},
		&callID, &sip.CSeqHeader{SeqNo: 1, MethodName: method},
	}, extra...) {
		req.AppendHeader(h)
	}
	req.SetBody([]byte(body))
	return transaction.Outbound{Request: req}
}

// events collects what a client transaction says.
func events() (chan transaction.Event, func(transaction.Event)) {
	c := make(chan transaction.Event, 16)
	return c, func(e transaction.Event) { c <- e }
}

// header gives a header's value in a message's text.
func header(text, name string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}
