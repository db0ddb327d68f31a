package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/deadline"
)

const flightInterval = 50 * time.Millisecond // BoringSSL's in Chromium

// Profile is the one SRTP profile that a session's ClientHello offers.
type Profile = dtls.SRTPProtectionProfile

// The profiles that are compared.
const (
	GCM  Profile = dtls.SRTP_AEAD_AES_128_GCM
	SHA1 Profile = dtls.SRTP_AES128_CM_HMAC_SHA1_80
)

// Connect does ICE and DTLS with what signalling said; the session can be loaded then.
func (s *Session) Connect(ctx context.Context) error {
	if err := s.connectICE(ctx); err != nil {
		return err
	}
	p := &pipe{session: s, in: make(chan []byte, 16), until: deadline.New()}
	s.pipe.Store(p)
	defer s.pipe.Store(nil)
	defer p.Close() // not the connection's Close, which sends an alert: the keys stay in use
	conn, err := dtls.ClientWithOptions(p, p.LocalAddr(), dtls.WithCertificates(s.generator.identity.certificate),
		dtls.WithSRTPProtectionProfiles(s.profile), dtls.WithInsecureSkipVerify(true), dtls.WithFlightInterval(flightInterval))
	if err == nil {
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		return fmt.Errorf("load: session %d: dtls: %w", s.number, err)
	}
	k, err := exportKeys(conn)
	if err != nil {
		return err
	}
	s.keys.Store(k)
	return nil
}

// exportKeys derives the client's SRTP contexts (RFC 5764 §4.2).
func exportKeys(conn *dtls.Conn) (*keys, error) {
	selected, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return nil, errors.New("load: no SRTP profile was negotiated")
	}
	profile := srtp.ProtectionProfile(selected)
	key, err := profile.KeyLen()
	if err != nil {
		return nil, err
	}
	salt, err := profile.SaltLen()
	if err != nil {
		return nil, err
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errors.New("load: no DTLS state")
	}
	m, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(key+salt))
	if err != nil {
		return nil, err
	}
	k := &keys{}
	if k.seal, err = srtp.CreateContext(m[:key], m[2*key:2*key+salt], profile); err != nil {
		return nil, err
	}
	k.open, err = srtp.CreateContext(m[key:2*key], m[2*key+salt:], profile, srtp.SRTPReplayProtection(128))
	return k, err
}

// pipe is a handshake's way through the browsers' socket.
type pipe struct {
	session *Session
	in      chan []byte
	until   *deadline.Deadline
}

// deliver is called by the loop.
func (p *pipe) deliver(data []byte) {
	select {
	case p.in <- slices.Clone(data):
	default: // sent again
	}
}

func (p *pipe) ReadFrom(buf []byte) (int, net.Addr, error) {
	select {
	case data := <-p.in:
		return copy(buf, data), p.LocalAddr(), nil
	case <-p.until.Done():
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (p *pipe) WriteTo(data []byte, _ net.Addr) (int, error) {
	s := p.session
	return len(data), s.toGateway(data)
}

// Close lets no reader wait any more.
func (p *pipe) Close() error { return p.SetReadDeadline(time.Unix(1, 0)) }

func (p *pipe) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.session.BrowserAddr()) }

func (p *pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.until.Set(t)
	return nil
}

func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

var _ net.PacketConn = (*pipe)(nil)
