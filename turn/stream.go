package turn

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// writeLimit ends a connection whose client does not read: what its peers send would wait for it.
const writeLimit = 10 * time.Second

// mtu bounds one message of a client, as pion reads them.
const mtu = 1600

var errFrame = errors.New("turn: neither a STUN message nor ChannelData, or too long")

// stream makes packets of a TCP or TLS connection: STUN messages (RFC 8489 §6.2.2) and padded ChannelData (RFC 8656 §12.5). It is our
// own, for that of pion holds a short ChannelData back until the next, and gives frames that are longer than the buffer.
type stream struct {
	net.Conn
	in *bufio.Reader
}

// newStream frames a connection of which first has been read already.
func newStream(conn net.Conn, first []byte) *stream {
	var from io.Reader = conn
	if len(first) > 0 {
		from = io.MultiReader(bytes.NewReader(bytes.Clone(first)), conn)
	}
	return &stream{Conn: conn, in: bufio.NewReaderSize(from, 2048)}
}

// ReadFrom implements net.PacketConn. A frame that does not fit b, and what is no frame, is an error: the stream is lost.
func (s *stream) ReadFrom(b []byte) (int, net.Addr, error) {
	head, err := s.in.Peek(4)
	if err != nil {
		return 0, nil, err
	}
	size, err := frameSize(head)
	if err != nil || size >= len(b) { // pion passes over what fills its buffer
		return 0, nil, errFrame
	}
	if _, err := io.ReadFull(s.in, b[:size]); err != nil {
		return 0, nil, err
	}
	return size, s.RemoteAddr(), nil
}

// frameSize is the length of the frame that begins with four bytes, padding included.
func frameSize(head []byte) (int, error) {
	length := int(binary.BigEndian.Uint16(head[2:]))
	switch {
	case head[0] < 4: // RFC 7983
		return 20 + length, nil
	case head[0] >= 64 && head[0] < 128: // RFC 5766's channels; RFC 8656 has those below 80, and nothing else is on this stream
		return 4 + (length+3)&^3, nil
	}
	return 0, errFrame
}

// WriteTo implements net.PacketConn. What could not be written whole has destroyed the stream.
func (s *stream) WriteTo(b []byte, _ net.Addr) (int, error) {
	s.SetWriteDeadline(time.Now().Add(writeLimit))
	n, err := s.Write(b)
	if err != nil {
		s.Close()
	}
	return n, err
}

// datagrams is a connection that keeps packets apart itself: DTLS.
type datagrams struct{ net.Conn }

// ReadFrom implements net.PacketConn.
func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

// WriteTo implements net.PacketConn.
func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// Begins says whether a stream's first byte can be that of a client of ours: STUN's are 0 to 3 (RFC 7983), and no text begins so.
func Begins(first byte) bool { return first < 4 }
