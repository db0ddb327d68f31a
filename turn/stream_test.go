package turn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// scripted is a connection that gives what it is made of, so many bytes at a time.
type scripted struct {
	net.Conn // nil: nothing else is asked for
	data     []byte
	step     int
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.step)], s.data)
	s.data = s.data[n:]
	return n, nil
}

func (s *scripted) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func frames(data, first []byte, step int) (list [][]byte, err error) {
	s := newStream(&scripted{data: data, step: step}, first)
	b := make([]byte, mtu)
	for {
		n, _, err := s.ReadFrom(b)
		if err != nil {
			return list, err
		}
		list = append(list, bytes.Clone(b[:n]))
	}
}

func TestFrames(t *testing.T) {
	t.Parallel()
	binding := append([]byte{0, 1, 0, 4}, make([]byte, 20)...)
	channel := []byte{0x40, 0, 0, 3, 'a', 'b', 'c', 0}
	old := []byte{0x7f, 0xff, 0, 1, 'x', 0, 0, 0}
	empty := []byte{0x40, 1, 0, 0}
	all := bytes.Join([][]byte{binding, channel, old, empty, channel}, nil)
	for step := 1; step < 9; step++ {
		list, err := frames(all[5:], all[:5], step)
		if !errors.Is(err, io.EOF) || len(list) != 5 || !bytes.Equal(list[0], binding) || !bytes.Equal(list[1], channel) || !bytes.Equal(list[2], old) || !bytes.Equal(list[3], empty) {
			t.Errorf("%d at a time: %q %v", step, list, err)
		}
	}
	for name, wrong := range map[string][]byte{
		"TLS":      {22, 3, 1, 0, 5, 0},
		"HTTP":     []byte("\x80ET / HTTP/1.1\r\n"),
		"too long": {0, 1, 0xff, 0xfc, 0, 0},
		"a buffer": {0x40, 0, 0x06, 0x3c, 0, 0}, // 1596 and the header: as long as the buffer
	} {
		if list, err := frames(wrong, nil, 100); len(list) != 0 || !errors.Is(err, errFrame) {
			t.Errorf("%s: %q %v", name, list, err)
		}
	}
}

// What a stream gives is what went in, whatever that is, and never longer than a buffer.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x40, 0, 0, 3, 'a', 'b', 'c', 0, 0, 1, 0, 0}, 3)
	f.Add(append([]byte{0, 1, 0, 4}, make([]byte, 20)...), 1)
	f.Add([]byte{0, 1, 0xff, 0xff}, 2)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		list, err := frames(bytes.Clone(data), nil, max(step, 1))
		if err == nil || !bytes.HasPrefix(data, bytes.Join(list, nil)) {
			t.Fatalf("%q of %q, %v", list, data, err)
		}
	})
}

// FuzzLimited: a user name is taken apart or not, and one that Issue made is.
func FuzzLimited(f *testing.F) {
	f.Add("1700000000:alice")
	f.Add("1700000000")
	f.Add("-1:x")
	f.Add(":")
	f.Fuzz(func(t *testing.T, name string) {
		if _, user, ok := limited(name); ok && user == "" {
			t.Fatalf("%q is nobody's", name)
		}
		made := Issue("secret", name, time.Unix(1700000000, 0))
		expires, user, ok := limited(made.Username)
		if !ok || expires.Unix() != 1700000000 || name != "" && user != name {
			t.Fatalf("%q: %v %q %v", made.Username, expires, user, ok)
		}
	})
}
