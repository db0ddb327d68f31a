package recording

import (
	"encoding/binary"

	"tandem/bridge/media/codec"
)

const (
	rate      = 16000    // samples a second of each channel: all that G.722 has, and the speech in Opus
	astray    = 2 * rate // a stream that jumps back so far from its packets' arrival is placed anew
	ahead     = rate     // one that is so far before it too
	longest   = rate * 12 / 100
	rtpHeader = 12
)

// track is one channel's sound that is not written yet.
type track struct {
	pcm     []int16 // pcm[0] is frame number done
	done    int     // frames that are written
	spoken  codec.Name
	decoder codec.Decoder
	rise    *codec.Resampler // nil: the decoder has the file's rate
	scratch []int16
	risen   []int16
	known   bool // where the stream lies
	ssrc    uint32
	stamp   uint32 // newest RTP timestamp, of
	frame   int    // this frame
	next    int    // frame behind the packet before
}

// add decodes a packet and puts it where its timestamp says. What a peer sends is no fault of ours: what is no sound is passed
// over.
func (t *track) add(p *parcel) {
	payload, stamp, ssrc, ok := split(p.data())
	if p.codec == 0 || !ok || !t.speaks(p.codec) || t.decoder.Duration(payload) == 0 {
		return
	}
	if t.known && ssrc != t.ssrc {
		t.decoder.Reset()
	}
	n, err := t.decoder.Decode(t.scratch, payload)
	if err != nil {
		return
	}
	at := t.locate(p, stamp, ssrc)
	if at != t.next {
		t.rise.Reset()
	}
	t.risen = t.rise.Run(t.risen[:0], t.scratch[:n])
	t.place(at, t.risen)
	t.next = at + len(t.risen)
}

// speaks makes the decoder of a codec the track's; false where there is none.
func (t *track) speaks(name codec.Name) bool {
	if t.spoken == name {
		return true
	}
	decoder, has, err := codec.NewDecoder(name, rate)
	if err != nil {
		return false
	}
	t.spoken, t.decoder, t.known = name, decoder, false
	t.rise = codec.NewResampler(has, rate, longest)
	t.scratch = make([]int16, longest)
	return true
}

// split finds an RTP packet's payload.
func split(p []byte) (payload []byte, stamp, ssrc uint32, ok bool) {
	if len(p) < rtpHeader {
		return nil, 0, 0, false
	}
	size := rtpHeader + 4*int(p[0]&0x0f)
	if p[0]&0x10 != 0 && len(p) >= size+4 {
		size += 4 + 4*int(binary.BigEndian.Uint16(p[size+2:]))
	}
	end := len(p)
	if p[0]&0x20 != 0 {
		end -= int(p[len(p)-1])
	}
	if size > end {
		return nil, 0, 0, false
	}
	return p[size:end], binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint32(p[8:]), true
}

// locate is the frame at which a packet's sound begins. A stream is placed by the arrival of its first packet, and anew where it
// strays from that of a later one: a sender's clock may stand still while it is silent, until its sound would lie in what is
// written already. A late packet alone moves no stream.
func (t *track) locate(p *parcel, stamp, ssrc uint32) int {
	came := frames(p.at)
	newer := int32(stamp - t.stamp)
	at := t.frame + int(int64(newer)*rate/int64(p.codec.Clock()))
	switch {
	case !t.known || ssrc != t.ssrc || at-came > ahead || came-at > astray || newer > 0 && at < t.done:
		at = came
	case newer < 0:
		return at
	}
	t.known, t.ssrc, t.stamp, t.frame = true, ssrc, stamp, at
	return at
}

// place puts samples at a frame; what is written already stays as it is.
func (t *track) place(at int, samples []int16) {
	from := at - t.done
	if from < 0 {
		samples = samples[min(-from, len(samples)):]
		from = 0
	}
	if more := from + len(samples) - len(t.pcm); more > 0 {
		t.pcm = append(t.pcm, make([]int16, more)...)
	}
	copy(t.pcm[from:], samples)
}

// forget drops so many frames, which are written.
func (t *track) forget(count int) {
	t.pcm = t.pcm[:copy(t.pcm, t.pcm[min(count, len(t.pcm)):])]
	t.done += count
}
