package recording

import (
	"encoding/binary"
	"errors"
	"time"
)

// capture is a pcap file of raw IPv4 packets: UDP around each RTP packet, decrypted, between two made-up addresses.
type capture struct {
	out     File
	start   time.Time
	written int64  // of whole packets
	buffer  []byte // whole packets that are not written yet
	ends    []int  // where in buffer each of them ends
}

const (
	pcapMagic   = 0xa1b2c3d4 // microseconds, in the byte order of the file
	pcapHeader  = 24
	linkRaw     = 101 // LINKTYPE_RAW
	ipHeader    = 20
	udpHeader   = 8
	capturePort = 4000
)

func newCapture(out File, start time.Time) *capture { return &capture{out: out, start: start} }

func (c *capture) begin() error {
	b := binary.LittleEndian.AppendUint32(c.buffer, pcapMagic)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 65535)
	c.buffer = binary.LittleEndian.AppendUint32(b, linkRaw)
	c.ends = append(c.ends, len(c.buffer))
	return c.flush(0)
}

func (c *capture) add(p *parcel) {
	at := c.start.Add(p.at)
	size := ipHeader + udpHeader + p.length
	b := binary.LittleEndian.AppendUint32(c.buffer, uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, 0, 0, 0, 0, 64, 17, 0, 0)
	b = append(b, 192, 0, 2, byte(1+p.side), 192, 0, 2, byte(2-p.side))
	b = binary.BigEndian.AppendUint16(b, capturePort)
	b = binary.BigEndian.AppendUint16(b, capturePort)
	b = binary.BigEndian.AppendUint16(b, uint16(udpHeader+p.length))
	b = append(b, 0, 0)
	c.buffer = append(b, p.data()...)
	c.ends = append(c.ends, len(c.buffer))
}

func (c *capture) flush(time.Duration) error {
	if len(c.buffer) == 0 {
		return nil
	}
	n, err := c.out.Write(c.buffer)
	whole := 0
	for _, end := range c.ends {
		if end <= n {
			whole = end
		}
	}
	c.written += int64(whole)
	c.buffer, c.ends = c.buffer[:0], c.ends[:0]
	return err
}

// finish takes off what a failed write left of a packet.
func (c *capture) finish(time.Duration) error {
	return errors.Join(c.out.Truncate(c.written), c.out.Close())
}

func (c *capture) size() int64 { return c.written }
