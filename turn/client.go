package turn

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
)

// Time limits of a client's connection: until it has an allocation, and between its packets from then on (an allocation has to be
// refreshed within the hour).
const (
	idleBefore = 30 * time.Second
	idleAfter  = time.Hour + time.Minute
)

// client is the transport on which clients come: a UDP socket with many, or a connection of one. pion reads and handles one message
// after the other on one goroutine; that is why the message in hand is known when pion asks about it. pion's questions lack what an
// answer needs: the signature to choose between secrets, and a peer's port.
type client struct {
	net.PacketConn
	packets PacketConn // the same for UDP; nil: a connection
	server  *Server
	stream  net.Conn // nil for UDP
	network string   // as Listen.Network
	relays  *relays

	// owned by the reading goroutine
	message stun.Message
	isSTUN  bool
	denied  bool           // the request in hand asks for a peer that is not open
	from    netip.AddrPort // who sent it
	reply   netip.AddrPort // the same, as the socket names it
	refusal stun.ErrorCode // what the request in hand is refused by; 0: pion's code
	key     []byte         // by which it was signed; nil: it is not known whose it is
}

func (s *Server) newClient(conn net.PacketConn, stream net.Conn) *client {
	c := &client{PacketConn: conn, server: s, stream: stream, network: networkOf(stream)}
	c.packets, _ = conn.(PacketConn)
	c.relays = &relays{server: s, client: c, byClient: make(map[netip.AddrPort]*relay)}
	return c
}

// networkOf is the Listen.Network by which a connection came; nil is none.
func networkOf(stream net.Conn) string {
	switch stream.(type) {
	case nil:
		return "udp"
	case *tls.Conn:
		return "tls"
	case *dtls.Conn:
		return "dtls"
	}
	return "tcp"
}

// serve hands the transport to pion, which reads it until it is closed. done is called then.
func (c *client) serve(done func()) (*pion.Server, error) {
	s := c.server
	conn := net.PacketConn(c)
	if done != nil {
		conn = &ending{client: c, done: done}
	}
	return pion.NewServer(pion.ServerConfig{
		Realm:      s.cfg.Realm,
		InboundMTU: mtu,
		// Who asks for no family gets the one by which it came, where there are relays of it (RFC 8656 §7.2 wants IPv4).
		StrictAddressFamily: s.onlyFour,
		AuthHandler:         c.authenticate,
		QuotaHandler:        c.quota,
		EventHandler:        c.events(),
		LoggerFactory:       s.logs,
		PacketConnConfigs: []pion.PacketConnConfig{{
			PacketConn: conn, RelayAddressGenerator: c.relays, PermissionHandler: c.permit,
		}},
	})
}

// ReadFrom implements net.PacketConn, and keeps the message in hand. Packets of channels never come out of it, nor what somebody sends
// who is banned: a connection ends with that, a datagram gets no answer. What an allocation has open goes on until it is to be refreshed.
func (c *client) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, err := c.read(b)
		if err != nil {
			return n, nil, err
		}
		if n > 0 && c.toPeer(b[:n], c.from) {
			continue
		}
		if c.server.bans(c.from.Addr(), "") {
			if c.stream != nil {
				return 0, nil, net.ErrClosed
			}
			continue
		}
		c.isSTUN, c.denied, c.refusal, c.key = false, false, 0, nil
		if n > 0 && b[0] < 4 { // RFC 7983: the rest is ChannelData
			c.message.Raw = append(c.message.Raw[:0], b[:n]...)
			c.isSTUN = c.message.Decode() == nil
		}
		if c.packets != nil {
			return n, net.UDPAddrFromAddrPort(c.reply), nil
		}
		return n, c.stream.RemoteAddr(), nil
	}
}

// read takes a packet in, and says who sent it.
func (c *client) read(b []byte) (n int, err error) {
	if c.packets != nil {
		n, c.reply, err = c.packets.ReadFromUDPAddrPort(b)
		c.from = netip.AddrPortFrom(plain(c.reply.Addr()), c.reply.Port())
		return n, err
	}
	if c.stream != nil {
		idle := idleBefore
		if c.relays.some() {
			idle = idleAfter
		}
		c.stream.SetReadDeadline(time.Now().Add(idle))
		c.from = addrPortOf(c.stream.RemoteAddr())
	}
	n, _, err = c.PacketConn.ReadFrom(b)
	return n, err
}

