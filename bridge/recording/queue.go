package recording

import (
	"sync/atomic"
	"time"

	"tandem/bridge/media/codec"
	"tandem/bridge/sdp"
)

const (
	queueLength = 256 // more than two seconds of a call; a power of two
	packetMost  = 1500
)

// queue passes packets from the worker that owns the call to the writer: bounded, one producer, one consumer, no lock.
type queue struct {
	cells      [queueLength]parcel
	head, tail atomic.Uint32
}

// parcel is one RTP packet.
type parcel struct {
	side   int           // 0: from the caller
	at     time.Duration // since the recording began
	codec  codec.Name    // 0: no sound, or none that is known
	length int
	packet [packetMost]byte
}

// put copies a packet in; false where there is no room or it is too long.
func (q *queue) put(side int, spoken *sdp.Codec, packet []byte, at time.Duration) bool {
	tail := q.tail.Load()
	if tail-q.head.Load() == queueLength || len(packet) > packetMost {
		return false
	}
	p := &q.cells[tail%queueLength]
	p.side, p.at, p.codec = side, at, nameOf(spoken, packet)
	p.length = copy(p.packet[:], packet)
	q.tail.Store(tail + 1)
	return true
}

// peek is the oldest packet, nil where there is none; it stays the writer's until advance.
func (q *queue) peek() *parcel {
	if q.head.Load() == q.tail.Load() {
		return nil
	}
	return &q.cells[q.head.Load()%queueLength]
}

func (q *queue) advance() { q.head.Add(1) }

func (p *parcel) data() []byte { return p.packet[:p.length] }

// nameOf is the codec of a packet; without a word by those who negotiated, a static payload type says it (RFC 3551 §6).
func nameOf(spoken *sdp.Codec, packet []byte) codec.Name {
	if spoken != nil {
		if name, _ := codec.ParseName(spoken.Name); name != 0 && name.Clock() == spoken.Clock {
			return name
		}
		return 0
	}
	if len(packet) < rtpHeader {
		return 0
	}
	switch packet[1] & 0x7f {
	case 0:
		return codec.PCMU
	case 8:
		return codec.PCMA
	case 9:
		return codec.G722
	}
	return 0
}
