package sdp

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Codec is one payload format of a stream, with the payload type of the leg on which it stands.
type Codec struct {
	PayloadType uint8
	Name        string // as in the rtpmap; static types filled in
	Clock       int    // Hz
	Channels    int    // 1 where absent
	Format      string // fmtp value
}

// Same says whether two legs mean the same format: name, clock and channels, and of video what else must fit. Clocks and
// channels are part of it, for packets pass untouched.
func (c Codec) Same(other Codec) bool {
	return c.Clock == other.Clock && c.Channels == other.Channels && strings.EqualFold(c.Name, other.Name) &&
		c.variant() == other.variant()
}

// String is the rtpmap's encoding, name/clock[/channels].
func (c Codec) String() string {
	s := c.Name + "/" + strconv.Itoa(c.Clock)
	if c.Channels > 1 {
		s += "/" + strconv.Itoa(c.Channels)
	}
	return s
}

// is compares what String gives, without making it: this is asked dozens of times for each call.
func (c Codec) is(name string, clock, channels int) bool {
	return c.Clock == clock && max(c.Channels, 1) == channels && strings.EqualFold(c.Name, name)
}

// telephone says whether it is RFC 4733 events, at a clock that a voice codec of ours has.
func (c Codec) telephone() bool {
	return c.is("telephone-event", 8000, 1) || c.is("telephone-event", 48000, 1)
}

// noise says whether it is comfort noise (RFC 3389) for G.711 and G.722; Opus has its own.
func (c Codec) noise() bool { return c.is("CN", 8000, 1) }

// voice says whether it can carry a call by itself, and is one of those that the relay passes.
func (c Codec) voice() bool {
	return c.is("PCMA", 8000, 1) || c.is("PCMU", 8000, 1) || c.is("opus", 48000, 2) || c.is("G722", 8000, 1)
}

// relayable says whether the relay passes it. RED and FEC stay behind: they wrap payload types of one leg, which the
// other numbers differently.
func (c Codec) relayable() bool { return c.voice() || c.telephone() || c.noise() || c.picture() }

// everything is our offer where no caller's is at hand (a delayed offer). Comfort noise is not in it: only where both
// ends want it. G.722 has the clock 8000 in SDP though it samples at 16000 (RFC 3551 §4.5.2).
func everything() []Codec {
	return []Codec{
		{96, "opus", 48000, 2, "minptime=10;useinbandfec=1"},
		{9, "G722", 8000, 1, ""},
		{0, "PCMU", 8000, 1, ""},
		{8, "PCMA", 8000, 1, ""},
		{97, "telephone-event", 48000, 1, "0-15"},
		{101, "telephone-event", 8000, 1, "0-15"},
	}
}

// static is the format of a static payload type (RFC 3551 §6); the Name is empty where there is none.
func static(payloadType uint8) Codec {
	mono := func(name string, clock int) Codec { return Codec{payloadType, name, clock, 1, ""} }
	switch payloadType {
	case 0:
		return mono("PCMU", 8000)
	case 3:
		return mono("GSM", 8000)
	case 4:
		return mono("G723", 8000)
	case 5:
		return mono("DVI4", 8000)
	case 6:
		return mono("DVI4", 16000)
	case 7:
		return mono("LPC", 8000)
	case 8:
		return mono("PCMA", 8000)
	case 9:
		return mono("G722", 8000)
	case 10:
		return Codec{payloadType, "L16", 44100, 2, ""}
	case 11:
		return mono("L16", 44100)
	case 12:
		return mono("QCELP", 8000)
	case 13:
		return mono("CN", 8000)
	case 14:
		return mono("MPA", 90000)
	case 15:
		return mono("G728", 8000)
	case 16:
		return mono("DVI4", 11025)
	case 17:
		return mono("DVI4", 22050)
	case 18:
		return mono("G729", 8000)
	}
	return Codec{PayloadType: payloadType}
}

