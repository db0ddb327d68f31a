package sdp

import (
	"slices"
	"strings"
	"unique"
)

// keep gives a heard description strings of its own: those that it was cut from would hold the whole text for the life of the
// call, and what every peer says the same is held once for all.
func (d *Description) keep() {
	detach(&d.Origin)
	d.Bundle = slices.Clone(d.Bundle) // its array begins before it
	detach(pointers(d.Bundle)...)
	for i := range d.Streams {
		s := &d.Streams[i]
		share(&s.Kind, &s.Protocol, &s.Format, &s.Map, &s.MID, &s.ICE.Setup)
		detach(&s.Msid, &s.Unkeyed, &s.ICE.Ufrag, &s.ICE.Password, &s.ICE.TLSID)
		detach(pointers(s.Bandwidth)...)
		detach(pointers(s.Fax)...)
		for j := range s.Codecs {
			share(&s.Codecs[j].Name, &s.Codecs[j].Format)
		}
		for j := range s.Extension {
			share(&s.Extension[j].URI)
		}
		for j := range s.Crypto {
			detach(&s.Crypto[j].Alias)
		}
		for j := range s.ICE.Fingerprints {
			share(&s.ICE.Fingerprints[j].Algorithm)
			detach(&s.ICE.Fingerprints[j].Value)
		}
		for j := range s.ICE.Candidates {
			share(&s.ICE.Candidates[j].Transport)
			detach(&s.ICE.Candidates[j].Foundation)
		}
	}
}

func detach(list ...*string) {
	for _, s := range list {
		*s = strings.Clone(*s)
	}
}

func share(list ...*string) {
	for _, s := range list {
		if *s != "" {
			*s = unique.Make(*s).Value()
		}
	}
}

func pointers(list []string) []*string {
	all := make([]*string, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}
