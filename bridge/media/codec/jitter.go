package codec

import "time"

// Kind says what a packet is to the sound.
type Kind uint8

// The kinds of packets.
const (
	// Sound is coded by the stream's codec.
	Sound Kind = iota
	// Comfort is comfort noise (RFC 3389).
	Comfort
	// Other is anything else in the stream, such as a digit (RFC 4733): it takes its sequence number and is not heard.
	Other
)

// Arrival is a packet as it comes.
type Arrival struct {
	Kind      Kind
	Sequence  uint16
	Timestamp uint32
	SSRC      uint32
	Payload   []byte // copied
}

const (
	// jitterSlots is how many packets wait at most; a power of two. A packet further away in sequence is of another stream.
	jitterSlots = 64
	// jump is how far a timestamp is from where it should be before it counts as a new beginning.
	jump = 2 * time.Second
)

type slot struct {
	full      bool
	kind      Kind
	sequence  int64
	timestamp int64
	ticks     int // duration
	payload   []byte
}

// outcome says what the jitter buffer has for the next bit of sound.
type outcome uint8

const (
	// gave: a packet.
	gave outcome = iota
	// lost: the packet is missing, though later ones are there.
	lost
	// paused: the sender sent nothing for this time, and knows it.
	paused
	// dry: nothing is there.
	dry
)

// piece is what the jitter buffer gives: a payload, or a time without one. Its payload is valid until the next push.
type piece struct {
	outcome outcome
	kind    Kind
	payload []byte
	ticks   int
	next    []byte // with lost: the payload that follows directly, or nil
}

// jitter puts the packets of one RTP stream in order and says when which is to be heard. A new SSRC, a sequence number far
// off that is confirmed by the one after it, and a jump of the timestamp begin anew. Sequence numbers and timestamps are
// kept unwrapped.
type jitter struct {
	clock      int // ticks per second; static after construction
	slots      [jitterSlots]slot
	delay      delay
	started    bool
	ssrc       uint32
	begin      time.Duration // nothing is heard before
	sequence   int64         // of the next packet to hear
	timestamp  int64         // of the next sound to hear
	highest    int64         // sequence number
	newest     int64         // timestamp of the highest
	frame      int           // ticks of the latest packet
	silence    int           // ticks without a packet since the last
	heard      bool          // whether anything was given since the stream began
	suspect    uint16        // the sequence number that would confirm a jump
	suspicious bool
	stats      Stats
}

func (j *jitter) restart(a Arrival, arrival time.Duration) {
	for i := range j.slots {
		j.slots[i].full = false
		j.slots[i].sequence = -1
	}
	if j.started {
		j.stats.Restarts++
	}
	j.started, j.suspicious, j.ssrc = true, false, a.SSRC
	j.delay.started = false
	j.sequence, j.highest = 1<<32|int64(a.Sequence), 1<<32|int64(a.Sequence)
	j.timestamp, j.newest = 1<<40|int64(a.Timestamp), 1<<40|int64(a.Timestamp)
	j.begin = arrival + firstDelay
	j.silence, j.heard = 0, false
}

// time of a timestamp, by the sender's clock.
func (j *jitter) time(timestamp int64) time.Duration {
	return time.Duration(timestamp * (int64(time.Second) / 1000) / int64(j.clock/1000))
}

// push takes a packet of so many ticks.
func (j *jitter) push(a Arrival, ticks int, arrival time.Duration) {
	if !j.started || a.SSRC != j.ssrc {
		j.restart(a, arrival)
	}
	sequence := j.highest + int64(int16(a.Sequence-uint16(j.highest)))
	timestamp := j.newest + int64(int32(a.Timestamp-uint32(j.newest)))
	switch {
	case sequence >= j.sequence+jitterSlots || sequence <= j.highest-jitterSlots:
		if !j.suspicious || a.Sequence != j.suspect {
			j.suspicious, j.suspect = true, a.Sequence+1
			j.stats.Discarded++
			return
		}
		j.restart(a, arrival)
		sequence, timestamp = j.highest, j.newest
	case a.Kind != Other && j.delay.started && (arrival-j.time(timestamp)-j.delay.base()).Abs() > jump:
		j.restart(a, arrival)
		sequence, timestamp = j.highest, j.newest
	}
	j.suspicious = false
	if a.Kind == Sound {
		j.delay.observe(arrival, j.time(timestamp))
	}
	if !j.heard && sequence < j.sequence {
		j.sequence, j.timestamp = sequence, timestamp
	}
	if !j.wanted(sequence) {
		return
	}
	if sequence < j.highest {
		j.stats.Reordered++
	} else if j.highest = sequence; a.Kind == Sound {
		j.newest = timestamp
	}
	s := &j.slots[sequence%jitterSlots]
	s.full, s.kind, s.sequence, s.timestamp, s.ticks = true, a.Kind, sequence, timestamp, ticks
	s.payload = append(s.payload[:0], a.Payload...)
	j.stats.Packets++
}