// relayables are the codecs that the relay passes, each once.
func relayables(codecs []Codec) iter.Seq[Codec] {
	return func(yield func(Codec) bool) {
		for i, c := range codecs {
			if c.relayable() && !slices.ContainsFunc(codecs[:i], c.Same) && !yield(c) {
				return
			}
		}
	}
}

// carries says whether one of the codecs can carry a stream, of sound or of pictures.
func carries(codecs []Codec) bool {
	return slices.ContainsFunc(codecs, func(c Codec) bool { return c.voice() || c.picture() })
}

// names lists codecs for an error's text.
func names(codecs []Codec) string {
	if len(codecs) == 0 {
		return "none"
	}
	var all []string
	for _, c := range codecs[:min(len(codecs), 16)] {
		if c.Name == "" {
			all = append(all, "payload type "+strconv.Itoa(int(c.PayloadType)))
			continue
		}
		all = append(all, c.String())
	}
	return strings.Join(all, ", ")
}

// shared are the codecs of an answer: those that were offered and that the far side has too, with the offer's payload
// types and names (RFC 3264 §6.1), in the far side's order and with its formats. Voice comes first: a browser sends the
// first codec of an answer. Of the events each leg has its own, whatever the far side has. Empty where nothing is shared.
func shared(offered, far []Codec) []Codec {
	var all []Codec
	for f := range relayables(far) {
		if i := slices.IndexFunc(offered, f.Same); i >= 0 && !f.telephone() {
			c := offered[i]
			c.Format = f.Format
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b Codec) int { return a.rank() - b.rank() })
	if len(all) == 0 || !carries(all[:1]) {
		return nil
	}
	return withTelephone(all, offered, far)
}

// withTelephone adds one telephone-event of the offer: one that the far side has too, with its format, so that events pass
// untouched, else the leg's own; of several the one at the clock of the first codec.
func withTelephone(codecs, offered, far []Codec) []Codec {
	if codecs[0].picture() {
		return codecs
	}
	var both []Codec
	for _, f := range far {
		if i := slices.IndexFunc(offered, f.Same); i >= 0 && f.telephone() {
			c := offered[i]
			c.Format = f.Format
			both = append(both, c)
		}
	}
	events, found := telephoneAt(both, codecs[0].Clock)
	if !found {
		events, found = telephoneAt(offered, codecs[0].Clock)
	}
	if !found {
		return codecs
	}
	return append(codecs, events)
}

// converted are the codecs of an answer on a leg that shares none with the far side: the first offered that can be
// converted, and its events. Opus is told how much of it the far side's codec can carry (RFC 7587 §6.1): more is thrown away.
func converted(offered, far []Codec) []Codec {
	i := slices.IndexFunc(offered, Codec.voice)
	if i < 0 {
		return nil
	}
	c := offered[i]
	if j := slices.IndexFunc(far, Codec.voice); j >= 0 && strings.EqualFold(c.Name, "opus") {
		rate := far[j].band()
		c.Format = fmt.Sprintf("maxplaybackrate=%d;sprop-maxcapturerate=%d;useinbandfec=1", rate, rate)
	}
	return withTelephone([]Codec{c}, offered, nil)
}

// speaksAs says whether the voice codec that the far side puts first is among codecs.
func speaksAs(codecs, far []Codec) bool {
	i := slices.IndexFunc(far, Codec.voice)
	return i < 0 || slices.ContainsFunc(codecs, far[i].Same)
}

// band is how many samples a second a voice codec carries; G.722's clock does not say it (RFC 3551 §4.5.2).
func (c Codec) band() int {
	if strings.EqualFold(c.Name, "G722") {
		return 16000
	}
	return c.Clock
}

// rank puts voice first and events last, those at 8000 before others: softphones are known to answer telephone-event/8000
// under the payload type of the first telephone-event, whatever its clock.
func (c Codec) rank() int {
	switch {
	case c.voice(), c.picture():
		return 0
	case c.noise():
		return 1
	case c.Clock == 8000:
		return 2
	}
	return 3
}

