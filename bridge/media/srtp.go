package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	replayWindow = 128 // packets
	maxReceived  = 256 // SSRCs that a peer may use in a leg's life: an exchange changes them with each prompt; a context keeps state for each
	maxSent      = 64  // the same towards it, where each stream keeps its own
	tagRoom      = 32  // that the largest profile adds behind a packet, SRTCP index included
)

// srtpProfiles are what we negotiate, the cheapest first: a server's order decides.
func srtpProfiles() []dtls.SRTPProtectionProfile {
	return []dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
	}
}

// profileName is the profile's name as RFC 5764 and RFC 7714 write it.
func profileName(profile uint16) string {
	switch dtls.SRTPProtectionProfile(profile) {
	case dtls.SRTP_AEAD_AES_128_GCM:
		return "SRTP_AEAD_AES_128_GCM"
	case dtls.SRTP_AEAD_AES_256_GCM:
		return "SRTP_AEAD_AES_256_GCM"
	case dtls.SRTP_AES128_CM_HMAC_SHA1_80:
		return "SRTP_AES128_CM_HMAC_SHA1_80"
	case dtls.SRTP_AES128_CM_HMAC_SHA1_32:
		return "SRTP_AES128_CM_HMAC_SHA1_32"
	case dtls.SRTP_AES256_CM_SHA1_80:
		return "SRTP_AES256_CM_HMAC_SHA1_80" // SDES only
	}
	return ""
}

func profileSizes(profile uint16) (key, salt int, err error) {
	p := srtp.ProtectionProfile(profile)
	if profileName(profile) == "" {
		return 0, 0, fmt.Errorf("media: SRTP profile %#04x is not ours", profile)
	}
	if key, err = p.KeyLen(); err != nil {
		return 0, 0, err
	}
	salt, err = p.SaltLen()
	return key, salt, err
}

// session is keys at work, those of one DTLS association or of SDES; owned by the leg's worker.
type session struct {
	keys     SRTPState // without Sent and Received
	in, out  *srtp.Context
	received sources
	sent     sources
	rtpTag   int // bytes that the peer's SRTP adds
	rtcpTag  int // bytes that its SRTCP adds, its index included
}

// sources are the SSRCs that a context has state for.
type sources struct {
	rtp, rtcp []sourceIndex
}

// sourceIndex is where a source's stream stands, for Export.
type sourceIndex struct {
	ssrc    uint32
	highest uint16
}

func newSession(keys SRTPState) (*session, error) {
	p := srtp.ProtectionProfile(keys.Profile)
	s := &session{keys: keys}
	var err error
	if s.in, err = srtp.CreateContext(keys.RemoteKey, keys.RemoteSalt, p, srtp.MasterKeyIndicator(keys.RemoteMKI),
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow)); err != nil {
		return nil, fmt.Errorf("media: srtp: %w", err)
	}
	if s.out, err = srtp.CreateContext(keys.LocalKey, keys.LocalSalt, p); err != nil {
		return nil, fmt.Errorf("media: srtp: %w", err)
	}
	s.rtpTag, s.rtcpTag, err = tagSizes(p)
	s.rtpTag, s.rtcpTag = s.rtpTag+len(keys.RemoteMKI), s.rtcpTag+len(keys.RemoteMKI)
	return s, err
}

func tagSizes(p srtp.ProtectionProfile) (onRTP, onRTCP int, err error) {
	aead, err := p.AEADAuthTagLen()
	if err != nil {
		return 0, 0, err
	}
	if onRTP, err = p.AuthTagRTPLen(); err != nil {
		return 0, 0, err
	}
	onRTCP, err = p.AuthTagRTCPLen()
	return onRTP + aead, onRTCP + aead + 4, err
}

// scratch is memory for parsing that would otherwise be allocated for each packet; one for each worker.
type scratch struct {
	rtp    rtp.Header
	rtcp   rtcp.Header
	packet [maxDatagram]byte
}

// find gives the source's entry, nil where it has none.
func find(list []sourceIndex, ssrc uint32) *sourceIndex {
	for i := range list {
		if list[i].ssrc == ssrc {
			return &list[i]
		}
	}
	return nil
}

// note remembers a source's progress.
func note(list *[]sourceIndex, ssrc uint32, sequence uint16) {
	s := find(*list, ssrc)
	if s == nil {
		*list = append(*list, sourceIndex{ssrc, sequence})
		return
	}
	if int16(sequence-s.highest) > 0 {
		s.highest = sequence
	}
}

func full(list []sourceIndex, ssrc uint32, limit int) bool {
	return len(list) >= limit && find(list, ssrc) == nil
}

