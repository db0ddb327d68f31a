// Package turn is a STUN and TURN server (RFC 8489, RFC 8656) for browsers whose network lets nothing else through. pion/turn speaks
// the protocol; whom a relay reaches, who may use it and how much is decided here.
package turn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"
)

// Listen is a transport on which clients come.
type Listen struct {
	Network string         // "udp", "tcp", "tls", "dtls"
	Addr    netip.AddrPort // port 0: any
	Conn    PacketConn     // of "udp": open already, by the Plane, which takes ChannelData out; nil: Addr is opened
}

// Config describes a server; it does not change while that runs.
type Config struct {
	Listen   []Listen
	TLS      *tls.Config                                           // of "tls" and "dtls"
	Realm    string                                                // default "tandem"
	Secrets  []string                                              // of time-limited credentials (Issue); any is taken
	Users    func(username, realm string) (key []byte, found bool) // long-term users: MD5 of user:realm:password; nil: none
	Relay    []Address                                             // of allocations, one of each family
	LowPort  uint16                                                // of allocations; default 49152
	HighPort uint16                                                // default 65535
	Peers    Peers
	Plane    Plane // has the relays of clients by its Listen.Conns, and all where nobody but Peers.Media is open; nil: each is a socket here

	Virtual []Ports // of the Plane's relays, which no socket has; default VirtualPorts

	Quota Quota
	Guard Guard // nil: nobody is kept out
	Log   *slog.Logger

	now func() time.Time
}

// Guard says who is kept out, whatever else would let it in. Its methods are safe for concurrent use and do not wait.
type Guard interface {
	// Connection says whether an address may connect, before anything is read of it.
	Connection(from netip.Addr) bool
	// Banned says whether an address is kept out, or with a user name that one there.
	Banned(from netip.Addr, user string) bool
	// Wrong counts credentials of a user that were wrong. transport is a Listen.Network; the source of "udp" may be anybody's.
	Wrong(from netip.Addr, user, transport string)
}

// Server is a running server. Its methods are safe for concurrent use.
type Server struct {
	// static after construction
	cfg       Config
	quota     Quota
	policy    *policy
	ledger    *ledger
	count     *counters
	start     time.Time
	limits    [2]limit // of all relays together: out, in
	virtuals  virtuals
	onlyFour  bool // there are no relays of IPv6
	logs      logging.LoggerFactory
	listeners []net.Listener
	servers   []*pion.Server // of UDP
	at        []Listen
	running   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	conns  map[net.Conn]struct{}
	relays map[*relay]struct{}
}

// Open listens and serves until Close.
func Open(cfg Config) (*Server, error) {
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.Realm == "" {
		cfg.Realm = "tandem"
	}
	if cfg.LowPort == 0 {
		cfg.LowPort, cfg.HighPort = 49152, 65535
	}
	if len(cfg.Virtual) == 0 {
		cfg.Virtual = VirtualPorts()
	}
	s := newServer(cfg)
	_, four := s.address("udp4")
	_, six := s.address("udp6")
	s.onlyFour = four && !six
	for _, l := range cfg.Listen {
		if err := s.listen(l); err != nil {
			s.Close()
			return nil, fmt.Errorf("turn: %s://%s: %w", l.Network, l.Addr, err)
		}
	}
	return s, nil
}

// Ports are those from Low to High.
type Ports struct{ Low, High uint16 }

// VirtualPorts are those of relays without a socket: above and below what Linux gives sockets by itself (32768 to 60999).
func VirtualPorts() []Ports { return []Ports{{61000, 65535}, {30000, 32767}} }

func newServer(cfg Config) *Server {
	quota := cfg.Quota.withDefaults()
	s := &Server{
		cfg: cfg, quota: quota, policy: newPolicy(cfg.Peers), ledger: newLedger(quota, cfg.now), count: newCounters(), start: time.Now(),
		virtuals: virtuals{taken: make(map[netip.AddrPort]struct{})},
		logs:     newLogs(), conns: make(map[net.Conn]struct{}), relays: make(map[*relay]struct{}),
	}
	for i := range s.limits {
		s.limits[i].set(quota.TotalBandwidth)
	}
	return s
}

// clock is the time in ns for limits.
func (s *Server) clock() int64 { return int64(time.Since(s.start)) }

// newLogs silences pion: any stranger can cause what it would log, and Stats counts that.
func newLogs() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return f
}

// family narrows a network to the family of an address; [::] takes both.
func family(network string, addr netip.Addr) string {
	if addr.Unmap().Is4() {
		return network + "4"
	}
	if addr.IsUnspecified() {
		return network
	}
	return network + "6"
}

