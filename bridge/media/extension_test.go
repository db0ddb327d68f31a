package media

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
)

func TestMapExtension(t *testing.T) {
	ids := [16]uint8{1: 4, 2: 0, 3: 1}
	for _, c := range []struct {
		name string
		in   []byte // profile, then elements
		want []byte // elements; nil: no extension is left
	}{
		{"one byte form", []byte{0xBE, 0xDE, 0x10, 0xA0, 0x31, 0xB0, 0xB1, 0x00, 0x00, 0x00}, []byte{0x40, 0xA0, 0x11, 0xB0, 0xB1, 0, 0, 0}},
		{"one is taken off", []byte{0xBE, 0xDE, 0x20, 0xA0, 0x10, 0xB0}, []byte{0, 0, 0x40, 0xB0}},
		{"padding stays", []byte{0xBE, 0xDE, 0x00, 0x10, 0xA0, 0x00}, []byte{0, 0x40, 0xA0, 0}},
		{"none is left", []byte{0xBE, 0xDE, 0x20, 0xA0, 0x50, 0xB0}, nil},
		{"what follows the reserved id does not count", []byte{0xBE, 0xDE, 0x10, 0xA0, 0xF0, 0x10}, []byte{0x40, 0xA0, 0, 0}},
		{"what follows padding with a length does not count", []byte{0xBE, 0xDE, 0x10, 0xA0, 0x01, 0x10, 0xA0, 0}, []byte{0x40, 0xA0, 0, 0, 0, 0}},
		{"an element that is longer than the extension", []byte{0xBE, 0xDE, 0x10, 0xA0, 0x3F, 0xB0}, []byte{0x40, 0xA0, 0, 0}},
		{"two byte form", []byte{0x10, 0x05, 1, 0, 3, 1, 0xB0, 0, 2, 0}, []byte{4, 0, 1, 1, 0xB0, 0, 0, 0}},
		{"two byte form with a great id", []byte{0x10, 0x00, 200, 1, 0xA0, 0, 3, 1, 0xB0, 0}, []byte{0, 0, 0, 0, 1, 1, 0xB0, 0}},
		{"two byte form, cut short", []byte{0x10, 0x00, 3, 9, 0xA0, 0}, nil},
		{"another profile", []byte{0xAB, 0xCD, 1, 2, 3, 4}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			elements := c.in[2:]
			p := []byte{0x91, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9} // with a CSRC
			p = append(p, c.in[0], c.in[1], 0, byte((len(elements)+3)/4))
			p = append(p, elements...)
			for len(p)%4 != 0 {
				p = append(p, 0)
			}
			p = append(p, "voice"...)
			got := mapExtension(p, &ids)
			size, ok := rtpHeader(got)
			if !ok || string(got[size:]) != "voice" || rtpSSRC(got) != 3 {
				t.Fatalf("left %x", got)
			}
			if c.want == nil {
				if got[0]&rtpExtBit != 0 {
					t.Errorf("an extension is left: %x", got)
				}
				return
			}
			if left := got[20:size]; !bytes.Equal(left[:len(c.want)], c.want) || len(bytes.Trim(left[len(c.want):], "\x00")) != 0 {
				t.Errorf("left %x, want %x", left, c.want)
			}
		})
	}
}

// FuzzMapExtension checks against pion/rtp that only mapped elements are left, unchanged but for their ids.
func FuzzMapExtension(f *testing.F) {
	f.Add([]byte{0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x10, 9, 0, 0, 'v', 'o', 'x'})
	f.Add([]byte{0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0, 2, 1, 1, 9, 2, 2, 8, 8, 0, 'v', 'o', 'x'})
	ids := [16]uint8{1: 4, 3: 1, 5: 14}
	f.Fuzz(func(t *testing.T, p []byte) {
		size, ok := rtpHeader(p)
		if !ok {
			return
		}
		payload := bytes.Clone(p[size:])
		var before rtp.Header
		_, unread := before.Unmarshal(bytes.Clone(p))
		q := mapExtension(p, &ids)
		after, ok := rtpHeader(q)
		if !ok || !bytes.Equal(q[after:], payload) {
			t.Fatalf("left %x", q)
		}
		var header rtp.Header
		if unread != nil || q[0]&rtpExtBit == 0 {
			return
		}
		if _, err := header.Unmarshal(q); err != nil {
			t.Fatalf("pion does not read %x: %v", q, err)
		}
		for from, to := range ids {
			if to == 0 {
				continue
			}
			if got := header.GetExtension(to); got != nil && !bytes.Equal(got, before.GetExtension(uint8(from))) {
				t.Fatalf("element %d was %x and is %x as %d", from, before.GetExtension(uint8(from)), got, to)
			}
		}
	})
}
