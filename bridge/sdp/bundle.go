package sdp

import "slices"

// carrier is the stream whose transport a browser's bundle has: the first of the group that is not refused (RFC 9143
// §7.3.1). Without a group it is the main stream. Works on nil.
func (d *Description) carrier() *Stream {
	if d != nil {
		for _, mid := range d.Bundle {
			if s := d.member(mid); s != nil && (s.Relayed || s.Idle) {
				return s
			}
		}
	}
	return d.main()
}

// member is a bundled m-line by its mid, nil where there is none.
func (d *Description) member(mid string) *Stream {
	i := slices.IndexFunc(d.Streams, func(s Stream) bool { return s.Bundled && s.MID == mid })
	if i < 0 {
		return nil
	}
	return &d.Streams[i]
}

// idle keeps the m-line to which a browser's bundle is tied in our answer, though it is not carried. With max-bundle no other can
// take its place: a bundle-only one must not (RFC 9143 §7.3.1), and Chromium refuses an answer that tries. The text does not
// say which policy it was made by.
func (l Leg) idle(said *Description) {
	if l.Profile != WebRTC || len(l.Heard.Bundle) == 0 || !said.carrier().Bundled {
		return
	}
	i := slices.IndexFunc(l.Heard.Streams, func(s Stream) bool { return s.Bundled && s.MID == l.Heard.Bundle[0] })
	if i < 0 || said.Streams[i].Relayed {
		return
	}
	heard := &l.Heard.Streams[i] // the answered copy
	if heard.Rejected || heard.Follows || len(heard.Codecs) == 0 {
		return
	}
	said.Streams[i] = Stream{
		Kind: heard.Kind, Protocol: heard.Protocol, Format: heard.Format, Map: heard.Map, MID: heard.MID, Bundled: true,
		Idle: true, Reduced: heard.Reduced, Codecs: heard.Codecs[:1],
	}
	heard.Idle = true
	said.Streams[i].ICE.Setup = l.Setup
}

// mids are those of what is carried in a bundle of ours, in the order of the group before, each with a blank in front.
func (d *Description) mids() (mids string) {
	order := slices.Clone(d.Bundle)
	for _, s := range d.Streams {
		if s.MID != "" && !slices.Contains(order, s.MID) {
			order = append(order, s.MID)
		}
	}
	for _, mid := range order {
		if slices.ContainsFunc(d.Streams, func(s Stream) bool { return (s.Relayed || s.Idle) && s.Bundled && s.MID == mid }) {
			mids += " " + mid
		}
	}
	return mids
}

// bundled lets go of what a browser offers beside its bundle: there is one transport on a WebRTC leg.
func (d *Description) bundled(profile Profile) {
	if profile != WebRTC {
		return
	}
	main := d.main()
	for i := range d.Streams {
		if s := &d.Streams[i]; s.Relayed && s.Kind != main.Kind && !(s.Bundled && main.Bundled) {
			s.Relayed = false
		}
	}
}
