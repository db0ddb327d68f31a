package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"
)

const (
	channel       = 0x4000
	channelHead   = 4
	askAgain      = 500 * time.Millisecond
	bindAgain     = 24   // checks between two refreshes of a channel: two minutes
	allocationFor = 3599 // seconds
)

// TURN is a server by which browsers send (RFC 8656), over UDP.
type TURN struct {
	Server                netip.AddrPort
	User, Password, Realm string
}

// turned is a session's allocation.
type turned struct {
	TURN
	to      unix.RawSockaddrInet4
	nonce   stun.Nonce
	answers chan *stun.Message
	checks  int // owned by the loop
}

// Through has the calls of the browser that it gives send by a TURN server.
func (b *Browser) Through(t TURN) *Browser {
	other := *b
	other.turn = &t
	return &other
}

// head is the room that ChannelData's header takes in front of what the browser sends.
func (s *Session) head() int {
	if s.turned.Load() == nil {
		return 0
	}
	return channelHead
}

// frame puts the header in front of size bytes, and says where they go to. b has room for it.
func (s *Session) frame(b []byte, size int) unix.RawSockaddrInet4 {
	t := s.turned.Load()
	if t == nil {
		return s.remote.addr
	}
	binary.BigEndian.PutUint16(b, channel)
	binary.BigEndian.PutUint16(b[2:], uint16(size))
	return t.to
}

// toGateway sends what the browser says beside its stream.
func (s *Session) toGateway(p []byte) error {
	b := append(make([]byte, s.head(), channelHead+len(p)), p...)
	to := s.frame(b, len(p))
	return s.generator.browsers.send(b, s.browserAddr(), to)
}

// unframed takes ChannelData off; nil where it is not the session's.
func (s *Session) unframed(p []byte) []byte {
	if s.turned.Load() == nil || len(p) < channelHead || binary.BigEndian.Uint16(p) != channel || int(binary.BigEndian.Uint16(p[2:])) != len(p)-channelHead {
		return nil
	}
	return p[channelHead:]
}

// allocate opens an allocation with a channel to the gateway; from then on everything goes by it.
func (s *Session) allocate(ctx context.Context, by TURN) error {
	t := &turned{TURN: by, to: rawAddr(by.Server), answers: make(chan *stun.Message, 8)}
	s.turning.Store(t)
	transport := stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}
	life := stun.RawAttribute{Type: stun.AttrLifetime, Value: binary.BigEndian.AppendUint32(nil, allocationFor)}
	if err := s.ask(ctx, t, stun.MethodAllocate, transport, life); err != nil {
		return err
	}
	if err := s.ask(ctx, t, stun.MethodChannelBind, s.binding()...); err != nil {
		return err
	}
	s.turned.Store(t)
	return nil
}

func (s *Session) binding() []stun.Setter {
	return []stun.Setter{stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{channel >> 8, 0, 0, 0}}, peer(addrPort(s.remote.addr))}
}

// rebind refreshes the channel where it is time to; called by the loop at each check.
func (s *Session) rebind() error {
	t := s.turned.Load()
	if t == nil {
		return nil
	}
	if t.checks++; t.checks%bindAgain != 0 {
		return nil
	}
	m, err := t.request(stun.MethodChannelBind, s.binding())
	if err != nil {
		return err
	}
	return s.generator.browsers.send(m.Raw, s.browserAddr(), t.to)
}

type peer netip.AddrPort

// AddTo implements stun.Setter.
func (p peer) AddTo(m *stun.Message) error {
	at := net.UDPAddrFromAddrPort(netip.AddrPort(p))
	return stun.XORMappedAddress{IP: at.IP, Port: at.Port}.AddToAs(m, stun.AttrXORPeerAddress)
}

// ask sends a request until it is answered, and again where the server gave a nonce.
func (s *Session) ask(ctx context.Context, t *turned, method stun.Method, attributes ...stun.Setter) error {
	for range 3 {
		answer, err := s.transact(ctx, t, method, attributes)
		if err != nil {
			return err
		}
		if answer.Type.Class == stun.ClassSuccessResponse {
			return nil
		}
		var why stun.ErrorCodeAttribute
		if t.nonce.GetFrom(answer) != nil {
			return fmt.Errorf("load: session %d: %v refused: %v %v", s.number, method, why.GetFrom(answer), why)
		}
	}
	return fmt.Errorf("load: session %d: %v: no nonce is good enough", s.number, method)
}

func (s *Session) transact(ctx context.Context, t *turned, method stun.Method, attributes []stun.Setter) (*stun.Message, error) {
	m, err := t.request(method, attributes)
	if err != nil {
		return nil, err
	}
	for {
		if err := s.generator.browsers.send(m.Raw, s.browserAddr(), t.to); err != nil {
			return nil, err
		}
		select {
		case answer := <-t.answers:
			if answer.TransactionID == m.TransactionID {
				return answer, nil
			}
		case <-time.After(askAgain):
		case <-ctx.Done():
			return nil, fmt.Errorf("load: session %d: %v was not answered: %w", s.number, method, ctx.Err())
		}
	}
}

// request makes one, signed where there is a nonce.
func (t *turned) request(method stun.Method, attributes []stun.Setter) (*stun.Message, error) {
	setters := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	if len(t.nonce) > 0 {
		setters = append(setters, stun.NewUsername(t.User), stun.NewRealm(t.Realm), t.nonce, stun.NewLongTermIntegrity(t.User, t.Realm, t.Password))
	}
	return stun.Build(setters...)
}
