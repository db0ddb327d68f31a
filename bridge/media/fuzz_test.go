package media

import (
	"bytes"
	"slices"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
)

// FuzzBrowserPort throws anything at the browsers' port, from a validated pair and from nowhere.
func FuzzBrowserPort(f *testing.F) {
	b := newBench(f, 7)
	good := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("AAcAoQAAAAAAAAAA:x"),
		stun.NewShortTermIntegrity("password"), stun.Fingerprint)
	f.Add(good.Raw)
	f.Add(good.Raw[:25])
	f.Add(b.sealed(f, 1, 1, voice)[0])
	f.Add([]byte{0x80, 200, 0, 1, 0, 0, 0, 1})
	f.Add([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Add([]byte{0x9f, 0xff, 0, 0})
	b.a.ice.current = Credentials{"AAcAoQAAAAAAAAAA", "password"}
	b.w.engine.cfg.Node = 7
	b.w.engine.table.add(b.a, 1)
	stranger := sockaddrOf(loopback(50009))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > maxDatagram {
			return
		}
		for _, from := range []*sockaddr{&b.browser, &stranger} {
			b.w.in.next = 0
			d := datagram{data: b.w.in.copyIn(p), from: from}
			b.w.demux(&d)
			b.w.out.count = 0
		}
		b.noFault(t)
	})
}

func (b *bench) noFault(t *testing.T) {
	t.Helper()
	if b.w.counters.drops[DropPanic].Load() != 0 || b.a.failed != "" || b.b.failed != "" {
		t.Fatalf("fault: legs %q %q", b.a.failed, b.b.failed)
	}
}

// FuzzPort throws anything at an RTP leg's two ports.
func FuzzPort(f *testing.F) {
	b := newBench(f, 7)
	f.Add(packet(f, 107, 9, 1, voice))
	f.Add(senderReport(9))
	f.Add([]byte{0xb0, 107, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > maxDatagram {
			return
		}
		b.b.streams[0].mux = len(p)%2 == 0
		for _, end := range b.b.streams[0].ends() {
			b.w.in.next = 0
			d := datagram{data: b.w.in.copyIn(p), from: &b.phone}
			b.w.receivePort(end.socket, &d)
			b.w.out.count = 0
		}
		b.noFault(t)
	})
}

// FuzzSTUN compares the scan of a message with pion's decoder, and has a leg judge what passes.
func FuzzSTUN(f *testing.F) {
	good := stun.MustBuild(stun.NewTransactionIDSetter([12]byte{1}), stun.BindingRequest, stun.NewUsername("AAcAoQAAAAAAAAAA:x"),
		useCandidate{}, controlling{}, stun.NewShortTermIntegrity("password"), stun.Fingerprint)
	f.Add(good.Raw)
	f.Add(good.Raw[:40])
	f.Add(append([]byte{1, 1}, good.Raw[2:]...))
	f.Add([]byte{0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 3, 'a', ':', 'b', 0})
	l := &Leg{ice: iceState{current: Credentials{"AAcAoQAAAAAAAAAA", "password"}}}
	f.Fuzz(func(t *testing.T, p []byte) {
		kind, user, ok := scanSTUN(p)
		m := &stun.Message{Raw: bytes.Clone(p)}
		if err := m.Decode(); ok && err == nil {
			if kind != uint16(p[0])<<8|uint16(p[1]) {
				t.Fatalf("kind %#x", kind)
			}
			if theirs, err := m.Get(stun.AttrUsername); err == nil && !bytes.Equal(theirs, user) {
				t.Fatalf("user %q, pion has %q", user, theirs)
			}
		}
		if !ok {
			return
		}
		c, verdict := l.judge(&datagram{data: p}, stun.New())
		if verdict.reason == dropNone && (c.password != "password" || c.local != l.ice.current.Ufrag) {
			t.Fatalf("a check of %q was found good", c.local)
		}
		if before, after, found := cutColon(user); found && len(before)+len(after)+1 != len(user) {
			t.Fatalf("%q was cut into %q and %q", user, before, after)
		}
	})
}

