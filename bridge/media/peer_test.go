package media

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v4/deadline"

	"tandem/bridge/sdp"
)

// patience is for a machine that gives this one little time.
const patience = time.Minute

// peer is a browser's transport in the hands of a test: one socket, ICE checks, DTLS, SRTP, each step by itself.
type peer struct {
	t                    testing.TB
	conn                 *net.UDPConn
	tcp                  net.Conn    // in its place where it is set
	turn                 *turnClient // between the socket and the gateway; nil: nothing
	at                   netip.Addr
	to                   netip.AddrPort
	local                sdp.Local // the gateway's
	own                  Credentials
	certificate          tls.Certificate
	answers              chan *stun.Message
	records              chan []byte
	packets              chan []byte                   // SRTP and SRTCP as they came
	lose                 func(d []byte, out bool) bool // on the way; nil: nothing; before it connects
	dropRecords          atomic.Int32
	loseChangeCipherSpec atomic.Bool // once
	in, out              *srtp.Context
	profile              dtls.SRTPProtectionProfile
	dtlsConn             *dtls.Conn
	profiles             []dtls.SRTPProtectionProfile
	sequence             uint16
	ssrc                 uint32
	fromRecords          *recordConn
}

func newPeer(t testing.TB, local sdp.Local) *peer {
	t.Helper()
	return newPeerOn(t, local, home(t))
}

func newPeerOn(t testing.TB, local sdp.Local, at netip.Addr) *peer {
	t.Helper()
	certificate, err := selfsign.GenerateSelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{
		t: t, at: at, local: local, to: local.Candidates[0].Addr, certificate: certificate,
		own:      Credentials{"peerufrag", "peerpasswordpeerpassword"},
		answers:  make(chan *stun.Message, 64),
		records:  make(chan []byte, 64),
		packets:  make(chan []byte, 4096),
		profiles: srtpProfiles(),
		ssrc:     0x11223344,
		sequence: 65000,
	}
	p.bind()
	return p
}

// bind takes a new socket, as a NAT rebinding does.
func (p *peer) bind() {
	p.t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.at, 0)))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.fromRecords != nil {
		p.fromRecords.Close() // a handshake on a busy machine repeats itself, and this would come from where no check has been
	}
	if p.conn != nil {
		p.conn.Close()
	}
	p.conn = conn
	p.t.Cleanup(func() { conn.Close() })
	go p.read(conn)
}

func (p *peer) read(conn *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue
		}
		p.sort(append([]byte(nil), b[:n]...))
	}
}

// sort gives what came to whom it is for.
func (p *peer) sort(d []byte) {
	if p.turn != nil {
		d = p.turn.unwrap(d)
	}
	if p.lose != nil && p.lose(d, false) {
		return
	}
	switch {
	case d[0] <= 3:
		m := &stun.Message{Raw: d}
		if m.Decode() == nil {
			select {
			case p.answers <- m:
			default: // nobody reads
			}
		}
	case d[0] < 64:
		if p.dropRecords.Load() > 0 {
			p.dropRecords.Add(-1)
			return
		}
		if d[0] == recordChangeCCS && p.loseChangeCipherSpec.CompareAndSwap(true, false) {
			return
		}
		p.records <- d
	default:
		p.packets <- d
	}
}

func (p *peer) send(d []byte) {
	p.t.Helper()
	if _, err := p.write(d); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) write(d []byte) (int, error) {
	if p.lose != nil && p.lose(d, true) {
		return len(d), nil
	}
	if p.tcp != nil {
		return p.tcp.Write(appendFrame(nil, d))
	}
	if p.turn != nil {
		return p.conn.WriteToUDPAddrPort(p.turn.wrap(d), p.turn.server)
	}
	return p.conn.WriteToUDPAddrPort(d, p.to)
}

// addr is the peer's end of what it sends by.
func (p *peer) addr() netip.AddrPort {
	if p.tcp != nil {
		return p.tcp.LocalAddr().(*net.TCPAddr).AddrPort()
	}
	return addrOf(p.conn)
}

// remote is what the peer's SDP says.
func (p *peer) remote() sdp.Remote {
	sum := sha256.Sum256(p.certificate.Certificate[0])
	return sdp.Remote{Transport: sdp.Transport{
		Ufrag: p.own.Ufrag, Password: p.own.Password, Setup: "actpass",
		Fingerprints: []sdp.Fingerprint{{Algorithm: "sha-256", Value: colonHex(sum[:])}},
	}}
}