// The types of messages of ours that WriteTo looks at; nothing that a peer sent begins like them.
const (
	allocateSuccess = 0x0103
	refreshSuccess  = 0x0104
	anyError        = 0x0110
)

// WriteTo implements net.PacketConn. It learns from a success until when the allocation runs, and corrects errors.
func (c *client) WriteTo(b []byte, addr net.Addr) (int, error) {
	if len(b) < 20 || b[0] != 1 {
		return c.PacketConn.WriteTo(b, addr)
	}
	kind := binary.BigEndian.Uint16(b)
	if kind&anyError == anyError {
		corrected, err := c.correct(b)
		if err != nil {
			return 0, err
		}
		if _, err := c.PacketConn.WriteTo(corrected, addr); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	if kind == allocateSuccess || kind == refreshSuccess {
		var m stun.Message
		if stun.Decode(b, &m) == nil {
			if life, err := m.Get(stun.AttrLifetime); err == nil && len(life) == 4 {
				c.relays.extend(addrPortOf(addr), time.Duration(binary.BigEndian.Uint32(life))*time.Second)
			}
		}
	}
	return c.PacketConn.WriteTo(b, addr)
}

// authenticate is pion's AuthHandler.
func (c *client) authenticate(r *pion.RequestAttributes) (user string, key []byte, ok bool) {
	if !c.isSTUN {
		return "", nil, false
	}
	if c.server.bans(c.from.Addr(), r.Username) {
		c.refusal = stun.CodeUnauthorized
		return "", nil, false
	}
	user, key, refused := c.server.authenticate(&c.message, r.Username, r.Realm, r.Method)
	if refused != "" {
		c.server.count.refuse(refused)
		if c.server.cfg.Guard != nil && (refused == RefusedForged || refused == RefusedUser) {
			c.server.cfg.Guard.Wrong(c.from.Addr(), r.Username, c.network)
		}
		c.refusal = stun.CodeUnauthorized
		return "", nil, false
	}
	c.key = key
	if c.refusal, refused = c.unfit(r.Method, user); c.refusal != 0 {
		c.server.count.refuse(refused)
		return "", nil, false // pion answers, and correct says what
	}
	c.denied = r.Method == stun.MethodChannelBind && c.bindsDenied()
	return user, key, true
}

// bans says whether an address is kept out, or a user there, and counts that.
func (s *Server) bans(from netip.Addr, user string) bool {
	if s.cfg.Guard == nil || !s.cfg.Guard.Banned(from, user) {
		return false
	}
	s.count.refuse(RefusedBanned)
	return true
}

// bindsDenied says whether the ChannelBind in hand is for a port that is not open: a permission's rule knows addresses only.
func (c *client) bindsDenied() bool {
	var peer stun.XORMappedAddress
	if peer.GetFromAs(&c.message, stun.AttrXORPeerAddress) != nil {
		return false // pion answers 400
	}
	addr, ok := netip.AddrFromSlice(peer.IP)
	if !ok {
		return true
	}
	_, open := c.server.policy.allows(netip.AddrPortFrom(addr, uint16(peer.Port)))
	return !open
}

// permit is pion's PermissionHandler.
func (c *client) permit(from net.Addr, peer net.IP) bool {
	if !c.relays.steady(addrPortOf(from)) {
		c.refuse(RefusedEnding, stun.CodeForbidden)
		return false
	}
	addr, ok := netip.AddrFromSlice(peer)
	if !ok || c.denied || !c.server.policy.allowsSome(addr) {
		c.refuse(RefusedPeer, stun.CodeForbidden)
		return false
	}
	return true
}

// quota is pion's QuotaHandler.
func (c *client) quota(user, _ string, source net.Addr) bool {
	why := c.server.ledger.ask(user, addrPortOf(source).Addr())
	if why != "" {
		c.refuse(why, exhausted(why))
	}
	return why == ""
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return plain(addr)
}

func addrPortOf(a net.Addr) netip.AddrPort {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		at = a.AddrPort()
	case *net.TCPAddr:
		at = a.AddrPort()
	}
	return netip.AddrPortFrom(plain(at.Addr()), at.Port())
}

// ending tells when a connection's reading has ended, by which pion ends its allocations.
type ending struct {
	*client
	done func()
}

// ReadFrom implements net.PacketConn.
func (e *ending) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := e.client.ReadFrom(b)
	if err != nil {
		e.done()
	}
	return n, addr, err
}
