package codec

import "time"

// Stats counts what became of the packets of one direction.
type Stats struct {
	Packets    uint64 // taken
	Lost       uint64 // never came, or too late
	Recovered  uint64 // of those, given by in-band FEC
	Concealed  uint64 // times that up to 60 ms were invented
	Late       uint64 // came after their time
	Reordered  uint64 // came after a later one, but in time
	Duplicates uint64
	Discarded  uint64 // out of any sequence
	Malformed  uint64 // payloads that the codec refuses
	Restarts   uint64 // of the stream: another SSRC, a jump
	Shortened  uint64 // times that a pitch period was taken out because too much waited
	Lengthened uint64 // times that one was put in
	Sent       uint64 // packets made
}

// Departure is a packet as it leaves, without its SSRC and payload type. Its timestamps and sequence numbers begin at 0.
type Departure struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool   // the first one after a time in which none left (RFC 3551 §4.1)
	Payload   []byte // valid until the next Pull
}

const (
	// rest is for how long nothing may arrive before nothing leaves. Opus with DTX sends every 400 ms.
	rest = time.Second
	// lagging is how late Pull may come before time is skipped rather than made up for.
	lagging = 200 * time.Millisecond
	// slack is how much too long or too short sound may wait before it is stretched, and hurry is when it must be.
	slack = 10 * time.Millisecond
	hurry = 100 * time.Millisecond
	// fading is how long one stream goes over into another.
	fading = 5 * time.Millisecond
	// between is the time between two stretches.
	between = 100 * time.Millisecond
)

// Transcoder is one direction of one call.
type Transcoder struct {
	// Static after construction.
	from    Spec
	to      Spec
	decoder Decoder
	encoder Encoder
	decoded int // samples per second
	encoded int // samples per second
	change  *Resampler

	jitter  jitter
	noise   noise
	comfort bool // what is missing is noise, not lost sound
	fresh   bool // the next packet is the first of another stream; until it is heard the old one fades

	old     [240]int16 // the end of the stream before, 5 ms
	pcm     []int16    // what was decoded last
	queue   []int16    // at the encoder's rate, waiting for its packet
	payload [longestPayload]byte

	awake     bool
	latest    time.Duration // arrival
	due       time.Duration // when the next packet leaves
	stretched time.Duration // the last time
	timestamp uint32
	sequence  uint16
	marker    bool
	sent      uint64
	malformed uint64
	concealed uint64
	recovered uint64
	shortened uint64
	longer    uint64
}

// New makes the direction from what one leg sends to what the other receives. With Opus it is a quarter of a megabyte and
// takes 0.1 to 0.2 ms, so that it is not for a goroutine that has packets to relay.
func New(from, to Spec) (*Transcoder, error) {
	from, err := from.normal()
	if err != nil {
		return nil, err
	}
	if to, err = to.normal(); err != nil {
		return nil, err
	}
	t := &Transcoder{from: from, to: to, encoded: to.Name.Rate()}
	if to.Name == Opus {
		t.encoded = from.Name.Rate()
	}
	if t.decoder, t.decoded, err = NewDecoder(from.Name, t.encoded); err != nil {
		return nil, err
	}
	if t.encoder, err = NewEncoder(to, t.encoded); err != nil {
		return nil, err
	}
	most := samples(longest+stretchMost, t.decoded)
	t.change = NewResampler(t.decoded, t.encoded, most)
	t.pcm = make([]int16, 0, most)
	t.queue = make([]int16, 0, samples(longest+stretchMost+to.Ptime, t.encoded))
	t.jitter.clock = from.Name.Clock()
	return t, nil
}

// Push takes a packet that arrived. A kind that it does not know is Other.
func (t *Transcoder) Push(a Arrival, arrival time.Duration) {
	ticks := 0
	a.Kind = min(a.Kind, Other)
	if a.Kind == Sound {
		if len(a.Payload) > longestPayload {
			t.malformed++
			return
		}
		if ticks = t.decoder.Duration(a.Payload); ticks == 0 {
			t.malformed++
			return
		}
	}
	a.Payload = a.Payload[:min(len(a.Payload), longestPayload)]
	restarts := t.jitter.stats.Restarts
	t.jitter.push(a, ticks, arrival)
	t.fresh = t.fresh || t.jitter.stats.Restarts != restarts
	if a.Kind == Other {
		return
	}
	t.latest = arrival
	if !t.awake {
		t.wake(arrival)
	}
}

// wake begins to send, or does so again after a rest: whole packets later than the last, so that the clock goes on.
func (t *Transcoder) wake(arrival time.Duration) {
	begin := max(arrival+t.jitter.delay.target, t.jitter.begin)
	if t.sent == 0 {
		t.due = begin
	} else if begin > t.due {
		t.skip((begin - t.due + t.to.Ptime - 1) / t.to.Ptime)
	}
	t.awake, t.marker = true, true
	t.queue = t.queue[:0]
}

