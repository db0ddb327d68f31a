package media

import (
	"net/netip"
	"testing"
	"unsafe"

	"tandem/bridge/sdp"
)

// What is queued goes where the peer was when it was queued, whatever moves the peer before the outbox is sent.
func TestQueuedPacketsKeepTheirAddress(t *testing.T) {
	t.Parallel()
	other := loopback(50010)
	for name, move := range map[string]func(*wire, *far){
		"an SDP": func(x *wire, _ *far) {
			x.b.setAddresses(x.w, sdp.Remote{Streams: []sdp.RemoteStream{{RTP: other}}})
		},
		"another source": func(x *wire, f *far) {
			from := sockaddrOf(other)
			f.follow(&datagram{from: &from})
		},
		"a nominated pair": func(_ *wire, f *far) { f.selected(other) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newWire(t, opusPlan())
			f := &x.b.streams[0].rtp
			x.b.transmit(x.w, 0, packet(t, 107, 9, 1, "to the first"))
			move(x, f)
			x.b.transmit(x.w, 0, packet(t, 107, 9, 2, "to the second"))
			var got []netip.AddrPort
			for i := range x.w.out.count {
				got = append(got, (*sockaddr)(unsafe.Pointer(x.w.out.messages[i].Hdr.Name)).addrPort())
			}
			if len(got) != 2 || got[0] != x.phone.addrPort() || got[1] != other {
				t.Errorf("packets go to %v, want %v and %v", got, x.phone.addrPort(), other)
			}
		})
	}
}
