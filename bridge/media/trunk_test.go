package media

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/deadline"

	"tandem/bridge/sdp"
)

// trunk is the SIP world's end of an RTP leg, keyed in any way: two sockets, each with its keys.
type trunk struct {
	t           testing.TB
	ends        [2]*trunkEnd // RTP, RTCP
	mux         bool
	certificate tls.Certificate
	ssrc        uint32
	sequence    uint16
	remote      sdp.RemoteStream // what its SDP says
	shown       *[]byte          // the certificate that it was shown over RTP's transport is put here; nil: nowhere
}

// trunkEnd is one of its sockets, with a reader that sorts what comes.
type trunkEnd struct {
	t       testing.TB
	conn    *net.UDPConn
	to      netip.AddrPort
	records chan []byte
	packets chan []byte
	lose    atomic.Pointer[func(record []byte, out bool) bool] // nil: nothing is lost
	in, out *srtp.Context
}

func newTrunk(t testing.TB, local sdp.Local, ssrc uint32) *trunk {
	t.Helper()
	certificate, err := selfsign.GenerateSelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	k := &trunk{t: t, certificate: certificate, ssrc: ssrc, sequence: 65500}
	for i := range k.ends {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(home(t), 0)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		k.ends[i] = &trunkEnd{t: t, conn: conn, to: netip.AddrPortFrom(local.Addr, local.Ports[0]+uint16(i)),
			records: make(chan []byte, 64), packets: make(chan []byte, 1024)}
		go k.ends[i].read()
	}
	k.remote = sdp.RemoteStream{RTP: addrOf(k.ends[0].conn), RTCP: addrOf(k.ends[1].conn)}
	return k
}

func (e *trunkEnd) read() {
	b := make([]byte, 2048)
	for {
		n, from, err := e.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 || from != e.to { // see phone.receive
			continue
		}
		d := slices.Clone(b[:n])
		switch {
		case d[0] >= 20 && d[0] < 64:
			if !e.loses(d, false) {
				e.records <- d
			}
		default:
			e.packets <- d
		}
	}
}

func (e *trunkEnd) loses(record []byte, out bool) bool {
	lose := e.lose.Load()
	return lose != nil && (*lose)(record, out)
}

// says puts the trunk's SDP before the leg.
func (k *trunk) says(l *Leg) {
	k.remote.Mux = k.mux
	if k.mux {
		k.remote.RTCP = k.remote.RTP
	}
	l.SetRemote(sdp.Remote{Streams: []sdp.RemoteStream{k.remote}})
	l.AnswerSent()
}

// control is the socket of its RTCP.
func (k *trunk) control() *trunkEnd {
	if k.mux {
		return k.ends[0]
	}
	return k.ends[1]
}

// useSDES agrees to a suite with a key of its own and the leg's.
func (k *trunk) useSDES(local sdp.Local, suite string) {
	k.t.Helper()
	i := slices.IndexFunc(local.Crypto[0], func(c sdp.Crypto) bool { return c.Suite == suite })
	if i < 0 {
		k.t.Fatalf("the leg has no key of %s", suite)
	}
	own := newCrypto()[i]
	own.MKI = k.remote.Receive.MKI
	k.useSDESKeys(local.Crypto[0][i], own)
}

func (k *trunk) useSDESKeys(gateway, own sdp.Crypto) {
	k.t.Helper()
	k.remote.Keying, k.remote.Send, k.remote.Receive = sdp.SDES, gateway, own
	keys, err := sdesKeys(own, gateway) // from its side
	if err != nil {
		k.t.Fatal(err)
	}
	k.ends[0].useKeys(keys, own.MKI)
	k.ends[1].in, k.ends[1].out = k.ends[0].in, k.ends[0].out
}

func (e *trunkEnd) useKeys(keys SRTPState, mki []byte) {
	e.t.Helper()
	var err error
	p := srtp.ProtectionProfile(keys.Profile)
	if e.in, err = srtp.CreateContext(keys.RemoteKey, keys.RemoteSalt, p); err != nil {
		e.t.Fatal(err)
	}
	if e.out, err = srtp.CreateContext(keys.LocalKey, keys.LocalSalt, p, srtp.MasterKeyIndicator(mki)); err != nil {
		e.t.Fatal(err)
	}
}

// useDTLS says that it is going to take the role in DTLS; handshake does it.
func (k *trunk) useDTLS(role string) {
	sum := sha256.Sum256(k.certificate.Certificate[0])
	k.remote.Keying, k.remote.Setup = sdp.DTLS, role
	k.remote.Fingerprints = []sdp.Fingerprint{{Algorithm: "sha-256", Value: colonHex(sum[:])}}
}