func (s *Server) listen(l Listen) error {
	if l.Network == "udp" {
		return s.listenUDP(l)
	}
	listener, err := s.listener(l)
	if err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.listeners = append(s.listeners, listener)
	s.at = append(s.at, Listen{Network: l.Network, Addr: at})
	s.running.Go(func() { s.accept(listener, l.Network) })
	return nil
}

func (s *Server) listenUDP(l Listen) error {
	conn := l.Conn
	if conn == nil {
		var err error
		if conn, err = net.ListenUDP(family("udp", l.Addr.Addr()), net.UDPAddrFromAddrPort(l.Addr)); err != nil {
			return err
		}
	}
	server, err := s.newClient(conn, nil).serve(nil)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	s.servers = append(s.servers, server)
	s.at = append(s.at, Listen{Network: l.Network, Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()})
	return nil
}

// listener opens a listener of connections.
func (s *Server) listener(l Listen) (net.Listener, error) {
	if l.Network != "tcp" && s.cfg.TLS == nil {
		return nil, errors.New("there is no certificate")
	}
	if l.Network == "dtls" {
		return s.listenDTLS(l.Addr)
	}
	return net.Listen(family("tcp", l.Addr.Addr()), l.Addr.String())
}

func (s *Server) listenDTLS(at netip.AddrPort) (net.Listener, error) {
	options := []dtls.ServerOption{dtls.WithLoggerFactory(s.logs)}
	if len(s.cfg.TLS.Certificates) > 0 {
		options = append(options, dtls.WithCertificates(s.cfg.TLS.Certificates...))
	} else {
		options = append(options, dtls.WithGetCertificate(func(hello *dtls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.cfg.TLS.GetCertificate(&tls.ClientHelloInfo{ServerName: hello.ServerName})
		}))
	}
	return dtls.ListenWithOptions(family("udp", at.Addr()), net.UDPAddrFromAddrPort(at), options...)
}

func (s *Server) accept(l net.Listener, network string) {
	for {
		conn, err := l.Accept()
		switch {
		case s.ended():
			if err == nil {
				conn.Close()
			}
			return
		case err != nil:
			s.cfg.Log.Warn("TURN connection not accepted", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		if s.cfg.Guard != nil && !s.cfg.Guard.Connection(addrPortOf(conn.RemoteAddr()).Addr()) {
			s.count.refuse(RefusedBanned)
			conn.Close()
			continue
		}
		if network == "tls" {
			conn = tls.Server(conn, s.cfg.TLS)
		}
		s.ServeConn(conn, nil)
	}
}

func (s *Server) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// ServeConn serves a client's connection, of which the bytes of first have been read already, and closes it in the end. It does not wait.
// The caller has checked whether the address may connect.
func (s *Server) ServeConn(conn net.Conn, first []byte) {
	if !s.admit(conn) {
		s.count.refuse(RefusedBusy)
		conn.Close()
		return
	}
	go s.serve(conn, first)
}

// acceptPause keeps a process without file descriptors from spinning.
const acceptPause = 50 * time.Millisecond

// admit keeps a connection for Close, which waits for its serve; false where there are too many: each allocation has one at most,
// and some come and go.
func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= 2*s.quota.Total+100 {
		return false
	}
	s.conns[conn] = struct{}{}
	s.count.connections.Add(1)
	s.running.Add(1)
	return true
}

// serve is one connection from its handshake to its end.
func (s *Server) serve(conn net.Conn, first []byte) {
	defer s.running.Done()
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		s.count.connections.Add(-1)
	}()
	if secure, ok := conn.(interface{ HandshakeContext(context.Context) error }); ok {
		ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
		err := secure.HandshakeContext(ctx)
		cancel()
		if err != nil {
			return
		}
	}
	var packets net.PacketConn = newStream(conn, first)
	if _, keeps := conn.(*dtls.Conn); keeps {
		packets = datagrams{conn}
	}
	ended := make(chan struct{})
	if _, err := s.newClient(packets, conn).serve(func() { close(ended) }); err != nil {
		return
	}
	<-ended
}

// handshakeLimit bounds TLS's and DTLS's handshakes.
const handshakeLimit = 10 * time.Second

// Addrs are the listeners in the order of the configuration, port 0 resolved.
func (s *Server) Addrs() []Listen { return s.at }

// Issue makes a credential for a user by the first secret; the zero Credential where there is none.
func (s *Server) Issue(user string, life time.Duration) Credential {
	if len(s.cfg.Secrets) == 0 {
		return Credential{}
	}
	return Issue(s.cfg.Secrets[0], user, s.cfg.now().Add(life))
}

// Close ends listeners, connections and allocations. Safe to call twice.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		go conn.Close() // TLS may wait for a client that does not read
	}
	s.mu.Unlock()
	for _, l := range s.listeners {
		l.Close()
	}
	for _, server := range s.servers {
		server.Close() // fails only where it was closed
	}
	s.running.Wait()
}