// wanted says whether a packet with this sequence number is new and not too late, and counts it if it is neither.
func (j *jitter) wanted(sequence int64) bool {
	if j.slots[sequence%jitterSlots].sequence == sequence {
		j.stats.Duplicates++
		return false
	}
	if sequence < j.sequence {
		j.stats.Late++
		return false
	}
	return true
}

// take gives the sound that is heard from at on, and moves on behind it.
func (j *jitter) take(at time.Duration) piece {
	if at < j.begin {
		return piece{outcome: dry, ticks: j.quantum()}
	}
	for {
		s := j.first()
		if s == nil {
			j.timestamp += int64(j.quantum())
			j.silence += j.quantum()
			return piece{outcome: dry, ticks: j.quantum()}
		}
		if s.kind == Other {
			j.pass(s)
			continue
		}
		j.align(s, at)
		gap := int(s.timestamp - j.timestamp)
		switch {
		case gap > 0:
			return j.missing(s, gap)
		case j.overdue(s, at):
			j.stats.Late++
			j.pass(s)
			j.timestamp = s.timestamp + int64(s.ticks)
			continue
		}
		j.pass(s)
		j.timestamp = s.timestamp + int64(s.ticks)
		j.silence = 0
		if s.kind == Sound {
			j.frame = s.ticks
		}
		return piece{outcome: gave, kind: s.kind, payload: s.payload, ticks: s.ticks}
	}
}

// first is the waiting packet with the lowest sequence number.
func (j *jitter) first() *slot {
	for sequence := j.sequence; sequence <= j.highest; sequence++ {
		if s := &j.slots[sequence%jitterSlots]; s.full && s.sequence == sequence {
			return s
		}
	}
	return nil
}

// pass leaves a packet and all before it behind.
func (j *jitter) pass(s *slot) {
	j.miss(s.sequence)
	j.sequence = s.sequence + 1
	s.full, j.heard = false, true
}

// miss gives up what is missing before a sequence number. From now on sound waits for so long that the packet behind a gap
// is there when the gap is heard.
func (j *jitter) miss(next int64) {
	if next > j.sequence {
		j.stats.Lost += uint64(next - j.sequence)
		j.sequence = next
		j.delay.floor = j.time(int64(j.quantum())) + delayBucket
	}
}

// align chooses, after a time without sound, when the packet is heard: when it has waited as long as it should.
func (j *jitter) align(s *slot, at time.Duration) {
	if j.silence < j.clock/16 {
		return
	}
	wait := j.delay.base() + j.time(s.timestamp) + j.delay.target - at
	j.timestamp = s.timestamp - int64(samples(max(wait, 0), j.clock))
	j.silence = 0
}

// overdue says whether a packet has waited for too long by now. If not it is heard, though its time may be over, and what
// follows is heard later too: after a stall nothing is thrown away that can still be said.
func (j *jitter) overdue(s *slot, at time.Duration) bool {
	return at-j.time(s.timestamp)-j.delay.base() > mostDelay+hurry
}

// missing is the piece before a packet that is not due for gap ticks.
func (j *jitter) missing(s *slot, gap int) piece {
	ticks := min(gap, j.quantum())
	j.timestamp += int64(ticks)
	j.silence += ticks
	if s.sequence == j.sequence {
		return piece{outcome: paused, ticks: ticks}
	}
	p := piece{outcome: lost, ticks: ticks}
	if gap == ticks && s.kind == Sound {
		p.next = s.payload
	}
	if s.sequence > j.sequence+1 {
		j.miss(j.sequence + 1)
	}
	return p
}

// quantum is how much is concealed at once.
func (j *jitter) quantum() int {
	if j.frame == 0 {
		return j.clock / 50
	}
	return min(j.frame, j.clock*3/50)
}

// surplus is by how much sound that is heard at a time waited longer than it should; negative if not long enough.
func (j *jitter) surplus(at time.Duration) time.Duration {
	return at - j.time(j.timestamp) - j.delay.base() - j.delay.target
}
