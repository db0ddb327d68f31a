package media

import (
	"testing"
	"time"
	"unsafe"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"tandem/bridge/sdp"
)

// wire is the packet path in memory, with a clock in the test's hands and everything that leaves written down.
type wire struct {
	*bench
	t    testing.TB
	in   *srtp.Context // decrypts what goes to the browser
	sent []wirePacket
}

// wirePacket is one that left, in the clear.
type wirePacket struct {
	leg     *Leg
	control bool
	data    []byte
}

func newWire(t testing.TB, plan sdp.Plan) *wire {
	t.Helper()
	const profile = srtp.ProtectionProfileAeadAes128Gcm
	x := &wire{bench: newBench(t, uint16(profile)), t: t}
	key, _ := profile.KeyLen()
	salt, _ := profile.SaltLen()
	var err error
	if x.in, err = srtp.CreateContext(make([]byte, key), make([]byte, salt), profile); err != nil {
		t.Fatal(err)
	}
	x.w.clock = int64(time.Second)
	x.join(plan)
	return x
}

func (x *wire) join(plan sdp.Plan) {
	x.w.relate(&joining{legs: [2]*Leg{x.a, x.b}, plan: plan})
	x.collect()
}

// collect takes what waits in the outbox.
func (x *wire) collect() {
	x.t.Helper()
	for i := range x.w.out.count {
		v := &x.w.out.vectors[i][1]
		p := wirePacket{leg: x.w.out.legs[i], data: append([]byte(nil), unsafe.Slice(v.Base, v.Len)...)}
		p.control = isRTCP(p.data)
		if p.leg == x.a {
			var err error
			if p.control {
				p.data, err = x.in.DecryptRTCP(nil, p.data, nil)
			} else {
				p.data, err = x.in.DecryptRTP(nil, p.data, nil)
			}
			if err != nil {
				x.t.Fatal(err)
			}
		}
		x.sent = append(x.sent, p)
	}
	x.w.out.count = 0
}

// take gives what left since the last time.
func (x *wire) take() []wirePacket {
	sent := x.sent
	x.sent = nil
	return sent
}

// browserSends and phoneSends hand a plain packet to the worker as if it had just come.
func (x *wire) browserSends(p []byte) {
	x.t.Helper()
	sealed, err := []byte(nil), error(nil)
	if isRTCP(p) {
		sealed, err = x.out.EncryptRTCP(nil, p, nil)
	} else {
		sealed, err = x.out.EncryptRTP(nil, p, nil)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	x.w.in.next = 0
	d := datagram{data: x.w.in.copyIn(sealed), from: &x.browser}
	x.w.demux(&d)
	x.collect()
}

func (x *wire) phoneSends(p []byte) {
	x.t.Helper()
	x.w.in.next = 0
	d := datagram{data: x.w.in.copyIn(p), from: &x.phone}
	socket := 0
	if isRTCP(p) {
		socket = 1
	}
	x.w.receivePort(x.b.streams[0].ends()[socket].socket, &d)
	x.collect()
}

// pass lets time go by.
func (x *wire) pass(d time.Duration) {
	x.w.clock += int64(d)
	if x.w.reporter.at != 0 && x.w.clock >= x.w.reporter.at {
		x.w.report()
	}
	x.collect()
}

// reports decodes RTCP that left towards a leg's peer.
func reports(t testing.TB, sent []wirePacket, to *Leg) (all []rtcp.Packet) {
	t.Helper()
	for _, p := range sent {
		if !p.control || p.leg != to {
			continue
		}
		list, err := rtcp.Unmarshal(p.data)
		if err != nil {
			t.Fatalf("%v: %x", err, p.data)
		}
		var compound rtcp.CompoundPacket = list
		if err := compound.Validate(); err != nil {
			t.Fatalf("no compound packet: %v", err)
		}
		all = append(all, list...)
	}
	return all
}

// marshal encodes RTCP of a peer.
func marshal(t testing.TB, packets ...rtcp.Packet) []byte {
	t.Helper()
	b, err := rtcp.Marshal(packets)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (x *wire) drops(l *Leg, r DropReason) uint64 { return l.Stats().Drops[r.String()] }
