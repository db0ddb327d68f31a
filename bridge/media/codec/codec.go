package codec

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Name is a codec's, as in an SDP rtpmap.
type Name uint8

// The codecs that can be turned into each other.
const (
	PCMU Name = iota + 1
	PCMA
	G722
	Opus
)

// ParseName reads the encoding name of an rtpmap, in any case (RFC 8866 §6.6).
func ParseName(text string) (Name, bool) {
	for n := PCMU; n <= Opus; n++ {
		if strings.EqualFold(n.String(), text) {
			return n, true
		}
	}
	return 0, false
}

func (n Name) String() string {
	switch n {
	case PCMU:
		return "PCMU"
	case PCMA:
		return "PCMA"
	case G722:
		return "G722"
	case Opus:
		return "opus"
	}
	return "unknown"
}

// Clock is the RTP clock in ticks per second. G.722 has 8000, though it carries 16000 samples (RFC 3551 §4.5.2).
func (n Name) Clock() int {
	if n == Opus {
		return 48000
	}
	return 8000
}

// Rate is how many samples per second it takes to carry all that the codec can: beyond it nothing is heard.
func (n Name) Rate() int {
	switch n {
	case Opus:
		return 48000
	case G722:
		return 16000
	}
	return 8000
}

// Spec says what one leg speaks.
type Spec struct {
	Name Name
	// Ptime is the duration of the packets that leave; those that arrive may have any. 0 is 20 ms. It is brought to
	// a multiple of 10 ms from 10 to 60, and for Opus, which has no 30 and 50, to the next shorter.
	Ptime time.Duration
	// FEC says that the receiver asked for in-band FEC (useinbandfec=1, RFC 7587 §6.1). It costs nothing until
	// Transcoder.SetLoss reports a loss. Only for Opus.
	FEC bool
}

var errName = errors.New("unknown codec")

// normal checks a Spec and fills in what it leaves open.
func (s Spec) normal() (Spec, error) {
	if s.Name < PCMU || s.Name > Opus {
		return s, fmt.Errorf("codec %d: %w", s.Name, errName)
	}
	if s.Ptime == 0 {
		s.Ptime = 20 * time.Millisecond
	}
	s.Ptime = min(max(s.Ptime.Truncate(10*time.Millisecond), 10*time.Millisecond), 60*time.Millisecond)
	if ms := s.Ptime.Milliseconds(); s.Name == Opus && (ms == 30 || ms == 50) {
		s.Ptime -= 10 * time.Millisecond
	}
	return s, nil
}

// longest is the longest packet that is decoded (RFC 6716 §3.2.5), and longestPayload its greatest size in bytes that a
// datagram brings.
const (
	longest        = 120 * time.Millisecond
	longestPayload = 1500
)

// A Decoder turns one stream's payloads into samples, at the rate for which it was made. A payload is bytes from the
// network: none makes it panic.
type Decoder interface {
	// Duration of a payload in ticks of the RTP clock; 0 for one that is empty, longer than 120 ms or malformed.
	Duration(payload []byte) int
	// Decode writes a payload's samples to pcm, which has room for 120 ms, and returns their number.
	Decode(pcm []int16, payload []byte) (int, error)
	// Conceal fills pcm in place of sound that is missing. next is the payload right behind the gap, or nil; true says
	// that its in-band FEC gave the sound.
	Conceal(pcm []int16, next []byte) bool
	// Reset says that another stream begins with the next payload. What was invented last may be blended with it.
	Reset()
}

// An Encoder turns samples into one stream's payloads.
type Encoder interface {
	// Encode codes pcm, which is one packet's samples and may be changed, into payload, which has room for 1500 bytes,
	// and returns the number of bytes.
	Encode(payload []byte, pcm []int16) (int, error)
	// SetLoss says what part of the packets the far side loses, in percent.
	SetLoss(percent int)
}

// NewDecoder makes a decoder whose sound has the wanted rate, 8000, 16000 or 48000 samples per second, if the codec can
// give that, and says what it has.
func NewDecoder(n Name, rate int) (Decoder, int, error) {
	switch n {
	case PCMU, PCMA:
		return newG711Decoder(n), 8000, nil
	case G722:
		return newG722Decoder(), 16000, nil
	case Opus:
		d, err := newOpusDecoder(rate)
		return d, rate, err
	}
	return nil, 0, fmt.Errorf("codec %d: %w", n, errName)
}

// NewEncoder makes an encoder for the packets of a Spec. Only Opus takes another rate than its own.
func NewEncoder(s Spec, rate int) (Encoder, error) {
	s, err := s.normal()
	if err != nil {
		return nil, err
	}
	switch s.Name {
	case Opus:
		return newOpusEncoder(rate, samples(s.Ptime, rate), s.FEC)
	case G722:
		return newG722Encoder(), nil
	}
	return newG711Encoder(s.Name), nil
}

// samples is how many there are in d at a rate per second.
func samples(d time.Duration, rate int) int { return int(int64(d) * int64(rate) / int64(time.Second)) }

// duration of n samples at a rate per second.
func duration(n, rate int) time.Duration {
	return time.Duration(int64(n) * int64(time.Second) / int64(rate))
}

func clip(x int) int16 { return int16(min(max(x, -32768), 32767)) }
