package sdp

import (
	"fmt"
	"slices"
)

// Leg is one leg's half of the negotiation: what was heard and said. Plain value, safe to copy and to write as JSON;
// its methods give the changed copy, and the unchanged one with an error. The Descriptions that it points to are never
// changed: copies may share them.
type Leg struct {
	Profile   Profile
	Policy    Policy `json:",omitzero"` // set before the first offer
	Local     Local  // may be renewed by the caller (ICE restart) between HearOffer and Answer, or before Offer
	SessionID uint64
	Version   uint64       // of the latest text said, refused ones included; 0: nothing was said
	Heard     *Description // the peer's latest accepted description; once answered only the codecs of both
	Said      *Description // ours
	Text      string       `json:",omitempty"` // the latest text said where it is not Said's: Decline's
	Pending   Pending      // whose offer is open
	Setup     string       // WebRTC: our DTLS role once decided: "passive" or "active"; kept by re-offers
	Extension []Extension  `json:",omitempty"` // every header extension's id ever bound on this leg
	Bound     []Codec      // every payload type ever bound on this leg, without Format
	Resting   bool         `json:",omitempty"` // the peer's latest offer was declined: no offer of ours goes out meanwhile
	Direct    bool         `json:",omitempty"` // packets do not pass here: see NewDirect
	Host      string       `json:",omitempty"` // the end of our o= lines, where it is not Local's address
	Before    *Leg         `json:",omitempty"` // the leg before the open offer; nil where Stable
}

// Pending says whose offer is open on a leg.
type Pending uint8

const (
	Stable Pending = iota
	HeardOffer
	SaidOffer
)

// String is for errors.
func (p Pending) String() string {
	return [...]string{"no offer is open", "an offer was heard", "an offer was said"}[min(p, SaidOffer)]
}

// NewLeg starts a leg. Of the session id 62 bits are used (RFC 8829 §5.2.1).
func NewLeg(profile Profile, local Local, sessionID uint64) Leg {
	return Leg{Profile: profile, Local: local, SessionID: sessionID & (1<<62 - 1)}
}

// HearOffer takes the peer's offer. ErrMalformed for what is no SDP, ErrNotAcceptable where it has no stream that this leg
// could answer whatever the other leg says, ErrNoState while an offer is open (glare is the caller's to refuse).
func (l Leg) HearOffer(text []byte) (Leg, error) {
	if l.Pending != Stable {
		return l, fmt.Errorf("%w: offer heard while %s", ErrNoState, l.Pending)
	}
	if l.Direct {
		heard, err := l.heardDirect(text)
		if err != nil {
			return l, err
		}
		next := l.open(HeardOffer)
		next.Heard = heard
		return next, nil
	}
	heard, err := describe(text, l.Profile)
	if err != nil {
		return l, err
	}
	if err := l.choose(heard); err != nil {
		return l, err
	}
	next := l.open(HeardOffer)
	next.Heard = heard
	next.Bound = heard.bind(l.Bound)
	next.Extension = heard.bindExtensions(l.Extension)
	return next, nil
}

// HearAnswer takes the peer's answer to our offer. ErrMalformed for what is no SDP, ErrNotAcceptable where it refuses the
// stream or has no codec of the offer, ErrNoState where no offer of ours is open. A Leg is a value: the copy that made the
// offer may hear the answers of several forks, or that of a 183 and then of the 200.
func (l Leg) HearAnswer(text []byte) (Leg, error) {
	if l.Pending != SaidOffer {
		return l, fmt.Errorf("%w: answer heard while %s", ErrNoState, l.Pending)
	}
	if l.Direct {
		heard, err := l.heardDirect(text)
		if err != nil {
			return l, err
		}
		next := l.settle()
		next.Heard, heard.Answer = heard, true
		return next, nil
	}
	heard, err := describe(text, l.Profile)
	if err != nil {
		return l, err
	}
	if err := l.answers(heard); err != nil {
		return l, err
	}
	next := l.settle()
	next.Heard = heard
	next.Bound = heard.bind(l.Bound)
	next.Extension = heard.bindExtensions(l.Extension)
	if l.Profile == WebRTC && l.Setup == "" {
		next.Setup = answerSetup(heard.carrier().ICE.Setup, "")
	}
	return next, nil
}

// open begins an exchange.
func (l Leg) open(by Pending) Leg {
	before := l
	l.Before, l.Pending = &before, by
	return l
}

// settle ends an exchange.
func (l Leg) settle() Leg {
	l.Before, l.Pending, l.Resting = nil, Stable, false
	return l
}

// agreed is the leg as of the latest finished exchange.
func (l Leg) agreed() Leg {
	if l.Pending != Stable && l.Before != nil {
		return *l.Before
	}
	return l
}

