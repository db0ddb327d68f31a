package sdp

import "slices"

// security reads how a stream's packets are protected and how its peer proves its address.
func (d document) security(stream *Stream, s section, profile Profile, bundle []string) error {
	fallback := section{}
	if stream.Bundled {
		fallback = d.tagged(bundle)
		stream.Remote.Mux = stream.Remote.Mux || profile == WebRTC // BUNDLE implies it (RFC 8843 §9.3)
	}
	var err error
	if stream.ICE, err = ice([]section{s, fallback, d.session}, profile); profile == WebRTC {
		return err
	}
	stream.Crypto, stream.Unkeyed = cryptosOf(s)
	switch {
	case err != nil && demandsDTLS(stream.Protocol):
		return err
	case err != nil: // what the stream does not need must not cost the call
		stream.ICE = Transport{}
	}
	stream.Mismatch = s.has("ice-mismatch") || stream.mismatches()
	return nil
}

// mismatches says whether somebody on the way changed the address without knowing of ICE: it is none of the candidates
// (RFC 8839 §4.2.5). An agent that trickles gives 0.0.0.0 meanwhile. An ICE-lite peer hears nobody before a check, whatever
// became of its c= line.
func (s *Stream) mismatches() bool {
	if s.ICE.Ufrag == "" || s.ICE.ICELite || !s.Remote.RTP.IsValid() {
		return false
	}
	return !slices.ContainsFunc(s.ICE.Candidates, func(c Candidate) bool {
		return c.Component == 1 && c.Addr == s.Remote.RTP
	})
}
