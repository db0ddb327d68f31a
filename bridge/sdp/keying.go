package sdp

import (
	"fmt"
	"slices"
	"strings"
)

// secure says whether a protocol is encrypted RTP.
func secure(protocol string) bool { return strings.Contains(protocol, "SAVP") }

// demandsDTLS says whether a protocol can be keyed by DTLS alone. RTP/SAVP with a fingerprint is an older spelling.
func demandsDTLS(protocol string) bool { return strings.Contains(protocol, "TLS") }

// protocol is what our own first offers say.
func (l Leg) protocol() string {
	switch p := l.Policy; {
	case l.Profile == WebRTC:
		return "UDP/TLS/RTP/SAVPF"
	case p.Keying == DTLS && !p.Optional:
		return "UDP/TLS/RTP/SAVP"
	case p.Keying == SDES && !p.Optional:
		return "RTP/SAVP"
	}
	return "RTP/AVP"
}

// keyed is a peer's end of an offered stream as our answer is going to agree to it. reason is why it cannot be keyed, empty
// where it can. A WebRTC leg's stream is keyed by its ICE alone.
func (l Leg) keyed(s Stream) (remote RemoteStream, reason string) {
	if l.Profile == WebRTC {
		return s.Remote, ""
	}
	r := s.Remote
	switch keying, reason := l.chooseKeying(s); {
	case reason != "":
		return r, reason
	case keying == SDES:
		r.Keying = SDES
		r.Receive, r.Send, _ = acceptable(s.Crypto, l.Local.keys(slotOf(s.Kind)))
	case keying == DTLS:
		r.Keying = DTLS
		r.Fingerprints, r.TLSID = s.ICE.Fingerprints, s.ICE.TLSID
		r.Setup = peerSetup(answerSetup(s.ICE.Setup, l.role(slotOf(s.Kind))))
	}
	if l.Local.Ufrag != "" && s.proves() {
		l.check(&r, slotOf(s.Kind), s.ICE, false)
	}
	return r, ""
}

// chooseKeying is how an offered stream of an RTP leg is to be protected: as the policy prefers, else as strongly as both
// sides can. Encryption that is merely offered, beside RTP/AVP, is taken too (OSRTP, RFC 8643 §3.1).
func (l Leg) chooseKeying(s Stream) (Keying, string) {
	_, _, sdes := acceptable(s.Crypto, l.Local.keys(slotOf(s.Kind)))
	sdes = sdes && !demandsDTLS(s.Protocol)
	dtls := l.Local.Fingerprint.Value != "" && proven(s.ICE.Fingerprints)
	switch {
	case sdes && (l.Policy.Keying == SDES || !dtls):
		return SDES, ""
	case dtls:
		return DTLS, ""
	case !secure(s.Protocol) && !l.Policy.Required:
		return Plain, ""
	}
	return Plain, "m=" + s.Kind + ": " + l.unkeyed(s)
}

// unkeyed is why an offered stream that must be encrypted cannot be.
func (l Leg) unkeyed(s Stream) string {
	ours := l.Local.keys(slotOf(s.Kind))
	switch {
	case len(ours) == 0 && l.Local.Fingerprint.Value == "":
		return fmt.Sprintf("secure RTP (%s) is not spoken on this leg, only RTP/AVP", s.Protocol)
	case demandsDTLS(s.Protocol) && l.Local.Fingerprint.Value == "":
		return fmt.Sprintf("DTLS (%s) is not spoken on this leg", s.Protocol)
	case demandsDTLS(s.Protocol) && len(s.ICE.Fingerprints) == 0:
		return "no DTLS fingerprint"
	case len(s.ICE.Fingerprints) > 0 && len(s.Crypto) == 0 && l.Local.Fingerprint.Value != "":
		return "no DTLS fingerprint by SHA-256 or stronger"
	case len(s.Crypto) > 0:
		return "a=crypto: no suite that is spoken on this leg: " + suiteNames(s.Crypto)
	case s.Unkeyed != "":
		return s.Unkeyed
	case !secure(s.Protocol):
		return s.Protocol + " without encryption is refused on this leg"
	}
	return "neither a=crypto nor a=fingerprint in " + s.Protocol
}

