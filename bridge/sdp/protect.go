package sdp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// protectOffer puts into an offer's stream on an RTP leg how we want it protected: as it was agreed before, for a re-offer
// changes nothing, else as the policy has it. The first offer lists all our keys; tags count from 1.
func (l *Leg) protectOffer(s *Stream) error {
	keying, ice, mux, named := l.Policy.Keying, l.Policy.ICE, false, true
	if before := l.agreed().Heard.at(slotOf(s.Kind)); before != nil {
		keying, ice, mux = before.Remote.Keying, before.Remote.Ufrag != "", before.Remote.Mux
		named = before.Remote.TLSID != ""
	} else {
		s.Remote.Mux = keying == DTLS || ice // asked for: without it every call costs two checks and two handshakes
	}
	s.Remote.Keying = keying
	switch keying {
	case SDES:
		if s.Crypto = listed(l.Local.keys(slotOf(s.Kind))); len(s.Crypto) == 0 {
			return fmt.Errorf("%w: the leg has no SDES keys for m=%s", ErrNoState, s.Kind)
		}
	case DTLS:
		if s.ICE.Setup = l.role(slotOf(s.Kind)); s.ICE.Setup == "" {
			s.ICE.Setup = "actpass"
		}
		if err := l.certify(s, l.agreed(), ""); err != nil {
			return err
		}
		if !named { // to a peer that does not know tls-id one of ours that comes later would be a new association
			s.ICE.TLSID = ""
		}
	}
	if ice {
		return l.prove(s, mux)
	}
	return nil
}

// protectAnswer puts into an answer's stream on an RTP leg what was agreed when the offer was heard, with our keys as they
// are now, and into remote which of them are in use. before is the leg as of the exchange before.
func (l *Leg) protectAnswer(s *Stream, heard Stream, before Leg, remote *RemoteStream) error {
	s.Remote.Keying, s.Mismatch = remote.Keying, heard.Mismatch
	switch remote.Keying {
	case SDES:
		key, ok := own(l.Local.keys(slotOf(s.Kind)), remote.Receive.Suite)
		if !ok {
			return fmt.Errorf("%w: the leg has no key for %s", ErrNoState, remote.Receive.Suite)
		}
		remote.Send = key.under(remote.Receive)
		s.Crypto = []Crypto{remote.Send}
	case DTLS:
		s.ICE.Setup = peerSetup(remote.Setup)
		if err := l.certify(s, before, remote.TLSID); err != nil {
			return err
		}
		if remote.TLSID == "" { // RFC 8842 §5.3
			s.ICE.TLSID = ""
		}
	}
	if remote.Ufrag != "" {
		return l.prove(s, remote.Mux)
	}
	return nil
}

// certify puts our fingerprint and tls-id into a stream. A new association has a new tls-id (RFC 8842 §4): the first one, one
// with another certificate of ours, one that the peer wants by another tls-id of its own.
func (l *Leg) certify(s *Stream, before Leg, peer string) error {
	ours := l.Local.Fingerprint
	if ours.Value == "" {
		return fmt.Errorf("%w: the leg has no certificate", ErrNoState)
	}
	s.ICE.Fingerprints = []Fingerprint{ours}
	said, heard := before.Said.at(slotOf(s.Kind)), before.Heard.at(slotOf(s.Kind))
	renewed := said == nil || said.ICE.TLSID == "" || !slices.Contains(said.ICE.Fingerprints, ours)
	if said != nil {
		s.ICE.TLSID = said.ICE.TLSID
	}
	if wanted := peer != "" && heard != nil && heard.Remote.TLSID != peer; renewed || wanted {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s %s", l.SessionID, s.Kind, ours.Value, peer, s.ICE.TLSID))
		s.ICE.TLSID = hex.EncodeToString(sum[:16])
	}
	return nil
}

// prove puts our ICE credentials and candidates into a stream.
func (l *Leg) prove(s *Stream, mux bool) error {
	local := l.Local
	if local.Ufrag == "" || local.Password == "" {
		return fmt.Errorf("%w: the leg has no ICE credentials", ErrNoState)
	}
	s.ICE.Ufrag, s.ICE.Password = local.Ufrag, local.Password
	at := slotOf(s.Kind)
	if !local.Addr.IsValid() || at < 0 || at >= len(local.Ports) {
		return fmt.Errorf("%w: the leg has no RTP port for m=%s", ErrNoState, s.Kind)
	}
	s.ICE.Candidates = hosts(local.Addr, local.Ports[at], mux)
	return nil
}

// security writes how an RTP leg's stream is protected.
func (w *writer) security(s *Stream) {
	for _, c := range s.Crypto {
		w.say("a=crypto:").say(c.line()).end()
	}
	w.fingerprints(s)
	if s.ICE.Setup != "" {
		w.say("a=setup:").say(s.ICE.Setup).end()
	}
	if s.ICE.TLSID != "" {
		w.say("a=tls-id:").say(s.ICE.TLSID).end()
	}
	if s.Mismatch {
		w.say("a=ice-mismatch").end()
	}
	if s.ICE.Ufrag == "" {
		return
	}
	w.say("a=ice-ufrag:").say(s.ICE.Ufrag).end()
	w.say("a=ice-pwd:").say(s.ICE.Password).end()
	for _, c := range s.ICE.Candidates {
		w.candidate(c)
		if c.Component == 2 { // RFC 8839 §4.2.1.2
			w.say("a=rtcp:").number(uint64(c.Addr.Port())).say(" IN ").family(c.Addr.Addr()).end()
		}
	}
}
