package media

import (
	"sync/atomic"
	"time"

	"tandem/bridge/media/emodel"
	"tandem/bridge/sdp"
)

// Quality is how packets fare on one leg in one direction, over the leg's life.
type Quality struct {
	Packets uint64        // that were to come, the lost ones too
	Lost    uint64        // of them
	Jitter  time.Duration // interarrival jitter (RFC 3550 §6.4.1) at the end
	Burst   float64       // BurstR (G.107 §7.5): 1 for random loss, more where losses come together; 0: not known
	// The mean opinion score by the E-model (emodel), of stretches of a few seconds: the latest, the worst, the mean. Its
	// delay is half the leg's round trip and a jitter buffer. 0: not rated (video, or too few packets).
	MOS, MOSMin, MOSAvg float64
}

// LossPercent is the part that was lost.
func (q Quality) LossPercent() float64 {
	if q.Packets == 0 {
		return 0
	}
	return 100 * float64(q.Lost) / float64(q.Packets)
}

// StreamQuality is one stream on one leg.
type StreamQuality struct {
	Kind      string        // "audio", "video"
	RoundTrip time.Duration // to the leg's peer and back, by its RTCP; 0: not known
	In        Quality       // what we get from the peer
	Out       Quality       // what the peer reports that it gets from us; zero where it reports nothing
}

const (
	ratedStreams = 2                     // audio and video; T.38 is no RTP
	ratedLeast   = 25                    // packets in a stretch
	bufferLeast  = 40 * time.Millisecond // of the jitter buffer and the packets' own length
	milli        = 1000
)

// figures are a stream's published quality: written by the leg's worker, read by anybody.
type figures struct {
	known   atomic.Bool
	trip    atomic.Int64
	in, out directionFigures
}

type directionFigures struct {
	packets, lost       atomic.Uint32
	jitter              atomic.Int64  // ns
	burst               atomic.Uint32 // in thousandths, as is what follows
	mos, worst, average atomic.Uint32
}

// rating is the score of one direction; owned by the worker.
type rating struct {
	before reckoning // what was rated
	latest uint32    // thousandths
	worst  uint32
	sum    uint64
	count  uint32
}

// rate scores what came since the last time.
func (r *rating) rate(total reckoning, codec emodel.Codec, at emodel.Conditions) {
	span := total.minus(r.before)
	if int32(span.expected) < ratedLeast {
		return
	}
	r.before = total
	at.Loss = float64(span.lost()) / float64(span.expected)
	_, mos := codec.Rate(at)
	r.latest = uint32(mos*milli + 0.5)
	if r.count == 0 || r.latest < r.worst {
		r.worst = r.latest
	}
	r.sum += uint64(r.latest)
	r.count++
}

// publish rates the leg's streams and shows how they do.
func (l *Leg) publish() {
	if l.relay == nil {
		return
	}
	for i := range min(len(l.tracks), ratedStreams, len(l.relay.plan.Streams)) {
		t := &l.tracks[i]
		if !t.in.heard && t.remote.reports == 0 {
			continue
		}
		codec := l.relay.plan.Streams[i].Codec[l.side]
		t.publish(&l.counters.streams[i], codec)
	}
}

func (t *track) publish(to *figures, codec sdp.Codec) {
	jitter := [2]time.Duration{length(t.in.jitter>>4, codec.Clock), length(t.remote.jitter, codec.Clock)}
	total := [2]reckoning{t.in.total(), t.remote.total}
	burst := t.in.burst()
	if voice, ok := emodel.Find(codec.Name); ok {
		half := time.Duration(t.remote.trip / 2)
		t.heardAs.rate(total[0], voice, emodel.Conditions{Delay: half + buffer(jitter[0]), Burst: burst})
		t.saidAs.rate(total[1], voice, emodel.Conditions{Delay: half + buffer(jitter[1])})
	}
	to.trip.Store(t.remote.trip)
	to.in.store(total[0], jitter[0], &t.heardAs)
	to.in.burst.Store(uint32(burst * milli))
	to.out.store(total[1], jitter[1], &t.saidAs)
	to.known.Store(true)
}

// buffer is what a receiver waits for packets to come in order.
func buffer(jitter time.Duration) time.Duration { return max(bufferLeast, 2*jitter+bufferLeast/2) }

// length is a number of ticks of a clock.
func length(ticks uint32, clock int) time.Duration {
	if clock <= 0 {
		return 0
	}
	return time.Duration(ticks) * time.Second / time.Duration(clock)
}

// burst is BurstR: the mean run of lost packets over that of random loss, 1/(1-p).
func (r *reception) burst() float64 {
	total := r.total()
	if r.gaps == 0 || total.lost() == 0 {
		return 0
	}
	loss := float64(total.lost()) / float64(total.expected)
	return max(1, float64(r.gapSize)/float64(r.gaps)*(1-loss))
}

func (d *directionFigures) store(total reckoning, jitter time.Duration, r *rating) {
	d.packets.Store(total.expected)
	d.lost.Store(total.lost())
	d.jitter.Store(int64(jitter))
	d.mos.Store(r.latest)
	d.worst.Store(r.worst)
	if r.count > 0 {
		d.average.Store(uint32(r.sum / uint64(r.count)))
	}
}

func (d *directionFigures) quality() Quality {
	thousandths := func(v *atomic.Uint32) float64 { return float64(v.Load()) / milli }
	return Quality{
		Packets: uint64(d.packets.Load()), Lost: uint64(d.lost.Load()), Jitter: time.Duration(d.jitter.Load()),
		Burst: thousandths(&d.burst), MOS: thousandths(&d.mos), MOSMin: thousandths(&d.worst), MOSAvg: thousandths(&d.average),
	}
}

// qualities are the streams that carried something.
func (c *legCounters) qualities() []StreamQuality {
	var all []StreamQuality
	for i, kind := range []string{sdp.Audio: "audio", sdp.Video: "video"} {
		if f := &c.streams[i]; f.known.Load() {
			all = append(all, StreamQuality{
				Kind: kind, RoundTrip: time.Duration(f.trip.Load()), In: f.in.quality(), Out: f.out.quality(),
			})
		}
	}
	return all
}
