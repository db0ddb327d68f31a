package turn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	pion "github.com/pion/turn/v5"
)

// Address is where allocations of one family are.
type Address struct {
	Listen    netip.Addr // of this machine
	Advertise netip.Addr // that peers see; the zero Addr: Listen
}

// tries is how many random ports are tried before a relay is said to be full.
const tries = 20

// relay is the socket of one allocation, or its place in the plane. It enforces address and port of every packet, in both directions: a
// permission of TURN is for an address only.
type relay struct {
	PacketConn
	at      netip.AddrPort // as peers see it
	planned bool           // the plane has it
	vets    bool           // what comes out of it is to be looked at: it may be anybody's
	server  *Server
	group   *relays
	from    netip.AddrPort // the client
	reply   netip.AddrPort // the same, as the clients' socket names it
	user    string
	until   time.Time // Quota.Lifetime's end
	ends    time.Time // guarded by relays.mu: the client's last refresh
	limits  [2]limit  // out, in
	over    *time.Timer
	once    sync.Once

	mu       sync.Mutex                // serialises changes of channels
	channels atomic.Pointer[[]channel] // an immutable list

	packets atomic.Uint64 // relayed in both directions
	bytes   atomic.Uint64
}

var errQuota = errors.New("turn: the quota is reached")

// relays opens relays for the allocations of one transport of clients.
type relays struct {
	server *Server
	client *client

	mu       sync.Mutex // guards what follows
	byClient map[netip.AddrPort]*relay
}

func (r *relays) some() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byClient) > 0
}

// of gives a client's relay; nil where it has none.
func (r *relays) of(client netip.AddrPort) *relay {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byClient[client]
}

// extend notes that a client's allocation runs for so long from now on.
func (r *relays) extend(client netip.AddrPort, life time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.byClient[client]; one != nil {
		one.ends = time.Now().Add(life)
	}
}

// endingWindow is how long before and after an allocation's end it gets no new permissions. pion ends an allocation on a timer's
// goroutine, and would stop the timer of a permission that has none yet: the process would be gone.
const endingWindow = time.Second

// steady says whether a client has an allocation that does not end just now.
func (r *relays) steady(client netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.byClient[client]
	if one == nil {
		return false
	}
	near := func(t time.Time) bool { return !t.IsZero() && time.Until(t).Abs() < endingWindow }
	return !near(one.ends) && !near(one.until)
}

var _ pion.RelayAddressGenerator = (*relays)(nil)

// Validate implements pion's RelayAddressGenerator.
func (r *relays) Validate() error { return nil }

// AllocatePacketConn implements pion's RelayAddressGenerator: a socket of the family that was asked for.
func (r *relays) AllocatePacketConn(c pion.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	s := r.server
	at, found := s.address(c.Network)
	if !found {
		s.count.refuse(RefusedSocket)
		return nil, nil, fmt.Errorf("turn: no relay address for %s", c.Network)
	}
	if why := s.ledger.take(c.UserID); why != "" {
		r.client.refuse(why, exhausted(why))
		return nil, nil, errQuota
	}
	out := &relay{server: s, group: r, from: r.client.from, reply: r.client.reply, user: c.UserID, until: time.Now().Add(s.quota.Lifetime)}
	for i := range out.limits {
		out.limits[i].set(s.quota.Bandwidth)
	}
	if err := out.open(c.Network, at, c.RequestedPort); err != nil {
		s.ledger.give(c.UserID)
		s.count.refuse(RefusedSocket)
		return nil, nil, err
	}
	out.over = time.AfterFunc(s.quota.Lifetime, func() { out.PacketConn.Close() }) // pion then ends the allocation, and closes out
	r.enter(out)
	return out, net.UDPAddrFromAddrPort(out.at), nil
}

// enter keeps a relay, unless pion only looks for a port that is free (EVEN-PORT): then it names no user.
func (r *relays) enter(one *relay) {
	if one.user == "" {
		return
	}
	r.mu.Lock()
	r.byClient[one.from] = one
	r.mu.Unlock()
	r.server.enter(one)
}

// AllocateListener implements pion's RelayAddressGenerator: relays to peers by TCP (RFC 6062) are not offered.
func (r *relays) AllocateListener(pion.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	r.server.count.refuse(RefusedSocket)
	return nil, nil, errors.ErrUnsupported
}

// AllocateConn implements pion's RelayAddressGenerator as AllocateListener does.
func (r *relays) AllocateConn(pion.AllocateConnConfig) (net.Conn, error) {
	r.server.count.refuse(RefusedSocket)
	return nil, errors.ErrUnsupported
}

// address is where relays of a network ("udp4", "udp6") are.
func (s *Server) address(network string) (Address, bool) {
	for _, a := range s.cfg.Relay {
		if plain(a.Listen).Is4() == (network == "udp4") {
			return a, true
		}
	}
	return Address{}, false
}

// bind opens a socket in the range of ports; port 0 is a random one.
func (s *Server) bind(network string, addr netip.Addr, port int) (*net.UDPConn, error) {
	low, high := int(s.cfg.LowPort), int(s.cfg.HighPort)
	if port != 0 && (port < low || port > high) {
		return nil, fmt.Errorf("turn: the port %d is outside of the range", port)
	}
	var failed error
	for range tries {
		at := port
		if at == 0 {
			at = low + rand.IntN(high-low+1)
		}
		conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(at))))
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}

// WriteTo sends to a peer where that is allowed. What is not is dropped as if the network had lost it (RFC 8656 §11.2).
func (r *relay) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	peer := to.AddrPort()
	peer = netip.AddrPortFrom(plain(peer.Addr()), peer.Port())
	s := r.server
	target, open := s.policy.allows(peer)
	if !open {
		s.count.refuse(RefusedPacket)
		return len(b), nil
	}
	return r.send(b, peer, target)
}

// send writes a packet for a peer that is open, within the bandwidth.
func (r *relay) send(b []byte, peer, target netip.AddrPort) (int, error) {
	if r.planned {
		return r.WriteToUDPAddrPort(b, peer)
	}
	if !r.meter(false, len(b)) {
		return len(b), nil
	}
	return r.WriteToUDPAddrPort(b, target)
}

// ReadFrom gives what an allowed peer sent for whom no channel is bound; what others send is dropped.
func (r *relay) ReadFrom(b []byte) (int, net.Addr, error) {
	s := r.server
	for {
		n, peer, err := r.ReadFromUDPAddrPort(b[4 : len(b)-3]) // toClient's places
		if err != nil {
			return n, nil, err
		}
		if r.vets {
			var open bool
			if peer, open = s.policy.hears(netip.AddrPortFrom(plain(peer.Addr()), peer.Port())); !open {
				s.count.refuse(RefusedPacket)
				continue
			}
			if !r.meter(true, n) {
				continue
			}
		}
		if one := r.byPeer(peer); one != nil {
			r.toClient(b, n, one)
			continue
		}
		copy(b, b[4:4+n])
		return n, net.UDPAddrFromAddrPort(peer), nil
	}
}

// Close ends the relay and gives its place in the quota back. Safe to call twice.
func (r *relay) Close() error {
	r.once.Do(func() {
		r.over.Stop()
		r.PacketConn.Close()
		r.server.virtuals.give(r.at)
		r.server.ledger.give(r.user)
		r.group.mu.Lock()
		if r.group.byClient[r.from] == r {
			delete(r.group.byClient, r.from)
		}
		r.group.mu.Unlock()
		r.server.leave(r)
	})
	return nil
}