// handshake does DTLS with the leg on each socket that needs it, and waits until both have the keys.
func (k *trunk) handshake(l *Leg) error {
	before := l.Export().Streams[0]
	if err := k.shake(); err != nil {
		return err
	}
	fresh := func(now, before *SRTPState) bool {
		return now != nil && (before == nil || !now.sameLocal(before))
	}
	waitFor(k.t, "the leg to have its keys", func() bool {
		s := l.Export().Streams[0]
		return fresh(s.SRTP, before.SRTP) && (k.mux || fresh(s.SRTCP, before.SRTCP))
	})
	return nil
}

func (k *trunk) shake() error {
	ends := k.ends[:]
	if k.mux {
		ends = ends[:1]
	}
	done := make(chan error, len(ends))
	for i, e := range ends {
		shown := k.shown
		if i > 0 {
			shown = nil
		}
		go func() { done <- e.handshake(k.certificate, k.remote.Setup == "active", shown) }()
	}
	var failed error
	for range ends {
		failed = errors.Join(failed, <-done)
	}
	return failed
}

func (e *trunkEnd) handshake(certificate tls.Certificate, client bool, shown *[]byte) error {
	c := &trunkConn{end: e, deadline: deadline.New(), closed: make(chan struct{})}
	e.t.Cleanup(func() { c.Close() })
	options := []dtls.Option{dtls.WithCertificates(certificate), dtls.WithSRTPProtectionProfiles(srtpProfiles()...),
		dtls.WithFlightInterval(50 * time.Millisecond), dtls.WithLoggerFactory(quietLogs{}),
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if shown != nil {
				*shown = raw[0]
			}
			return nil
		})}
	var conn *dtls.Conn
	var err error
	if client {
		list := []dtls.ClientOption{dtls.WithInsecureSkipVerify(true)}
		for _, o := range options {
			list = append(list, o)
		}
		conn, err = dtls.ClientWithOptions(c, c.LocalAddr(), list...)
	} else {
		list := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, o := range options {
			list = append(list, o)
		}
		conn, err = dtls.ServerWithOptions(c, c.LocalAddr(), list...)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	keys, err := exportKeys(conn, client)
	if err == nil {
		e.useKeys(keys, nil)
	}
	return err
}

func (k *trunk) next(payloadType uint8, payload string) []byte {
	k.t.Helper()
	k.sequence++
	return packet(k.t, payloadType, k.ssrc, k.sequence, payload)
}

func (k *trunk) sendRTP(payloadType uint8, payload string) {
	k.t.Helper()
	k.ends[0].send(k.next(payloadType, payload), false)
}

func (k *trunk) sendRTCP(p []byte) {
	k.t.Helper()
	k.control().send(p, true)
}

// send seals where there are keys.
func (e *trunkEnd) send(p []byte, control bool) {
	e.t.Helper()
	var err error
	switch {
	case e.out != nil && control:
		p, err = e.out.EncryptRTCP(nil, p, nil)
	case e.out != nil:
		p, err = e.out.EncryptRTP(nil, p, nil)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	sendTo(e.t, e.conn, e.to, p)
}

func (k *trunk) receiveRTP() *rtp.Packet {
	k.t.Helper()
	return parse(k.t, k.ends[0].receive(false))
}

func (k *trunk) receiveReport() []byte {
	k.t.Helper()
	return k.control().receive(true)
}

// receive gives the next packet of the kind, in the clear.
func (e *trunkEnd) receive(control bool) []byte {
	e.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case d := <-e.packets:
			if isRTCP(d) != control {
				continue
			}
			var err error
			switch {
			case e.in != nil && control:
				d, err = e.in.DecryptRTCP(nil, d, nil)
			case e.in != nil:
				d, err = e.in.DecryptRTP(nil, d, nil)
			}
			if err != nil {
				e.t.Fatal(err)
			}
			return d
		case <-limit:
			e.t.Fatalf("no packet came (RTCP: %v)", control)
		}
	}
}

// trunkConn is the net.PacketConn of a handshake.
type trunkConn struct {
	end      *trunkEnd
	deadline *deadline.Deadline
	closed   chan struct{}
	once     atomic.Bool
}

func (c *trunkConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-c.closed:
		return 0, nil, net.ErrClosed
	case <-c.deadline.Done():
		return 0, nil, c.deadline.Err()
	case d := <-c.end.records:
		return copy(b, d), c.LocalAddr(), nil
	}
}

func (c *trunkConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	if c.end.loses(b, true) {
		return len(b), nil
	}
	return c.end.conn.WriteToUDPAddrPort(b, c.end.to)
}

func (c *trunkConn) Close() error {
	if !c.once.Swap(true) {
		close(c.closed)
	}
	return nil
}

func (c *trunkConn) LocalAddr() net.Addr                { return &net.UDPAddr{} }
func (c *trunkConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *trunkConn) SetReadDeadline(t time.Time) error  { c.deadline.Set(t); return nil }
func (c *trunkConn) SetWriteDeadline(_ time.Time) error { return nil }
