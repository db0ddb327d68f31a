package sdp

import "cmp"

// Description is a session description, heard or said, reduced to what the bridge needs; m-lines keep their order.
type Description struct {
	Origin  string // the o= line's value
	Answer  bool   // an answer, else an offer
	ICELite bool
	Bundle  []string `json:",omitempty"` // the mids of the BUNDLE group, that of the transport first
	Streams []Stream
	Body    string `json:",omitempty"` // on a direct leg the text as its writer says it; of ours Origin is in the place of its o= line
}

// Stream is one m-line.
type Stream struct {
	Kind      string // "audio", "video", "application", …
	Protocol  string // "UDP/TLS/RTP/SAVPF", …
	Format    string // the first of the m-line, repeated where we reject it, with its rtpmap
	Map       string // the rtpmap of Format
	Rejected  bool   // port 0 (and not bundle-only)
	Follows   bool   // bundle-only with port 0: lives only by another m-line's transport
	Refused   bool   `json:",omitempty"` // an offer's: it could have been carried, and our answer refused it
	Idle      bool   `json:",omitempty"` // not carried and yet not refused by us, for the bundle has its transport; inactive
	Relayed   bool   // the bridge carries it, in the slot of its kind; at most one of each
	Bundled   bool   // its mid stands in the BUNDLE group
	MID       string
	Direction Direction // hold by c=0.0.0.0 counts as the direction that it means
	Codecs    []Codec   // audio and video, in order of preference
	Ptime     int       // ms; 0 where absent
	MaxPtime  int       // ms; 0 where absent
	Remote    RemoteStream
	ICE       Transport   // as it stands in the text; on an RTP leg Remote has what of it was agreed
	Crypto    []Crypto    `json:",omitempty"` // RTP legs: the lines that can be obeyed
	Unkeyed   string      `json:",omitempty"` // why other a=crypto lines cannot
	Mismatch  bool        `json:",omitempty"` // the default address is none of the candidates (RFC 8839 §4.2.5), or the peer says so
	Reduced   bool        // reduced-size RTCP (RFC 5506)
	Bandwidth []string    `json:",omitempty"` // video: the most that the writer wants to receive, as its b= lines
	Feedback  Feedback    `json:",omitzero"`  // that the writer takes, for whichever codec
	Extension []Extension `json:",omitempty"` // header extensions, of a heard text those that do not pass too
	Fax       []string    `json:",omitempty"` // image: its attributes, verbatim
	SSRC      uint32      // 0 where none is announced
	Msid      string
}

// relayed is the index of the stream that the bridge carries in a slot, -1 where there is none. Works on nil.
func (d *Description) relayed(slot Slot) int {
	if d != nil {
		for i := range d.Streams {
			if s := &d.Streams[i]; s.Relayed && slotOf(s.Kind) == slot {
				return i
			}
		}
	}
	return -1
}

// refused says whether our answer refused the m-line that now is carried in a slot. Works on nil.
func (d *Description) refused(now *Description, slot Slot) bool {
	i := now.relayed(slot)
	return d != nil && i >= 0 && i < len(d.Streams) && d.Streams[i].Refused && d.Streams[i].MID == now.Streams[i].MID
}

// at is the stream that the bridge carries in a slot, nil where there is none. Works on nil.
func (d *Description) at(slot Slot) *Stream {
	if i := d.relayed(slot); i >= 0 {
		return &d.Streams[i]
	}
	return nil
}

// main is the stream that stands for the session: audio, else what there is; nil where nothing is carried. Works on nil.
func (d *Description) main() *Stream {
	for slot := range Slots {
		if s := d.at(slot); s != nil {
			return s
		}
	}
	return nil
}

// ptime is how long the packets are to be that the writer receives, in ms: no longer than its longest, nor is the usual 20
// where it names none. 0 where all is left to the sender.
func (s Stream) ptime() int {
	if s.MaxPtime > 0 && s.MaxPtime < cmp.Or(s.Ptime, usualPtime) {
		return s.MaxPtime
	}
	return s.Ptime
}

const usualPtime = 20

// resized says whether the writer asks for packets of another length than it did then, where it left that open for the usual one.
func (s Stream) resized(then Stream) bool {
	return s.ptime() != 0 && s.ptime() != cmp.Or(then.ptime(), usualPtime)
}

// rejected is the same m-line refused: it keeps its place for ever (RFC 3264 §8.2).
func (s Stream) rejected() Stream {
	return Stream{Kind: s.Kind, Protocol: s.Protocol, Format: s.Format, Map: s.Map, Rejected: true, MID: s.MID}
}