// proven says whether a certificate can be held against one of the fingerprints: SHA-1 and older prove nothing (RFC 8122 §5).
func proven(prints []Fingerprint) bool {
	return slices.ContainsFunc(prints, func(f Fingerprint) bool {
		return slices.Contains([]string{"sha-256", "sha-384", "sha-512"}, f.Algorithm)
	})
}

func suiteNames(lines []Crypto) string {
	var all []string
	for _, c := range lines {
		all = append(all, c.Suite)
	}
	return strings.Join(all, ", ")
}

// strength orders what one peer offers side by side.
func (r RemoteStream) strength(p Policy) int {
	if r.Keying != Plain && r.Keying == p.Keying {
		return int(DTLS) + 1
	}
	return int(r.Keying)
}

// peerSetup is the peer's DTLS role, given ours.
func peerSetup(ours string) string {
	if ours == "active" {
		return "passive"
	}
	return "active"
}

// role is our DTLS role in a slot of an RTP leg, as it was decided; empty where there is no association yet.
func (l Leg) role(slot Slot) string {
	if s := l.agreed().Heard.at(slot); s != nil && s.Remote.Keying == DTLS {
		return peerSetup(s.Remote.Setup)
	}
	return ""
}

// proves says whether the writer does ICE on this stream.
func (s *Stream) proves() bool {
	return s.ICE.Ufrag != "" && s.ICE.Password != "" && !s.Mismatch && (!s.ICE.ICELite || len(s.ICE.Candidates) > 0)
}

// check has ICE agreed on an RTP leg's stream. We are a full agent there: the offerer controls, or whoever is not lite, and
// a role stays until the peer restarts (RFC 8445 §6.1.1, RFC 8839 §4.4.1.1.2).
func (l Leg) check(r *RemoteStream, slot Slot, peer Transport, offered bool) {
	r.Ufrag, r.Password, r.ICELite, r.Candidates = peer.Ufrag, peer.Password, peer.ICELite, peer.Candidates
	if r.Mux {
		r.Candidates = slices.DeleteFunc(slices.Clone(r.Candidates), func(c Candidate) bool { return c.Component == 2 })
	}
	r.Controlling = offered || peer.ICELite
	if before := l.agreed().Heard.at(slot); before != nil && before.Remote.Ufrag == peer.Ufrag {
		r.Controlling = before.Remote.Controlling
	}
}

// fit is a peer's end of a stream by its answer to what we offered. reason is why the answer does not fit.
func (l Leg) fit(heard, offer Stream) (remote RemoteStream, reason string) {
	r := heard.Remote
	if l.Profile == WebRTC {
		return r, ""
	}
	fault := ""
	if len(offer.Crypto) > 0 {
		r.Receive, r.Send, fault = answeredKeys(heard.Crypto, offer.Crypto)
	}
	switch {
	case len(offer.ICE.Fingerprints) > 0 && proven(heard.ICE.Fingerprints):
		r.Keying, r.Fingerprints, r.TLSID = DTLS, heard.ICE.Fingerprints, heard.ICE.TLSID
		r.Setup = peerSetup(answerSetup(heard.ICE.Setup, l.role(slotOf(heard.Kind))))
	case r.Receive.Suite != "":
		r.Keying = SDES
	case fault != "":
		return r, "m=" + heard.Kind + ": " + fault
	case heard.Unkeyed != "" && len(offer.Crypto) > 0:
		return r, "m=" + heard.Kind + ": " + heard.Unkeyed
	case l.Policy.Required || secure(offer.Protocol) || secure(heard.Protocol):
		return r, fmt.Sprintf("m=%s: %s without our encryption to an offer of %s", heard.Kind, heard.Protocol, offer.Protocol)
	}
	if offer.ICE.Ufrag != "" && heard.proves() {
		l.check(&r, slotOf(heard.Kind), heard.ICE, true)
	}
	return r, ""
}
