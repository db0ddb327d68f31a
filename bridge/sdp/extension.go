package sdp

import (
	"slices"
	"strconv"
	"strings"
)

// Extension is a header extension of a stream (RFC 8285), by the id that its writer uses.
type Extension struct {
	ID  uint8 // 1 to 14
	URI string
}

// Those that are nothing without the feedback which is made of them.
const (
	transportWide = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	sendTime      = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
)

// passes says whether a header extension means the same at the far end. The others end at a hop: mid and rid name what one leg
// has, and what is not negotiated is not sent.
func passes(uri string) bool {
	switch uri {
	case "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:3gpp:video-orientation",
		sendTime, transportWide:
		return true
	}
	return false
}

// extended says whether header extensions are negotiated in an m-line of this protocol: those who know no feedback know none.
func extended(protocol string) bool { return strings.HasSuffix(protocol, "AVPF") }

// extensionsOf reads the extmap lines of a section, and of the session, that hold in both directions.
func extensionsOf(sections ...section) []Extension {
	var all []Extension
	for _, s := range sections {
		for _, a := range s.attributes {
			if a.key != "extmap" {
				continue
			}
			f := words(a.value, make([]string, 2))
			if len(f) < 2 {
				continue
			}
			number, direction, limited := strings.Cut(f[0], "/")
			id, err := strconv.ParseUint(number, 10, 8)
			known := func(e Extension) bool { return e.URI == f[1] || e.ID == uint8(id) }
			if err != nil || id < 1 || id > 14 || limited && direction != "sendrecv" || slices.ContainsFunc(all, known) {
				continue
			}
			all = append(all, Extension{uint8(id), f[1]})
		}
	}
	return all
}

// bindExtensions remembers the ids of all streams that are carried: an id keeps its meaning for the session and in the whole of
// a bundle (RFC 8285 §5, RFC 9143 §10.1.2).
func (d *Description) bindExtensions(bound []Extension) []Extension {
	bound = slices.Clone(bound)
	for slot := range Slots {
		if s := d.at(slot); s != nil {
			for _, e := range s.Extension {
				bound = bindExtension(bound, e)
			}
		}
	}
	return bound
}

func bindExtension(bound []Extension, e Extension) []Extension {
	if i := slices.IndexFunc(bound, func(b Extension) bool { return b.ID == e.ID }); i >= 0 {
		bound[i] = e
		return bound
	}
	return append(bound, e)
}

// numberedExtensions gives the far leg's extensions the ids of this leg and binds them here: the one of before, the far leg's, or
// the first that is free.
func (l *Leg) numberedExtensions(far []Extension) []Extension {
	var all []Extension
	l.Extension = slices.Clone(l.Extension)
	for _, e := range far {
		if !passes(e.URI) {
			continue
		}
		used := func(id uint8) bool {
			return slices.ContainsFunc(l.Extension, func(b Extension) bool { return b.ID == id })
		}
		if i := slices.IndexFunc(l.Extension, func(b Extension) bool { return b.URI == e.URI }); i >= 0 {
			e.ID = l.Extension[i].ID
		} else if used(e.ID) {
			for e.ID = 1; e.ID <= 14 && used(e.ID); e.ID++ {
			}
		}
		if e.ID <= 14 {
			l.Extension = bindExtension(l.Extension, e)
			all = append(all, e)
		}
	}
	return all
}

// sharedExtensions are those of an answer: what was offered and the far side has, by the offer's ids.
func sharedExtensions(offered, far []Extension) []Extension {
	var all []Extension
	for _, o := range offered {
		if passes(o.URI) && slices.ContainsFunc(far, func(f Extension) bool { return f.URI == o.URI }) {
			all = append(all, o)
		}
	}
	return all
}

// extensionTable maps the ids of packets from a leg that says from to those of one that says to.
func extensionTable(from, to []Extension) (table [16]uint8) {
	for _, f := range from {
		for _, t := range to {
			if f.URI == t.URI {
				table[f.ID] = t.ID
			}
		}
	}
	return table
}

func (w *writer) extensions(s *Stream) {
	for _, e := range s.Extension {
		w.say("a=extmap:").number(uint64(e.ID)).say(" ").say(e.URI).end()
	}
}
