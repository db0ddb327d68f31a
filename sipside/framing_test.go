package sipside

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// frames runs a stream through a framer: messages as they are, "ping" for a keepalive, then the error.
func frames(src io.Reader) ([]string, error) {
	f := &framer{src: src, maxHead: 1 << 10, maxBody: 1 << 10, waiting: func(bool) {}}
	var got []string
	for {
		message, err := f.next()
		switch {
		case err != nil:
			return got, err
		case message == nil:
			got = append(got, "ping")
		default:
			got = append(got, string(message))
		}
	}
}

func TestFramer(t *testing.T) {
	first := "A sip:a SIP/2.0\r\nContent-Length: 5\r\n\r\nhello"
	second := "B sip:b SIP/2.0\r\nl : 0\r\n\r\n"
	for _, c := range []struct {
		name, stream string
		want         []string
		err          string
	}{
		{"one message", first, []string{first}, "EOF"},
		{"two in a segment", first + second, []string{first, second}, "EOF"},
		{"empty lines before", "\r\n" + second, []string{second}, "EOF"},
		{"keepalive", "\r\n\r\n", []string{"ping"}, "EOF"},
		{"keepalives and messages", "\r\n\r\n\r\n\r\n" + first + "\r\n\r\n" + second + "\r\n",
			[]string{"ping", "ping", first, "ping", second}, "EOF"},
		{"single breaks around messages are no keepalive", "\r\n" + first + "\r\n" + second, []string{first, second}, "EOF"},
		{"cut in the headers", first[:20], nil, "unexpected EOF"},
		{"cut in the body", first[:len(first)-1], nil, "unexpected EOF"},
		{"no length", "A sip:a SIP/2.0\r\nTo: x\r\n\r\n", nil, "Content-Length is missing"},
		{"length is no number", "A sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n", nil, "Content-Length is not a number"},
		{"length beyond all", "A sip:a SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n", nil, "Content-Length is not a number"},
		{"two lengths", "A sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n", nil, "Content-Length given twice"},
		{"same length twice", "A sip:a SIP/2.0\r\nContent-Length: 0\r\nl: 0\r\n\r\n",
			[]string{"A sip:a SIP/2.0\r\nContent-Length: 0\r\nl: 0\r\n\r\n"}, "EOF"},
		{"body too large", "A sip:a SIP/2.0\r\nContent-Length: 1025\r\n\r\n", nil, "body above 1024 bytes"},
		{"headers without end", strings.Repeat("X: y\r\n", 400), nil, "header section above 1024 bytes"},
		{"headers too large", strings.Repeat("X: y\r\n", 200) + "\r\n", nil, "header section above 1024 bytes"},
	} {
		for shape, reader := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
			"halves": iotest.HalfReader, "data with error": iotest.DataErrReader,
		} {
			t.Run(c.name+"/"+shape, func(t *testing.T) {
				got, err := frames(reader(strings.NewReader(c.stream)))
				if err.Error() != c.err {
					t.Errorf("error %q, want %q", err, c.err)
				}
				if strings.Join(got, "|") != strings.Join(c.want, "|") {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		}
	}
}

func TestFramerGrowsOnlyWithArrivedBytes(t *testing.T) {
	src := strings.NewReader("A sip:a SIP/2.0\r\nContent-Length: 1000000\r\n\r\nfew")
	f := &framer{src: src, maxHead: 1 << 10, maxBody: 1 << 20, waiting: func(bool) {}}
	if _, err := f.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if len(f.buf) != frameBuffer {
		t.Errorf("%d bytes held for an announced body", len(f.buf))
	}
}

func TestFramerGivesLargeBufferBack(t *testing.T) {
	large := "A sip:a SIP/2.0\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000)
	f := &framer{src: strings.NewReader(large), maxHead: 1 << 10, maxBody: 1 << 20, waiting: func(bool) {}}
	if message, err := f.next(); err != nil || string(message) != large {
		t.Fatalf("%d bytes, %v", len(message), err)
	}
	if _, err := f.next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(f.buf) != frameBuffer {
		t.Errorf("%d bytes kept after a large message", len(f.buf))
	}
}

// FuzzFramer holds that how a stream is cut into segments changes nothing, and that no message is made up.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("A sip:a SIP/2.0\r\nContent-Length: 5\r\n\r\nhello\r\n\r\nB sip:b SIP/2.0\r\nl: 0\r\n\r\n"))
	f.Add([]byte("\r\n\r\n\r\r\n"))
	f.Add([]byte("A\r\nContent-Length: 9\r\nl:9\r\n\r\n12345678"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, wholeErr := frames(bytes.NewReader(stream))
		single, singleErr := frames(iotest.OneByteReader(bytes.NewReader(stream)))
		if strings.Join(whole, "|") != strings.Join(single, "|") || wholeErr.Error() != singleErr.Error() {
			t.Errorf("whole: %q %v; byte by byte: %q %v", whole, wholeErr, single, singleErr)
		}
		rest := stream
		for _, message := range whole {
			if message == "ping" {
				continue
			}
			at := bytes.Index(rest, []byte(message))
			if at < 0 {
				t.Fatalf("%q is not in the stream", message)
			}
			rest = rest[at+len(message):]
		}
	})
}
