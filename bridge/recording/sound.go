package recording

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

const (
	wavHeader = 44
	wavFrame  = 4               // two channels of 16 bits
	settled   = time.Second     // older sound does not change any more
	amendEach = 5 * time.Second // how often the header is brought up to date, should the process die
)

// sound is a WAV file: 16-bit PCM, the caller on the left, the callee on the right, silence where nothing came.
type sound struct {
	out     File
	tracks  [2]track
	done    int // frames written
	written int64
	amended time.Duration
	buffer  []byte
}

func newSound(out File) *sound { return &sound{out: out} }

func frames(d time.Duration) int { return int(int64(d) * rate / int64(time.Second)) }

func (s *sound) begin() error { return s.append(s.header()) }

func (s *sound) add(p *parcel) { s.tracks[p.side].add(p) }

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
		s.tracks[side].forget(count)
	}
	s.done += count
	return s.append(s.buffer)
}

func (s *sound) append(b []byte) error {
	n, err := s.out.Write(b)
	s.written += int64(n)
	return err
}

// sounding is how many bytes of whole frames are written.
func (s *sound) sounding() int64 { return max(s.written-wavHeader, 0) / wavFrame * wavFrame }

// header is a RIFF header for what is written so far. It cannot count beyond 4 GiB, which is 18 hours.
func (s *sound) header() []byte {
	const channels, bits = 2, 16
	size := uint32(min(s.sounding(), math.MaxUint32-wavHeader))
	b := append([]byte(nil), "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, wavHeader-8+size)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, channels)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate*wavFrame)
	b = binary.LittleEndian.AppendUint16(b, wavFrame)
	b = binary.LittleEndian.AppendUint16(b, bits)
	b = append(b, "data"...)
	return binary.LittleEndian.AppendUint32(b, size)
}

func (s *sound) amend() error {
	_, err := s.out.WriteAt(s.header(), 0)
	return err
}

// finish writes what is left, with silence to the end; a file that broke off ends with its last whole frame.
func (s *sound) finish(now time.Duration) error {
	var fault error
	if now > 0 {
		left := max(len(s.tracks[0].pcm), len(s.tracks[1].pcm), frames(now)-s.done)
		fault = s.write(left)
	}
	return errors.Join(fault, s.amend(), s.out.Truncate(s.size()), s.out.Close())
}

func (s *sound) size() int64 {
	return min(s.written, wavHeader+s.sounding())
}
