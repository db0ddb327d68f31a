package media

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pion/dtls/v3"

	"tandem/bridge/sdp"
)

const flightInterval = 250 * time.Millisecond // before a lost flight is sent again; doubles

var errFingerprint = errors.New("media: certificate does not match the fingerprint of the SDP")

// association is one DTLS handshake under way, in a goroutine of its own.
type association struct {
	pipe         *pipe
	client       bool
	identity     *identity // ours
	proven       bool      // ICE has proven the peer's address
	fingerprints []sdp.Fingerprint
	limit        time.Duration
}

// outcome is a handshake's end: a session, or the reason why there is none.
type outcome struct {
	session    *session
	lastFlight []byte
	reason     Reason
	err        error
}

// newAssociation is called by the leg's worker.
func newAssociation(t *transport, client bool) *association {
	return &association{
		client: client, pipe: newPipe(t), identity: t.leg.identity,
		proven:       t.far == nil || t.far.agent != nil,
		fingerprints: slices.Clone(t.peer().Fingerprints),
		limit:        t.leg.engine.cfg.Limits.Handshake,
	}
}

// run does the handshake and lets the connection go by closing its pipe: its own Close would send an alert, which tells
// the browser that the media is over.
func (a *association) run(e *Engine) outcome {
	defer a.pipe.Close()
	ctx, cancel := context.WithTimeout(e.ctx, a.limit)
	defer cancel()
	var verified sdp.Fingerprint
	conn, err := a.open(func(raw [][]byte, _ [][]*x509.Certificate) error {
		f, ok := matching(raw[0], a.fingerprints)
		if !ok {
			return errFingerprint
		}
		verified = f
		return nil
	})
	if err == nil {
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		return outcome{reason: reasonOf(err), err: err}
	}
	if verified.Value == "" {
		return outcome{reason: FingerprintMismatch, err: errFingerprint}
	}
	keys, err := exportKeys(conn, a.client)
	if err != nil {
		return outcome{reason: NoSRTPProfile, err: err}
	}
	keys.Fingerprint = verified
	s, err := newSession(keys)
	if err != nil {
		return outcome{reason: HandshakeFailed, err: err}
	}
	return outcome{session: s, lastFlight: a.pipe.lastFlight(a.client)}
}

func (a *association) open(verify func([][]byte, [][]*x509.Certificate) error) (*dtls.Conn, error) {
	shared := []dtls.Option{
		dtls.WithCertificates(a.identity.certificate),
		dtls.WithSRTPProtectionProfiles(srtpProfiles()...),
		dtls.WithVerifyPeerCertificate(verify),
		dtls.WithFlightInterval(flightInterval),
		dtls.WithLoggerFactory(quietLogs{}),
	}
	if a.client {
		options := []dtls.ClientOption{dtls.WithInsecureSkipVerify(true)} // the fingerprint vouches, not a chain
		for _, o := range shared {
			options = append(options, o)
		}
		return dtls.ClientWithOptions(a.pipe, a.pipe.LocalAddr(), options...)
	}
	options := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(a.proven), // else a cookie does, before we send more than we got
	}
	for _, o := range shared {
		options = append(options, o)
	}
	return dtls.ServerWithOptions(a.pipe, a.pipe.LocalAddr(), options...)
}

// reasonOf classifies a handshake's error. pion's for a missing common SRTP profile has no exported value.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errFingerprint):
		return FingerprintMismatch
	case strings.Contains(err.Error(), "SRTP"):
		return NoSRTPProfile
	}
	return HandshakeFailed
}

// exportKeys derives the SRTP keys (RFC 5764 §4.2).
func exportKeys(conn *dtls.Conn, client bool) (SRTPState, error) {
	profile, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return SRTPState{}, errors.New("media: peer asked for no SRTP profile")
	}
	keyLen, saltLen, err := profileSizes(uint16(profile))
	if err != nil {
		return SRTPState{}, err
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return SRTPState{}, errors.New("media: no connection state")
	}
	m, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(keyLen+saltLen))
	if err != nil {
		return SRTPState{}, err
	}
	k := SRTPState{Profile: uint16(profile)}
	k.RemoteKey, k.LocalKey = m[:keyLen], m[keyLen:2*keyLen] // the client's comes first
	k.RemoteSalt, k.LocalSalt = m[2*keyLen:2*keyLen+saltLen], m[2*keyLen+saltLen:]
	if client {
		k.RemoteKey, k.LocalKey = k.LocalKey, k.RemoteKey
		k.RemoteSalt, k.LocalSalt = k.LocalSalt, k.RemoteSalt
	}
	return k, nil
}

var _ net.PacketConn = (*pipe)(nil)