// FuzzRTP compares the header's size with pion's, and checks that what is left without extension is RTP of the same source
// and payload.
func FuzzRTP(f *testing.F) {
	f.Add([]byte{0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x10, 9, 0, 0, 'v', 'o', 'x'})
	f.Add([]byte{0xb2, 0xef, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0x10, 0, 0, 1, 1, 2, 3, 4, 'v', 0, 2})
	f.Add(packet(f, 0, 1, 1, voice))
	f.Fuzz(func(t *testing.T, p []byte) {
		size, ok := rtpHeader(p)
		if !ok {
			return
		}
		if theirs := (&rtp.Header{}); p[0]&rtpExtBit == 0 {
			if n, err := theirs.Unmarshal(p); err != nil || n != size || theirs.SSRC != rtpSSRC(p) || theirs.SequenceNumber != rtpSequence(p) {
				t.Fatalf("header of %d bytes; pion: %d, %+v, %v", size, n, theirs, err)
			}
		}
		if validPadding(p) && p[0]&rtpPadBit != 0 && size+int(p[len(p)-1]) > len(p) {
			t.Fatal("more padding than packet")
		}
		payload := bytes.Clone(p[size:])
		ssrc, sequence := rtpSSRC(p), rtpSequence(p)
		q := stripExtension(p)
		after, ok := rtpHeader(q)
		if !ok || q[0]&rtpExtBit != 0 || !bytes.Equal(q[after:], payload) || rtpSSRC(q) != ssrc || rtpSequence(q) != sequence {
			t.Fatalf("left %x", q)
		}
	})
}

// FuzzRTCP has both legs take compound packets, in the middle of a call in which voice has flowed both ways.
func FuzzRTCP(f *testing.F) {
	b := newBench(f, 7)
	b.fromBrowser(b.sealed(f, 1, 1, voice)[0])
	b.fromPhone(packet(f, 107, 9, 1, voice))
	report := senderReport(9)
	f.Add(report)
	f.Add(append(bytes.Clone(report), 0x81, 203, 0, 1, 0, 0, 0, 9))
	f.Add([]byte{0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Add([]byte{0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 7})
	f.Add([]byte{0x8f, 205, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7, 0, 1, 0, 2, 0, 0, 0, 1, 0x20, 2, 4, 4})
	f.Add([]byte{0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 0, 0, 0, 0, 7})
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > maxDatagram || !validRTCP(p) {
			return
		}
		for _, l := range []*Leg{b.a, b.b} {
			b.w.in.next = 0
			l.receiveRTCP(b.w, b.w.in.copyIn(p))
			b.w.out.count = 0
		}
		b.noFault(t)
	})
}

// FuzzFrames cuts a TCP stream into two pieces: the packets have to be the same.
func FuzzFrames(f *testing.F) {
	stream := appendFrame(appendFrame(appendFrame(nil, []byte("first")), nil), []byte("third"))
	f.Add(stream, 3)
	f.Add(append(stream, 0, 9, 'c'), 14)
	f.Add([]byte{0x07, 0xbc}, 1)
	f.Add([]byte{0x07, 0xbd, 0}, 0)
	f.Add([]byte{0xff, 0xff, 0, 1}, 2)
	cut := func(p []byte) (packets [][]byte, rest []byte, err error) {
		for {
			var packet []byte
			if packet, p, err = cutFrame(p); err != nil {
				return packets, p, err
			}
			packets = append(packets, packet)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte, at int) {
		whole, rest, err := cut(p)
		var again []byte
		for _, packet := range whole {
			again = appendFrame(again, packet)
		}
		if !bytes.Equal(append(again, rest...), p) {
			t.Fatal("bytes are missing")
		}
		if at < 0 || at > len(p) || err == errFrameLong {
			return
		}
		first, left, _ := cut(p[:at])
		second, _, _ := cut(append(bytes.Clone(left), p[at:]...))
		if !slices.EqualFunc(append(first, second...), whole, bytes.Equal) {
			t.Fatalf("%q in pieces, %q as a whole", append(first, second...), whole)
		}
	})
}

// FuzzRecords checks that a datagram of whole records stays one without its alerts.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40, 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, ok := scanRecords(p); !ok {
			return
		}
		r, ok := scanRecords(withoutAlerts(p))
		if !ok {
			t.Fatal("broken records left")
		}
		if rest := withoutAlerts(p); r.alert && bytes.Equal(rest, p) && p[4] == 0 && p[3] == 0 && p[0] == recordAlert {
			t.Fatal("an alert in the clear was left")
		}
	})
}