// request makes a Binding request as a controlling agent sends it.
func (p *peer) request(extra ...stun.Setter) *stun.Message {
	p.t.Helper()
	setters := []stun.Setter{stun.TransactionID, stun.BindingRequest,
		stun.NewUsername(p.local.Ufrag + ":" + p.own.Ufrag), stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{1, 2, 3, 4}}}
	setters = append(setters, extra...)
	setters = append(setters, stun.NewShortTermIntegrity(p.local.Password), stun.Fingerprint)
	m, err := stun.Build(setters...)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

type controlling struct{}

func (controlling) AddTo(m *stun.Message) error {
	m.Add(stun.AttrICEControlling, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	return nil
}

type useCandidate struct{}

func (useCandidate) AddTo(m *stun.Message) error {
	m.Add(stun.AttrUseCandidate, nil)
	return nil
}

// check sends a nominating check until its answer comes.
func (p *peer) check() *stun.Message {
	p.t.Helper()
	m := p.request(controlling{}, useCandidate{})
	for limit := time.After(patience); ; {
		p.send(m.Raw)
		select {
		case a := <-p.answers:
			if a.TransactionID == m.TransactionID {
				return a
			}
		case <-time.After(100 * time.Millisecond):
		case <-limit:
			p.t.Fatal("no answer to a check")
		}
	}
}

// handshake is the DTLS client's part.
func (p *peer) handshake() error {
	conn, err := dtls.ClientWithOptions(p.recordConn(), p.conn.LocalAddr(),
		dtls.WithCertificates(p.certificate), dtls.WithSRTPProtectionProfiles(p.profiles...),
		dtls.WithInsecureSkipVerify(true), dtls.WithFlightInterval(100*time.Millisecond), dtls.WithMTU(600),
		dtls.WithLoggerFactory(quietLogs{}))
	if err != nil {
		return err
	}
	return p.finish(conn, true)
}

// acceptHandshake is the DTLS server's part.
func (p *peer) acceptHandshake() error {
	conn, err := dtls.ServerWithOptions(p.recordConn(), p.conn.LocalAddr(),
		dtls.WithCertificates(p.certificate), dtls.WithSRTPProtectionProfiles(p.profiles...),
		dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithFlightInterval(100*time.Millisecond),
		dtls.WithLoggerFactory(quietLogs{}))
	if err != nil {
		return err
	}
	return p.finish(conn, false)
}

func (p *peer) recordConn() *recordConn {
	c := &recordConn{peer: p, deadline: deadline.New(), closed: make(chan struct{})}
	p.fromRecords = c
	p.t.Cleanup(func() { c.Close() })
	return c
}

func (p *peer) finish(conn *dtls.Conn, client bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	p.dtlsConn = conn
	p.profile, _ = conn.SelectedSRTPProtectionProfile()
	keys, err := exportKeys(conn, client)
	if err != nil {
		return err
	}
	return p.useKeys(keys)
}

func (p *peer) useKeys(keys SRTPState) (err error) {
	if p.in, err = srtp.CreateContext(keys.RemoteKey, keys.RemoteSalt, srtp.ProtectionProfile(keys.Profile)); err != nil {
		return err
	}
	p.out, err = srtp.CreateContext(keys.LocalKey, keys.LocalSalt, srtp.ProtectionProfile(keys.Profile))
	return err
}

// connect does everything up to keys.
func (p *peer) connect(l *Leg) {
	p.t.Helper()
	l.SetRemote(p.remote())
	l.AnswerSent()
	p.check()
	if err := p.handshake(); err != nil {
		p.t.Fatal(err)
	}
	waitFor(p.t, "the leg to have its keys", func() bool { return !l.Stats().ConnectedAt.IsZero() })
}

// next makes the stream's next packet.
func (p *peer) next(payloadType uint8, payload string) []byte {
	p.t.Helper()
	p.sequence++
	return packet(p.t, payloadType, p.ssrc, p.sequence, payload)
}

func packet(t testing.TB, payloadType uint8, ssrc uint32, sequence uint16, payload string) []byte {
	t.Helper()
	b, err := (&rtp.Packet{
		Header: rtp.Header{Version: 2, PayloadType: payloadType, SSRC: ssrc, SequenceNumber: sequence,
			Timestamp: uint32(sequence) * 160},
		Payload: []byte(payload),
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *peer) sendRTP(plain []byte) {
	p.t.Helper()
	sealed, err := p.out.EncryptRTP(nil, plain, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(sealed)
}

// receiveRTP gives the next packet that comes, decrypted.
func (p *peer) receiveRTP() *rtp.Packet {
	p.t.Helper()
	plain, err := p.in.DecryptRTP(nil, p.packet(false), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return parse(p.t, plain)
}

// receiveReport gives the next RTCP packet; what came before it is passed over.
func (p *peer) receiveReport() []byte {
	p.t.Helper()
	plain, err := p.in.DecryptRTCP(nil, p.packet(true), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return plain
}

// packet gives the next SRTP packet, or the next SRTCP one.
func (p *peer) packet(control bool) []byte {
	p.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case d := <-p.packets:
			if isRTCP(d) == control {
				return d
			}
		case <-limit:
			p.t.Fatalf("no packet came (RTCP: %v)", control)
			return nil
		}
	}
}

func parse(t testing.TB, plain []byte) *rtp.Packet {
	t.Helper()
	r := &rtp.Packet{}
	if err := r.Unmarshal(plain); err != nil {
		t.Fatal(err)
	}
	return r
}

// recordConn is the DTLS client's net.PacketConn.
type recordConn struct {
	peer     *peer
	deadline *deadline.Deadline
	closed   chan struct{}
	once     atomic.Bool
	writing  sync.Mutex
}

func (c *recordConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-c.closed:
		return 0, nil, net.ErrClosed
	case <-c.deadline.Done():
		return 0, nil, c.deadline.Err()
	case d := <-c.peer.records:
		return copy(b, d), c.LocalAddr(), nil
	}
}

func (c *recordConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.once.Load() {
		return 0, net.ErrClosed
	}
	return c.peer.write(b)
}

func (c *recordConn) Close() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.once.Swap(true) {
		close(c.closed)
	}
	return nil
}

func (c *recordConn) LocalAddr() net.Addr                { return &net.UDPAddr{} }
func (c *recordConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *recordConn) SetReadDeadline(t time.Time) error  { c.deadline.Set(t); return nil }
func (c *recordConn) SetWriteDeadline(_ time.Time) error { return nil }

// phone is the SIP world's end of an RTP leg: an RTP and an RTCP socket.
type phone struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
	to        netip.AddrPort // the leg's RTP port
	ssrc      uint32
	sequence  uint16
}

func newPhone(t testing.TB, local sdp.Local) *phone {
	t.Helper()
	return newPhoneOn(t, local, home(t))
}

func newPhoneOn(t testing.TB, local sdp.Local, at netip.Addr) *phone {
	t.Helper()
	f := &phone{t: t, to: netip.AddrPortFrom(local.Addr, local.Ports[0]), ssrc: 0x55667788, sequence: 100}
	for _, c := range []**net.UDPConn{&f.rtp, &f.rtcp} {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		*c = conn
	}
	return f
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (f *phone) remote() sdp.Remote {
	return sdp.Remote{Streams: []sdp.RemoteStream{{RTP: addrOf(f.rtp), RTCP: addrOf(f.rtcp)}}}
}

func (f *phone) sendRTP(payloadType uint8, payload string) {
	f.t.Helper()
	f.sequence++
	sendTo(f.t, f.rtp, f.to, packet(f.t, payloadType, f.ssrc, f.sequence, payload))
}

func (f *phone) sendRTCP(d []byte) {
	f.t.Helper()
	sendTo(f.t, f.rtcp, netip.AddrPortFrom(f.to.Addr(), f.to.Port()+1), d)
}

func sendTo(t testing.TB, c *net.UDPConn, to netip.AddrPort, d []byte) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(d, to); err != nil {
		t.Fatal(err)
	}
}

// receive reads one datagram of the leg's: the port may have been another test's, whose leg sends on.
func (f *phone) receive() []byte {
	f.t.Helper()
	b := make([]byte, 2048)
	if err := f.rtp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		f.t.Fatal(err)
	}
	for {
		n, from, err := f.rtp.ReadFromUDPAddrPort(b)
		if err != nil {
			f.t.Fatal(err)
		}
		if from == f.to {
			return b[:n]
		}
	}
}

func (f *phone) receiveRTP() *rtp.Packet {
	f.t.Helper()
	for {
		if d := f.receive(); !isRTCP(d) { // reports may be muxed
			return parse(f.t, d)
		}
	}
}

// senderReport is an RTCP sender report of its own.
func senderReport(ssrc uint32) []byte {
	b := make([]byte, 28)
	b[0], b[1] = 0x80, 200
	binary.BigEndian.PutUint16(b[2:], 6)
	binary.BigEndian.PutUint32(b[4:], ssrc)
	return b
}
