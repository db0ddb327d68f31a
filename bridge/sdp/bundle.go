package sdp

import "slices"

// carrier is the stream whose transport a browser's bundle has: the first of the group that is carried (RFC 9143 §7.3.1), so
// that it moves where that one is refused. Without a group it is the main stream. Works on nil.
func (d *Description) carrier() *Stream {
	if d != nil {
		for _, mid := range d.Bundle {
			i := slices.IndexFunc(d.Streams, func(s Stream) bool { return s.Relayed && s.Bundled && s.MID == mid })
			if i >= 0 {
				return &d.Streams[i]
			}
		}
	}
	return d.main()
}

// mids are those of what is carried in a bundle of ours, in the order of the group before, each with a blank in front.
func (d *Description) mids() (mids string) {
	order := slices.Clone(d.Bundle)
	for _, s := range d.Streams {
		if !slices.Contains(order, s.MID) {
			order = append(order, s.MID)
		}
	}
	for _, mid := range order {
		if slices.ContainsFunc(d.Streams, func(s Stream) bool { return s.Relayed && s.Bundled && s.MID == mid }) {
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
