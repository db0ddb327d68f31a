package media

import (
	"bytes"
	"testing"

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
		for _, s := range b.b.streams[0].sockets {
			b.w.in.next = 0
			d := datagram{data: b.w.in.copyIn(p), from: &b.phone}
			b.w.receivePort(s, &d)
			b.w.out.count = 0
		}
		b.noFault(t)
	})
}

// FuzzStripExtension checks that what is left is RTP of the same source and payload.
func FuzzStripExtension(f *testing.F) {
	f.Add([]byte{0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x10, 9, 0, 0, 'v', 'o', 'x'})
	f.Fuzz(func(t *testing.T, p []byte) {
		size, ok := rtpHeader(p)
		if !ok {
			return
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
