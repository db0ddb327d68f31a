package turn

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
)

// talker is a client that says what a library would not.
type talker struct {
	t        *testing.T
	conn     net.PacketConn
	to       net.Addr
	nonce    stun.Setter
	password string
}

func newTalker(t *testing.T, s *Server) *talker {
	return &talker{t: t, conn: dial(t, s, "udp"), to: net.UDPAddrFromAddrPort(s.Addrs()[0].Addr), nonce: stun.NewNonce("nobody's"), password: "wonder"}
}

// ask sends a request as alice and gives the answer with its error code, 0 for a success. A nonce that comes with it is the next one;
// what comes without is signed (RFC 8489 §9.2.4).
func (c *talker) ask(method stun.Method, attributes ...stun.Setter) (answer *stun.Message, code stun.ErrorCode) {
	c.t.Helper()
	setters := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	setters = append(setters, stun.NewUsername("alice"), stun.NewRealm("tandem"), c.nonce, stun.MessageIntegrity(pion.GenerateAuthKey("alice", "tandem", c.password)))
	request, err := stun.Build(setters...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.conn.SetDeadline(time.Now().Add(time.Minute))
	b := make([]byte, mtu)
	if _, err := c.conn.WriteTo(request.Raw, c.to); err != nil {
		c.t.Fatal(err)
	}
	n, _, err := c.conn.ReadFrom(b)
	answer = &stun.Message{Raw: b[:n]}
	if err != nil || answer.Decode() != nil || answer.TransactionID != request.TransactionID {
		c.t.Fatal(err, b[:n])
	}
	var failed stun.ErrorCodeAttribute
	if failed.GetFrom(answer) == nil {
		code = failed.Code
	}
	var fresh stun.Nonce
	if fresh.GetFrom(answer) == nil {
		c.nonce = fresh
	} else if err := stun.MessageIntegrity(pion.GenerateAuthKey("alice", "tandem", c.password)).Check(answer); err != nil {
		c.t.Errorf("the answer %v is not signed: %v", answer, err)
	}
	return answer, code
}

func attribute(kind stun.AttrType, value ...byte) stun.Setter {
	return stun.RawAttribute{Type: kind, Value: value}
}

type peerAddress net.UDPAddr

// AddTo implements stun.Setter.
func (p *peerAddress) AddTo(m *stun.Message) error {
	return stun.XORMappedAddress{IP: p.IP, Port: p.Port}.AddToAs(m, stun.AttrXORPeerAddress)
}

var udpTransport = attribute(stun.AttrRequestedTransport, 17, 0, 0, 0)

// A nonce that is not the server's, or no more, is answered by 438 with one that is good.
func TestNonces(t *testing.T) {
	t.Parallel()
	c := newTalker(t, open(t, nil))
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != stun.CodeStaleNonce {
		t.Fatalf("a strange nonce: %d", code)
	}
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != 0 {
		t.Fatalf("the fresh nonce: %d", code)
	}
}

// Whoever signs wrongly is asked for credentials again (RFC 8489 §9.2.4), by a nonce that is good.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	c := newTalker(t, open(t, nil))
	c.password = "thunder"
	c.ask(stun.MethodAllocate, udpTransport)
	answer, code := c.ask(stun.MethodAllocate, udpTransport)
	var realm stun.Realm
	if code != stun.CodeUnauthorized || realm.GetFrom(answer) != nil || realm.String() != "tandem" || answer.Contains(stun.AttrMessageIntegrity) {
		t.Fatal(answer)
	}
	c.password = "wonder"
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != 0 {
		t.Errorf("the right password after it: %d", code)
	}
}

// A user's own quota is told from the server's (RFC 8656 §19).
func TestQuotasAreToldApart(t *testing.T) {
	t.Parallel()
	for want, quota := range map[stun.ErrorCode]Quota{
		stun.CodeAllocQuotaReached: {User: 1}, stun.CodeInsufficientCapacity: {Total: 1},
	} {
		s := open(t, func(c *Config) { c.Quota = quota })
		for _, want := range []stun.ErrorCode{0, want} {
			c := newTalker(t, s)
			c.ask(stun.MethodAllocate, udpTransport)
			if _, code := c.ask(stun.MethodAllocate, udpTransport); code != want {
				t.Errorf("%+v: %d, want %d", quota, code, want)
			}
		}
	}
}

