package media

import (
	"sync/atomic"

	"tandem/bridge/media/codec"
)

const (
	parcelCount = 32   // two thirds of a second of packets; a power of two
	parcelSize  = 1500 // of a payload
)

// parcels passes one leg's packets from its worker to its converter: bounded, one producer, one consumer, no lock.
type parcels struct {
	cells      [parcelCount]parcel
	head, tail atomic.Uint32 // next to take, next to put
}

// parcel is one packet with the time of the worker's round in which it came.
type parcel struct {
	kind      codec.Kind
	sequence  uint16
	length    uint16
	timestamp uint32
	ssrc      uint32
	at        int64
	payload   [parcelSize]byte
}

// put copies a packet in; false where there is no room, or the packet is too long. The header is known to be whole.
func (q *parcels) put(kind codec.Kind, p []byte, at int64) bool {
	tail := q.tail.Load()
	size, _ := rtpHeader(p)
	body := p[size:]
	if p[0]&rtpPadBit != 0 {
		body = body[:len(body)-int(p[len(p)-1])] // known to fit
	}
	if tail-q.head.Load() == parcelCount || len(body) > parcelSize {
		return false
	}
	c := &q.cells[tail%parcelCount]
	c.kind, c.at = kind, at
	c.sequence, c.timestamp, c.ssrc = rtpSequence(p), rtpTimestamp(p), rtpSSRC(p)
	c.length = uint16(copy(c.payload[:], body))
	q.tail.Store(tail + 1)
	return true
}

func (q *parcels) any() bool { return q.head.Load() != q.tail.Load() }

// peek is the oldest packet, nil where there is none; it stays the consumer's until advance.
func (q *parcels) peek() *parcel {
	if !q.any() {
		return nil
	}
	return &q.cells[q.head.Load()%parcelCount]
}

func (q *parcels) advance() { q.head.Add(1) }

func (p *parcel) arrival() codec.Arrival {
	return codec.Arrival{Kind: p.kind, Sequence: p.sequence, Timestamp: p.timestamp, SSRC: p.ssrc, Payload: p.payload[:p.length]}
}
