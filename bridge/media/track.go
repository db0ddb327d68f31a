package media

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"

	"tandem/bridge/sdp"
)

// track is one stream of a leg, both ways; owned by the leg's worker.
type track struct {
	in      reception // from the leg's peer
	out     path      // to it
	sent    sent
	remote  remote
	heardAs rating   // of what the peer sends
	saidAs  rating   // of what it gets
	history *history // nil: the peer has missed nothing so far
	self    uint32   // our SSRC in RTCP while nothing leaves
	wanted  int64    // when a key frame was last asked for
	firs    uint8    // full intra requests sent
}

// sent counts what leaves, for sender reports.
type sent struct {
	packets, octets uint32
	reported        uint32 // packets as of the latest report
}

// remote is what a leg's peer reports of what it gets.
type remote struct {
	reports uint32
	highest uint32 // extended sequence number
	lost    int32  // cumulative
	total   reckoning
	jitter  uint32 // ticks
	trip    int64  // round trip, ns, smoothed; 0: not known
}

// canonicalName is a leg's CNAME: one for all its streams, which belong together (RFC 7022 §4.2).
type canonicalName [nameSize]byte

const nameSize = 16

func newCanonicalName() (name canonicalName) {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	binary.BigEndian.PutUint32(b[8:], rand.Uint32())
	base64.RawURLEncoding.Encode(name[:], b[:])
	return name
}

// count counts a packet that leaves: its payload only (RFC 3550 §6.4.1).
func (s *sent) count(p []byte) {
	s.packets++
	size, _ := rtpHeader(p)
	s.octets += uint32(len(p) - size)
}

// ready makes the leg's tracks ready for a plan's streams. anew: another leg's packets come from now on.
func (l *Leg) ready(p *sdp.Plan, side int, anew bool) {
	l.addTracks(len(p.Streams))
	for i := range p.Streams {
		t := &l.tracks[i]
		t.in.setClock(p.Streams[i].Codec[side].Clock)
		t.out.framed = p.Streams[i].Kind == "video"
		if anew {
			t.out.settled = false
		}
	}
}

// maxTracks is how many streams a written-down leg may have.
const maxTracks = int(sdp.Slots)

func (l *Leg) addTracks(count int) {
	for len(l.tracks) < count {
		l.tracks = append(l.tracks, track{self: rand.Uint32()})
	}
}

// ssrc is with what we speak to the leg's peer.
func (t *track) ssrc() uint32 {
	if t.out.started {
		return t.out.ssrc
	}
	return t.self
}

// heardTrack is the track in which a source of the leg's peer is heard, nil where it is in none.
func (l *Leg) heardTrack(ssrc uint32) (int, *track) {
	for i := range l.tracks {
		if t := &l.tracks[i]; t.in.heard && t.in.ssrc == ssrc {
			return i, t
		}
	}
	return 0, nil
}

// sentTrack is the track that leaves with an SSRC, nil where none does.
func (l *Leg) sentTrack(ssrc uint32) (int, *track) {
	for i := range l.tracks {
		if t := &l.tracks[i]; t.out.started && t.out.ssrc == ssrc {
			return i, t
		}
	}
	return 0, nil
}
