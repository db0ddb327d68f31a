package recording

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"tandem/bridge/media/codec"
)

const (
	rate      = 16000 // samples a second of each channel: all that G.722 has, and the speech in Opus
	wavHeader = 44
	settled   = time.Second     // older sound does not change any more
	amendEach = 5 * time.Second // how often the header is brought up to date, should the process die
	astray    = 2 * rate        // a stream that is so far from its packets' arrival is placed anew
)

// sound is a WAV file: 16-bit PCM, the caller on the left, the callee on the right, silence where nothing came.
type sound struct {
	out     *os.File
	tracks  [2]track
	done    int // frames written
	written int64
	amended time.Duration
	buffer  []byte
}

// track is one channel's sound that is not written yet: pcm[0] is frame number of sound.done.
type track struct {
	pcm     []int16
	spoken  codec.Name
	decoder codec.Decoder
	rate    int
	scratch []int16
	known   bool // where the stream lies
	ssrc    uint32
	stamp   uint32 // RTP timestamp of
	frame   int    // this frame
}

func newSound(out *os.File) *sound { return &sound{out: out} }

func frames(d time.Duration) int { return int(int64(d) * rate / int64(time.Second)) }

// add decodes a packet and puts it where its timestamp says.
func (s *sound) add(p *parcel) error {
	t := &s.tracks[p.side]
	payload, stamp, ssrc, ok := split(p.data())
	if p.codec == 0 || !ok {
		return nil
	}
	if t.spoken != p.codec {
		decoder, has, err := codec.NewDecoder(p.codec, rate)
		if err != nil {
			return nil // a codec that is not sound to us
		}
		t.spoken, t.decoder, t.rate, t.known = p.codec, decoder, has, false
		t.scratch = make([]int16, has*12/100)
	}
	if t.decoder.Duration(payload) == 0 {
		return nil
	}
	n, err := t.decoder.Decode(t.scratch, payload)
	if err != nil {
		return nil // what a peer sends is no fault of the disk's
	}
	t.place(s.done, t.locate(p, stamp, ssrc), t.scratch[:n])
	return nil
}

// split finds an RTP packet's payload.
func split(p []byte) (payload []byte, stamp, ssrc uint32, ok bool) {
	if len(p) < 12 {
		return nil, 0, 0, false
	}
	size := 12 + 4*int(p[0]&0x0f)
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

// locate is the frame at which a packet's sound begins.
func (t *track) locate(p *parcel, stamp, ssrc uint32) int {
	came := frames(p.at)
	at := t.frame + int(int64(int32(stamp-t.stamp))*rate/int64(p.clock))
	if !t.known || ssrc != t.ssrc || at-came > astray || came-at > astray {
		at = came
	}
	t.known, t.ssrc, t.stamp, t.frame = true, ssrc, stamp, at
	return at
}

// place puts samples at a frame; what is written already stays as it is.
func (t *track) place(done, at int, samples []int16) {
	double := 1
	if t.rate*2 == rate {
		double = 2
	}
	for i, x := range samples {
		for k := range double {
			if n := at + i*double + k - done; n >= 0 {
				for len(t.pcm) <= n {
					t.pcm = append(t.pcm, 0)
				}
				t.pcm[n] = x
			}
		}
	}
}

func (s *sound) flush(now time.Duration) error {
	if err := s.write(frames(now-settled) - s.done); err != nil {
		return err
	}
	if now-s.amended < amendEach {
		return nil
	}
	s.amended = now
	return s.amend()
}

// write writes so many frames of both channels.
func (s *sound) write(count int) error {
	if count <= 0 {
		return nil
	}
	if s.written == 0 {
		if err := s.append(s.header()); err != nil {
			return err
		}
	}
	s.buffer = s.buffer[:0]
	for i := range count {
		for side := range s.tracks {
			x := int16(0)
			if pcm := s.tracks[side].pcm; i < len(pcm) {
				x = pcm[i]
			}
			s.buffer = binary.LittleEndian.AppendUint16(s.buffer, uint16(x))
		}
	}
	for side := range s.tracks {
		t := &s.tracks[side]
		t.pcm = t.pcm[:copy(t.pcm, t.pcm[min(count, len(t.pcm)):])]
	}
	s.done += count
	return s.append(s.buffer)
}

func (s *sound) append(b []byte) error {
	n, err := s.out.Write(b)
	s.written += int64(n)
	return err
}

// header is a RIFF header for what is written so far.
func (s *sound) header() []byte {
	const channels, bits = 2, 16
	size := uint32(max(s.written-wavHeader, 0))
	b := append([]byte(nil), "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, wavHeader-8+size)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, channels)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate*channels*bits/8)
	b = binary.LittleEndian.AppendUint16(b, channels*bits/8)
	b = binary.LittleEndian.AppendUint16(b, bits)
	b = append(b, "data"...)
	return binary.LittleEndian.AppendUint32(b, size)
}

func (s *sound) amend() error {
	if s.written == 0 {
		return nil
	}
	_, err := s.out.WriteAt(s.header(), 0)
	return err
}

func (s *sound) finish() error {
	left := max(len(s.tracks[0].pcm), len(s.tracks[1].pcm))
	return errors.Join(s.write(left), s.amend(), s.out.Close())
}

func (s *sound) size() int64 { return s.written }
