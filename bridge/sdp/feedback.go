package sdp

import (
	"slices"
	"strings"
)

// Feedback are the RTCP messages that a leg's stream negotiated (RFC 4585, RFC 5104, a=rtcp-fb).
type Feedback uint8

const (
	NACK Feedback = 1 << iota // generic NACK
	PLI
	FIR
	REMB
	TransportCC
)

// pictureRequests end at each leg: either is made into whichever the other leg's peer takes.
const pictureRequests = PLI | FIR

// feedbackNames are the attributes' values, in the order of the bits.
func feedbackNames() [5]string {
	return [...]string{"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"}
}

// feedbackOf reads the rtcp-fb lines of a section, whichever codec they are for. FreeSWITCH says them under plain RTP/AVP, too.
func feedbackOf(s section) Feedback {
	var all Feedback
	for _, a := range s.attributes {
		if a.key != "rtcp-fb" {
			continue
		}
		_, value, _ := strings.Cut(a.value, " ")
		for bit, name := range feedbackNames() {
			if strings.EqualFold(strings.Join(strings.Fields(value), " "), name) {
				all |= 1 << bit
			}
		}
	}
	return all
}

// pair leaves transport-wide feedback only where its header extension is there too, and header extensions that are there for
// feedback only where it is.
func (s *Stream) pair() {
	tagged := func(uri string) bool {
		return slices.ContainsFunc(s.Extension, func(e Extension) bool { return e.URI == uri })
	}
	if !tagged(transportWide) {
		s.Feedback &^= TransportCC
	}
	s.Extension = slices.DeleteFunc(slices.Clone(s.Extension), func(e Extension) bool {
		return e.URI == transportWide && s.Feedback&TransportCC == 0 || e.URI == sendTime && s.Feedback&REMB == 0
	})
	if len(s.Extension) == 0 {
		s.Extension = nil
	}
}

// feedback says each message for each codec: a wildcard is not understood everywhere.
func (w *writer) feedback(s *Stream) {
	for _, c := range s.Codecs {
		for bit, name := range feedbackNames() {
			if s.Feedback&(1<<bit) != 0 {
				w.say("a=rtcp-fb:").number(uint64(c.PayloadType)).say(" ").say(name).end()
			}
		}
	}
}
