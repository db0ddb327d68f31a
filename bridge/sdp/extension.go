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

const transportWide = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

// passes says whether a header extension means the same at the far end. The others end at a hop: mid and rid name what one leg
// has, and what is not negotiated is not sent.
func passes(uri string) bool {
	switch uri {
	case "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:3gpp:video-orientation",
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", transportWide:
		return true
	}
	return false
}

// extensionsOf reads the extmap lines of a section, and of the session, that the bridge passes.
func extensionsOf(sections ...section) []Extension {
	var all []Extension
	for _, s := range sections {
		for _, a := range s.attributes {
			f := strings.Fields(a.value)
			if a.key != "extmap" || len(f) < 2 || !passes(f[1]) {
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

// sharedExtensions are those of an answer: what was offered and the far side has, by the offer's ids.
func sharedExtensions(offered, far []Extension) []Extension {
	var all []Extension
	for _, o := range offered {
		if slices.ContainsFunc(far, func(f Extension) bool { return f.URI == o.URI }) {
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

func writeExtensions(line func(string, ...any), s Stream) {
	for _, e := range s.Extension {
		line("a=extmap:%d %s", e.ID, e.URI)
	}
}