// skip lets a number of packets not be.
func (t *Transcoder) skip(packets time.Duration) {
	t.due += packets * t.to.Ptime
	t.timestamp += uint32(packets) * uint32(samples(t.to.Ptime, t.to.Name.Clock()))
	t.marker = true
}

// Next is when Pull has something to give; false if nothing is to be sent until something arrives.
func (t *Transcoder) Next() (time.Duration, bool) { return t.due, t.awake }

// Pull gives the next packet that is due, false if none is. It is called until it gives none; when that is late the packets
// are made up for, beyond 200 ms skipped.
func (t *Transcoder) Pull(now time.Duration) (Departure, bool) {
	if !t.awake || now < t.due {
		return Departure{}, false
	}
	if t.due-t.latest > rest {
		t.awake = false
		return Departure{}, false
	}
	if now-t.due > lagging {
		t.skip((now - t.due) / t.to.Ptime)
	}
	need := samples(t.to.Ptime, t.encoded)
	for len(t.queue) < need {
		t.feed(t.due + duration(len(t.queue), t.encoded))
	}
	n, err := t.encoder.Encode(t.payload[:], t.queue[:need])
	t.queue = t.queue[:copy(t.queue, t.queue[need:])]
	d := Departure{Sequence: t.sequence, Timestamp: t.timestamp, Marker: t.marker, Payload: t.payload[:n]}
	t.skip(1)
	if t.marker = err != nil; t.marker {
		return Departure{}, false
	}
	t.sequence++
	t.sent++
	return d, true
}

// feed decodes or invents the sound that is heard from at on.
func (t *Transcoder) feed(at time.Duration) {
	p := t.jitter.take(at)
	switch {
	case p.outcome == gave && p.kind == Comfort:
		t.comfort = true
		t.noise.describe(p.payload)
		return
	case p.outcome == gave:
		t.comfort = false
		t.decode(p)
		t.stretch(at)
	case t.comfort:
		t.pcm = t.pcm[:t.span(p.ticks)]
		t.noise.fill(t.pcm)
	default:
		t.conceal(p)
	}
	t.queue = t.change.Run(t.queue, t.pcm)
}

// span is how many samples ticks of the RTP clock are. Opus invents in steps of 2.5 ms.
func (t *Transcoder) span(ticks int) int {
	n := ticks * t.decoded / t.jitter.clock
	if step := t.decoded / 400; t.from.Name == Opus {
		n = max(n-n%step, step)
	}
	return n
}

func (t *Transcoder) decode(p piece) {
	fade := t.old[:0]
	if t.fresh {
		fade = t.old[:samples(fading, t.decoded)]
		t.decoder.Conceal(fade, nil)
		t.decoder.Reset()
		t.fresh = false
	}
	n, err := t.decoder.Decode(t.pcm[:samples(longest, t.decoded)], p.payload)
	if err != nil || n <= 0 {
		t.malformed++
		t.conceal(p)
		return
	}
	t.pcm = t.pcm[:n]
	if len(fade) > 0 && n >= len(fade) {
		crossfade(t.pcm[:len(fade)], fade, t.pcm)
	}
}

func (t *Transcoder) conceal(p piece) {
	t.concealed++
	t.pcm = t.pcm[:t.span(p.ticks)]
	if t.decoder.Conceal(t.pcm, p.next) {
		t.recovered++
	}
}

// stretch brings the delay nearer to what it should be, where that is not heard.
func (t *Transcoder) stretch(at time.Duration) {
	surplus := t.jitter.surplus(at + duration(len(t.pcm), t.decoded))
	urgent := surplus > hurry
	if at-t.stretched < between && !urgent {
		return
	}
	before := len(t.pcm)
	switch {
	case surplus > slack:
		t.pcm = shorten(t.pcm, t.decoded, urgent)
		t.shortened += uint64(min(before-len(t.pcm), 1))
	case surplus < -slack/2:
		t.pcm = lengthen(t.pcm, t.decoded)
		t.longer += uint64(min(len(t.pcm)-before, 1))
	}
	if len(t.pcm) != before {
		t.stretched = at
	}
}

// SetLoss says what part of the packets that leave the far side loses, in percent, as its receiver reports do.
func (t *Transcoder) SetLoss(percent int) { t.encoder.SetLoss(percent) }

// Delay is for how long sound waits now.
func (t *Transcoder) Delay() time.Duration { return t.jitter.delay.target }

// Stats counts since New.
func (t *Transcoder) Stats() Stats {
	s := t.jitter.stats
	s.Malformed, s.Concealed, s.Recovered, s.Sent = t.malformed, t.concealed, t.recovered, t.sent
	s.Shortened, s.Lengthened = t.shortened, t.longer
	return s
}
