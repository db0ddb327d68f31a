package siptest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stream is one TCP connection.
type stream struct {
	// static after construction
	e      *endpoint
	conn   *net.TCPConn
	remote netip.AddrPort

	mu sync.Mutex // one writer at a time
}

func (s *stream) Send(data []byte) error {
	s.e.traced(data, s, s.remote, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err := s.conn.Write(data)
	return err
}

func (s *stream) Reliable() bool { return true }
func (s *stream) Identity() string {
	return "tcp/" + s.conn.LocalAddr().String() + "/" + s.remote.String()
}

// read cuts messages out of the stream by Content-Length (RFC 3261 §18.3).
func (s *stream) read() {
	defer s.lost()
	in := bufio.NewReader(s.conn)
	for {
		message, err := readMessage(in)
		if err != nil {
			return
		}
		if len(message) == 0 { // RFC 5626 §3.5.1: a ping of two CRLFs
			if err := s.pong(); err != nil {
				return
			}
			continue
		}
		s.e.receive(message, s, s.remote)
	}
}

func (s *stream) pong() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write([]byte("\r\n"))
	return err
}

func (s *stream) lost() {
	s.conn.Close()
	s.e.mu.Lock()
	if s.e.conns[s.remote] == s {
		delete(s.e.conns, s.remote)
	}
	s.e.mu.Unlock()
	s.e.layer.FlowLost(s)
}

const maxMessage = 1 << 16

// readMessage gives the next message, or nothing for a keepalive.
func readMessage(in *bufio.Reader) ([]byte, error) {
	var message []byte
	for breaks := 0; ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if len(message) == 0 && len(bytes.TrimRight(line, "\r\n")) == 0 {
			if breaks++; breaks == 2 {
				return nil, nil
			}
			continue
		}
		if message = append(message, line...); len(message) > maxMessage {
			return nil, errors.New("siptest: message too large")
		}
		if bytes.HasSuffix(message, []byte("\r\n\r\n")) {
			break
		}
	}
	n, err := strconv.Atoi(headerValue(message, "content-length", "l"))
	if err != nil || n < 0 || n > maxMessage {
		return message, nil // the parser says what is wrong
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, err
	}
	return append(message, body...), nil
}

// headerValue finds a header in a message that nobody has parsed yet.
func headerValue(message []byte, names ...string) string {
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for _, want := range names {
			if strings.EqualFold(strings.TrimSpace(name), want) {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}