// openRTP decrypts in place.
func (s *session) openRTP(sc *scratch, p []byte) ([]byte, DropReason) {
	size, ok := rtpHeader(p)
	if !ok || len(p) < size+s.rtpTag {
		return nil, DropRTPMalformed
	}
	ssrc := rtpSSRC(p)
	if full(s.received.rtp, ssrc, maxReceived) {
		return nil, DropSSRCLimit
	}
	plain, err := s.in.DecryptRTP(p[:0], p, &sc.rtp)
	if err != nil {
		return nil, refusal(err)
	}
	note(&s.received.rtp, ssrc, rtpSequence(p))
	return plain, dropNone
}

// sealRTP encrypts in place; p needs tagRoom behind it.
func (s *session) sealRTP(sc *scratch, p []byte) ([]byte, DropReason) {
	ssrc := rtpSSRC(p)
	if full(s.sent.rtp, ssrc, maxSent) {
		return nil, DropSSRCLimit
	}
	sealed, err := s.out.EncryptRTP(p[:0], p, &sc.rtp)
	if err != nil {
		return nil, DropSRTPSend
	}
	note(&s.sent.rtp, ssrc, rtpSequence(p))
	return sealed, dropNone
}

func (s *session) openRTCP(sc *scratch, p []byte) ([]byte, DropReason) {
	if len(p) < rtcpMin+s.rtcpTag {
		return nil, DropRTCPMalformed
	}
	ssrc := binary.BigEndian.Uint32(p[4:])
	if full(s.received.rtcp, ssrc, maxReceived) {
		return nil, DropSSRCLimit
	}
	plain, err := s.in.DecryptRTCP(p[:0], p, &sc.rtcp)
	if err != nil {
		return nil, refusal(err)
	}
	note(&s.received.rtcp, ssrc, 0)
	return plain, dropNone
}

func (s *session) sealRTCP(sc *scratch, p []byte) ([]byte, DropReason) {
	ssrc := binary.BigEndian.Uint32(p[4:])
	if full(s.sent.rtcp, ssrc, maxSent) {
		return nil, DropSSRCLimit
	}
	sealed, err := s.out.EncryptRTCP(p[:0], p, &sc.rtcp)
	if err != nil {
		return nil, DropSRTPSend
	}
	note(&s.sent.rtcp, ssrc, 0)
	return sealed, dropNone
}

// refusal tells a forgery from a packet that came before. pion's error for the second has no exported value, and its other
// errors are for packets that were refused as malformed already.
func refusal(err error) DropReason {
	if errors.Is(err, srtp.ErrFailedToVerifyAuthTag) || errors.Is(err, srtp.ErrMKINotFound) {
		return DropSRTPAuth
	}
	return DropSRTPReplay
}

// receiveSRTP takes an SRTP or SRTCP packet from a validated pair, and says whether it was genuine.
func (l *Leg) receiveSRTP(w *worker, p []byte) bool {
	if len(p) < rtcpMin {
		w.drop(l, DropRTPMalformed)
		return false
	}
	if l.srtp == nil {
		w.drop(l, DropBeforeDTLS)
		return false
	}
	size := len(p)
	if isRTCP(p) {
		plain, reason := l.srtp.openRTCP(&w.scratch, p)
		if reason == dropNone && !validRTCP(plain) {
			reason = DropRTCPMalformed
		}
		if reason != dropNone {
			w.drop(l, reason)
			return false
		}
		l.received(w, size)
		l.receiveRTCP(w, plain)
		return true
	}
	plain, reason := l.srtp.openRTP(&w.scratch, p)
	if reason == dropNone && !validPadding(plain) {
		reason = DropRTPMalformed
	}
	if reason != dropNone {
		w.drop(l, reason)
		return false
	}
	l.received(w, size)
	l.gotRTP(w)
	l.relayRTP(w, anyStream, plain)
	return true
}

// exportSources writes down where a context's streams stand.
func exportSources(c *srtp.Context, s sources) []SSRCState {
	var list []SSRCState
	for _, r := range s.rtp {
		roc, _ := c.ROC(r.ssrc)
		list = append(list, SSRCState{SSRC: r.ssrc, Rollover: roc, Sequence: r.highest, RTP: true})
	}
	for _, r := range s.rtcp {
		index, _ := c.Index(r.ssrc)
		i := slices.IndexFunc(list, func(o SSRCState) bool { return o.SSRC == r.ssrc })
		if i < 0 {
			list = append(list, SSRCState{SSRC: r.ssrc})
			i = len(list) - 1
		}
		list[i].RTCP, list[i].RTCPIndex = true, index
	}
	return list
}
