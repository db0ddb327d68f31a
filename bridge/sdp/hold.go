package sdp

import "slices"

// Resumed is the leg as if its peer held nobody and were not held: what another peer is offered to whom the hold means nothing.
func (l Leg) Resumed() Leg {
	if l.Heard == nil {
		return l
	}
	heard := *l.Heard
	heard.Streams = slices.Clone(heard.Streams)
	for i := range heard.Streams {
		if heard.Streams[i].Relayed {
			heard.Streams[i].Direction = SendRecv
		}
	}
	l.Heard = &heard
	return l
}
