package sipside

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// framer cuts a byte stream into SIP messages by Content-Length (RFC 3261 §18.3). Its buffer grows with what has arrived,
// never with what a peer announces.
type framer struct {
	// static after construction
	src     io.Reader
	maxHead int
	maxBody int
	waiting func(partial bool) // called before each read; partial: a message has begun

	buf        []byte
	start, end int // unread bytes are buf[start:end]
	scanned    int // of them, bytes known to hold no end of the header section
	breaks     int // CRLFs in a row between messages
}

// frameError is a stream that cannot be followed any further.
type frameError struct {
	head   []byte // the header section, where there is a whole one
	status int    // what to answer a request with
	reason string
}

func (e *frameError) Error() string { return e.reason }

const frameBuffer = 4096

// next gives the next message, valid until the following call, or nil for a keepalive (a double CRLF between messages,
// RFC 5626 §3.5.1) that wants its CRLF.
func (f *framer) next() ([]byte, error) {
	for {
		if f.skipBreaks() {
			return nil, nil
		}
		message, err := f.cut()
		if message != nil || err != nil {
			return message, err
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

// skipBreaks passes over CRLFs before a message (RFC 3261 §7.5) and says whether two made a keepalive.
func (f *framer) skipBreaks() bool {
	for f.end-f.start >= 2 && f.buf[f.start] == '\r' && f.buf[f.start+1] == '\n' {
		f.start += 2
		f.scanned = 0
		f.breaks++
		if f.breaks == 2 {
			f.breaks = 0
			return true
		}
	}
	return false
}

// cut takes a whole message from the buffer; nil where more must be read.
func (f *framer) cut() ([]byte, error) {
	unread := f.buf[f.start:f.end]
	at := bytes.Index(unread[max(0, f.scanned-3):], []byte("\r\n\r\n"))
	if at < 0 {
		f.scanned = len(unread)
		if len(unread) > f.maxHead {
			return nil, &frameError{reason: fmt.Sprintf("header section above %d bytes", f.maxHead)}
		}
		return nil, nil
	}
	at += max(0, f.scanned-3)
	head := at + 4
	if head > f.maxHead {
		return nil, &frameError{reason: fmt.Sprintf("header section above %d bytes", f.maxHead)}
	}
	length, err := contentLength(unread[:head])
	if err != nil {
		return nil, &frameError{head: unread[:head], status: 400, reason: err.Error()}
	}
	if length > f.maxBody {
		return nil, &frameError{head: unread[:head], status: 513, reason: fmt.Sprintf("body above %d bytes", f.maxBody)}
	}
	if len(unread) < head+length {
		return nil, nil
	}
	f.start += head + length
	f.scanned, f.breaks = 0, 0
	return unread[:head+length], nil
}

// fill reads once more behind the unread bytes.
func (f *framer) fill() error {
	switch {
	case f.start == f.end:
		f.start, f.end = 0, 0
		if len(f.buf) != frameBuffer {
			f.buf = make([]byte, frameBuffer) // give a large message's buffer back
		}
	case f.end == len(f.buf) && f.start > 0:
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	case f.end == len(f.buf):
		f.buf = append(f.buf, make([]byte, len(f.buf))...)
	}
	f.waiting(f.end > f.start)
	n, err := f.src.Read(f.buf[f.end:])
	f.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	if errors.Is(err, io.EOF) && f.end > f.start {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// contentLength reads the Content-Length of a header section; on a stream it must be there (RFC 3261 §18.3).
func contentLength(head []byte) (int, error) {
	length := -1
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !found || !(bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l"))) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
		if err != nil {
			return 0, errors.New("Content-Length is not a number")
		}
		if length >= 0 && length != int(n) {
			return 0, errors.New("Content-Length given twice")
		}
		length = int(n)
	}
	if length < 0 {
		return 0, errors.New("Content-Length is missing")
	}
	return length, nil
}