// Channels keep to address and port; what is refused is refused by 403 (RFC 8656 §12.2), and does not end what there is.
func TestChannelsThatAreRefused(t *testing.T) {
	t.Parallel()
	media, secret := listenPeer(t), listenPeer(t)
	s := open(t, func(c *Config) { c.Peers.Media = []Media{same(media.LocalAddr().String())} })
	c := newTalker(t, s)
	c.ask(stun.MethodAllocate, udpTransport)
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != 0 {
		t.Fatal(code)
	}
	bind := func(number byte, to net.Addr) stun.ErrorCode {
		at := peerAddress(*to.(*net.UDPAddr))
		_, code := c.ask(stun.MethodChannelBind, attribute(stun.AttrChannelNumber, 0x40, number, 0, 0), &at)
		return code
	}
	for name, peer := range map[string]*net.UDPAddr{
		"another port": secret.LocalAddr().(*net.UDPAddr), "loopback": {IP: net.IPv4(127, 0, 0, 2), Port: 80}, "RFC 1918": {IP: net.IPv4(10, 0, 0, 1), Port: 80},
		"metadata": {IP: net.IPv4(169, 254, 169, 254), Port: 80},
	} {
		if code := bind(9, peer); code != stun.CodeForbidden {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code := bind(0, media.LocalAddr()); code != 0 {
		t.Errorf("the media: %d", code)
	}
	if code := bind(1, media.LocalAddr()); code != stun.CodeBadRequest {
		t.Errorf("the media on a second channel: %d", code)
	}
	if got := s.Stats(); got.Refused[RefusedPeer] != 4 || got.Allocations != 1 {
		t.Errorf("%+v", got)
	}
}

// Transports and families that are not offered are told from what is malformed.
func TestAllocationsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attributes []stun.Setter
		code       stun.ErrorCode
	}{
		"no transport":   {nil, stun.CodeBadRequest},
		"SCTP":           {[]stun.Setter{attribute(stun.AttrRequestedTransport, 132, 0, 0, 0)}, stun.CodeUnsupportedTransProto},
		"a third family": {[]stun.Setter{udpTransport, attribute(stun.AttrRequestedAddressFamily, 3, 0, 0, 0)}, stun.CodeAddrFamilyNotSupported},
		"TCP":            {[]stun.Setter{attribute(stun.AttrRequestedTransport, 6, 0, 0, 0)}, stun.CodeUnsupportedTransProto},
		"DF":             {[]stun.Setter{udpTransport, attribute(stun.AttrDontFragment)}, stun.CodeUnknownAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, nil)
			c := newTalker(t, s)
			c.ask(stun.MethodAllocate, udpTransport)
			if _, code := c.ask(stun.MethodAllocate, test.attributes...); code != test.code {
				t.Errorf("%d", code)
			}
			if s.Stats().Allocations != 0 {
				t.Error("there is an allocation")
			}
		})
	}
}

// An allocation ends with its lifetime, and is not refreshed after.
func TestRefresh(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	c := newTalker(t, s)
	c.ask(stun.MethodAllocate, udpTransport)
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != 0 {
		t.Fatal(code)
	}
	answer, code := c.ask(stun.MethodRefresh, attribute(stun.AttrLifetime, 0, 0, 0, 1))
	if life, err := answer.Get(stun.AttrLifetime); code != 0 || err != nil || life[3] != 1 {
		t.Fatal(code, life, err)
	}
	until(t, "the allocation ends", func() bool { return s.Stats().Allocations == 0 })
	at := peerAddress{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	before := s.Stats().Refused[RefusedEnding]
	if s.newClient(c.conn, nil).permit(c.conn.LocalAddr(), at.IP) || s.Stats().Refused[RefusedEnding] != before+1 {
		t.Error("a permission without an allocation")
	}
}

// Nothing new begins around an allocation's end, whoever sets that.
func TestEndings(t *testing.T) {
	t.Parallel()
	client := netip.MustParseAddrPort("192.0.2.1:1")
	for name, test := range map[string]struct {
		ends, until time.Duration
		steady      bool
	}{
		"far off":             {time.Minute, time.Hour, true},
		"the refresh ends":    {endingWindow / 2, time.Hour, false},
		"it has just ended":   {-endingWindow / 2, time.Hour, false},
		"the lifetime's end":  {time.Minute, endingWindow / 2, false},
		"not opened yet":      {0, time.Hour, true},
		"not another's, none": {time.Minute, 0, false},
	} {
		r := &relays{byClient: map[netip.AddrPort]*relay{}}
		if test.until != 0 {
			r.byClient[client] = &relay{until: time.Now().Add(test.until)}
		}
		if test.ends != 0 {
			r.extend(client, test.ends)
		}
		if got := r.steady(client); got != test.steady {
			t.Errorf("%s: %v", name, got)
		}
	}
}