// withEvents fills in what a missing fmtp of telephone-event means (RFC 4733 §2.4.1); phones want to see it.
func (c Codec) withEvents(profile Profile) Codec {
	if c.telephone() && c.Format == "" && profile == RTP {
		c.Format = "0-15"
	}
	return c
}

// telephoneAt is the telephone-event that goes with a codec of a clock: a browser takes the first it finds, so there is one.
// Where none has that clock another is better than no digits: older Asterisks pair Opus with telephone-event/8000.
func telephoneAt(codecs []Codec, clock int) (Codec, bool) {
	i := slices.IndexFunc(codecs, func(c Codec) bool { return c.telephone() && c.Clock == clock })
	if i < 0 {
		i = slices.IndexFunc(codecs, Codec.telephone)
	}
	if i < 0 {
		return Codec{}, false
	}
	return codecs[i], true
}

// bind remembers a leg's payload types: a number once bound to a format keeps it for the session (RFC 3264 §8.3.2). It
// gives a changed copy with one entry for each number.
func bind(bound, codecs []Codec) []Codec {
	bound = slices.Grow(slices.Clone(bound), len(codecs))
	for _, c := range codecs {
		bound = bindOne(bound, c)
	}
	return bound
}

// bindOne changes bound.
func bindOne(bound []Codec, c Codec) []Codec {
	if !c.picture() { // whose format is part of what they are
		c.Format = ""
	}
	if i := slices.IndexFunc(bound, func(b Codec) bool { return b.PayloadType == c.PayloadType }); i >= 0 {
		bound[i] = c
		return bound
	}
	return append(bound, c)
}

// bind remembers the payload types of all streams that are carried: numbers are a bundle's (RFC 9143 §10.1.1).
func (d *Description) bind(bound []Codec) []Codec {
	for slot := range Slots {
		if s := d.at(slot); s != nil {
			bound = bind(bound, s.Codecs)
		}
	}
	return bound
}

// number finds the payload type of a codec in an offer on a leg: the one it had there before, its static one, the far
// leg's, or the first that is free. false where all are taken.
func number(bound []Codec, c Codec) (uint8, bool) {
	if i := slices.IndexFunc(bound, c.Same); i >= 0 {
		return bound[i].PayloadType, true
	}
	free := func(n uint8) bool {
		return !slices.ContainsFunc(bound, func(b Codec) bool { return b.PayloadType == n })
	}
	for n := range uint8(35) {
		if static(n).Same(c) && free(n) {
			return n, true
		}
	}
	if dynamic(c.PayloadType) && free(c.PayloadType) {
		return c.PayloadType, true
	}
	for n := uint8(96); n <= 127; n++ {
		if free(n) {
			return n, true
		}
	}
	for n := uint8(35); n <= 63; n++ {
		if free(n) {
			return n, true
		}
	}
	return 0, false
}

// dynamic says whether a number may be bound freely: 64 to 95 look like RTCP on a shared port (RFC 5761 §4).
func dynamic(n uint8) bool { return n >= 96 && n <= 127 || n >= 35 && n <= 63 }

// rtpmap takes an rtpmap's encoding (RFC 8866 §6.6).
func (c *Codec) rtpmap(value string) error {
	name, rest, ok := strings.Cut(strings.TrimSpace(value), "/")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return errors.New("name/clock expected")
	}
	rate, rest, _ := strings.Cut(rest, "/")
	number, _, _ := strings.Cut(rest, "/")
	clock, err := strconv.ParseUint(rate, 10, 31)
	if err != nil || clock == 0 {
		return errors.New("no such clock")
	}
	channels := uint64(1)
	if strings.EqualFold(name, "opus") {
		channels = 2 // RFC 7587 §7 knows no other number, and some phones leave it out
	}
	if number != "" {
		if channels, err = strconv.ParseUint(number, 10, 8); err != nil || channels == 0 {
			return errors.New("no such number of channels")
		}
	}
	c.Name, c.Clock, c.Channels = name, int(clock), int(channels)
	return nil
}
