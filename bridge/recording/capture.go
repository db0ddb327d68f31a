package recording

import (
	"encoding/binary"
	"os"
	"time"
)

// capture is a pcap file of raw IPv4 packets: UDP around each RTP packet, decrypted, between two made-up addresses.
type capture struct {
	out     *os.File
	start   time.Time
	written int64
}

const (
	pcapMagic   = 0xa1b2c3d4 // microseconds, in the byte order of the file
	linkRaw     = 101        // LINKTYPE_RAW
	ipHeader    = 20
	udpHeader   = 8
	capturePort = 4000
)

func newCapture(out *os.File, start time.Time) *capture { return &capture{out: out, start: start} }

func (c *capture) write(b []byte) error {
	n, err := c.out.Write(b)
	c.written += int64(n)
	return err
}

func (c *capture) header() []byte {
	b := binary.LittleEndian.AppendUint32(nil, pcapMagic)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 65535)
	return binary.LittleEndian.AppendUint32(b, linkRaw)
}

func (c *capture) add(p *parcel) error {
	if c.written == 0 {
		if err := c.write(c.header()); err != nil {
			return err
		}
	}
	at := c.start.Add(p.at)
	size := ipHeader + udpHeader + p.length
	b := make([]byte, 0, 16+size)
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
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
	return c.write(append(b, p.data()...))
}

func (c *capture) flush(time.Duration) error { return nil }

func (c *capture) finish() error { return c.out.Close() }

func (c *capture) size() int64 { return c.written }
