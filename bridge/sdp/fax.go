package sdp

import "strings"

// maxFax bounds the attributes of T.38 that are carried.
const maxFax = 32

// fax reads an m=image: T.38 over UDPTL (ITU-T T.38 Annex D), whose attributes cross as they are. It has no RTCP.
func (d document) fax(stream *Stream, s section, port uint16) error {
	for _, a := range s.attributes {
		if strings.HasPrefix(strings.ToUpper(a.key), "T38") && len(stream.Fax) < maxFax {
			text := a.key
			if a.value != "" {
				text += ":" + a.value
			}
			stream.Fax = append(stream.Fax, text)
		}
	}
	var ok bool
	if stream.Direction, ok = directionOf(s); !ok {
		stream.Direction, _ = directionOf(d.session)
	}
	black, err := d.locate(stream, s, port)
	if black {
		stream.Direction &^= RecvOnly
	}
	return err
}

// fax writes an m=image of ours.
func (w *writer) fax(s *Stream) {
	w.say("m=image ").number(uint64(s.Remote.RTP.Port())).say(" ").say(s.Protocol).say(" ").say(s.Format).end()
	for _, a := range s.Fax {
		w.say("a=").say(a).end()
	}
	if s.Direction != SendRecv {
		w.say("a=").say(s.Direction.String()).end()
	}
}