// Repeat is the latest text said, byte for byte (the 200 after the 183). Empty where nothing was said.
func (l Leg) Repeat() []byte {
	switch {
	case l.Text != "":
		return []byte(l.Text)
	case l.Said == nil:
		return nil
	case l.Said.Body != "":
		return l.Said.direct()
	}
	return write(l.Profile, l.Said) // kept it would be a good part of what a call holds
}

// Rollback forgets an open offer (RFC 3264 §4: a refused offer leaves the session as it was). Version and payload types
// that the peer has seen stay used. A Local renewed after HearOffer is forgotten, one renewed before Offer stays.
func (l Leg) Rollback() Leg {
	before := l.agreed()
	before.Version, before.Bound, before.Extension, before.Host = l.Version, l.Bound, l.Extension, l.Host
	return before
}

// Restarted says whether the offer just heard restarts ICE compared with before, on any stream (RFC 8839 §4.4.1.1.1).
func (l Leg) Restarted(before Leg) bool {
	if l.Profile == WebRTC { // one transport
		now, then := l.Heard.carrier(), before.Heard.carrier()
		return now != nil && then != nil && now.ICE.restarts(then.ICE)
	}
	for slot := range Slots {
		now, then := l.Heard.at(slot), before.Heard.at(slot)
		if now != nil && then != nil && now.Remote.Ufrag != "" && then.Remote.Ufrag != "" &&
			now.Remote.restarts(then.Remote.Transport) {
			return true
		}
	}
	return false
}

// restarts says whether a peer's credentials are other ones than before.
func (t Transport) restarts(before Transport) bool {
	return t.Ufrag != before.Ufrag || t.Password != before.Password
}

// Rekeyed says whether the offer just heard gives another SDES key than before. Local.Crypto is then to be renewed before
// the Answer: behind the new key may be another device, which does not know how often our sequence numbers under the old one
// have gone round, and counts them from nought (RFC 3711 §3.3.1). A renewed key starts there too.
func (l Leg) Rekeyed(before Leg) bool {
	for slot := range Slots {
		now, then := l.Heard.at(slot), before.Heard.at(slot)
		if now == nil || then == nil || now.Remote.Keying != SDES || then.Remote.Keying != SDES {
			continue
		}
		a, b := now.Remote.Receive, then.Remote.Receive
		if a.Suite != b.Suite || !slices.Equal(a.Key, b.Key) {
			return true
		}
	}
	return false
}

// Alters says whether what was just heard changes anything that the other leg must know compared with before: streams, codecs,
// direction or the length of packets. Where it does not (session refresh, ICE restart, a new address), Answer from the other leg's Heard suffices.
func (l Leg) Alters(before Leg) bool {
	if l.Direct { // but for an offer said again
		return before.Heard == nil || before.Heard.Answer || before.Heard.Body != l.Heard.Body
	}
	for slot := range Slots {
		if l.altersIn(slot, before) {
			return true
		}
	}
	return false
}

func (l Leg) altersIn(slot Slot, before Leg) bool {
	now, then := l.Heard.at(slot), before.Heard.at(slot)
	// A peer that was answered less than it offered repeats its full offer at each refresh.
	if then == nil && before.Heard.refused(l.Heard, slot) {
		return false
	}
	if now == nil || then == nil {
		return now != then
	}
	most := SendRecv
	if said := before.Said.at(slot); said != nil && before.Heard.Answer {
		most = said.Direction.Reverse()
	}
	for c := range relayables(then.Codecs) {
		if !slices.ContainsFunc(now.Codecs, c.Same) {
			return true
		}
	}
	return now.Direction&most != then.Direction&most || now.resized(*then)
}

// Remote is the peer's transport by what was heard; zero where nothing was.
func (l Leg) Remote() Remote {
	carrier := l.Heard.carrier()
	if carrier == nil {
		return Remote{}
	}
	var r Remote
	if l.Profile == WebRTC {
		r.Transport = carrier.ICE
		if l.Pending == Stable && l.Setup != "" && r.Transport.Setup != "actpass" {
			r.Transport.Setup = peerSetup(l.Setup) // pion answers an ice-lite's re-offer of passive by passive, too
		}
	}
	for slot := range Slots {
		if s := l.Heard.at(slot); s != nil {
			r.Streams = append(r.Streams, make([]RemoteStream, slot+1-len(r.Streams))...)
			r.Streams[slot] = s.Remote
		}
	}
	return r
}

// Held says whether the peer holds us: it will not receive.
func (l Leg) Held() bool {
	s := l.Heard.main()
	return s != nil && !s.Direction.Receives()
}

// Carries says whether the description has a stream in the slot that its leg carries. Works on nil.
func (d *Description) Carries(slot Slot) bool { return d.at(slot) != nil }
