package media

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// trainBench is an outbox with a socket and some ends.
type trainBench struct {
	w    *worker
	fd   int
	ends []*net.UDPConn
	to   []*endpoint
}

func newTrainBench(t testing.TB, ends int) *trainBench {
	t.Helper()
	fd, err := udpSocket(loopback(0), false, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	b := &trainBench{w: newBench(t, uint16(srtpProfiles()[0])).w, fd: fd, to: make([]*endpoint, ends)}
	b.w.out.trains.open(fd)
	for i := range ends {
		conn := newSocket(t)
		b.ends = append(b.ends, conn)
		b.to[i] = endpointAt(addrOf(conn))
	}
	return b
}

// queue queues packets in the order given, each to an end, and gives what each end is to get.
func (b *trainBench) queue(sizes [][2]int, framed bool) (want [][]string) {
	want = make([][]string, len(b.ends))
	for i, s := range sizes {
		end, size := s[0], s[1]
		p := bytes.Repeat([]byte{byte('a' + i%26)}, size)
		if !framed {
			b.w.queue(b.fd, nil, b.to[end], p)
			want[end] = append(want[end], string(p))
			continue
		}
		header := fmt.Appendf(nil, "%04d", i)
		copy(b.w.out.frame(len(header)), header)
		b.w.out.addFramed(b.fd, nil, b.to[end], len(header), p, -size&3)
		want[end] = append(want[end], string(header)+string(p)+string(make([]byte, -size&3)))
	}
	return want
}

// arrive looks at what each end got.
func (b *trainBench) arrive(t *testing.T, want [][]string) {
	t.Helper()
	buffer := make([]byte, 4096)
	for end, list := range want {
		for i, one := range list {
			n, _, err := b.ends[end].ReadFromUDPAddrPort(buffer)
			if err != nil || string(buffer[:n]) != one {
				t.Fatalf("end %d, packet %d: %d bytes %.20q, %v; want %d %.20q", end, i, n, buffer[:n], err, len(one), one)
			}
		}
	}
	if sent, all := b.w.counters.packetsOut.Load(), len(slices.Concat(want...)); sent != uint64(all) {
		t.Errorf("%d of %d packets are counted", sent, all)
	}
	for reason := range b.w.counters.drops {
		if n := b.w.counters.drops[reason].Load(); n != 0 {
			t.Errorf("%d dropped: %v", n, DropReason(reason))
		}
	}
}

// Packets of one size to one end leave as one train and arrive as they were, each end's in their order.
func TestTrains(t *testing.T) {
	t.Parallel()
	several := func(n int, p ...[2]int) (list [][2]int) {
		for range n {
			list = append(list, p...)
		}
		return list
	}
	for name, c := range map[string]struct {
		packets [][2]int // end and size
		framed  bool
		trains  int
	}{
		"one":               {several(1, [2]int{0, 172}), false, 1},
		"to one end":        {several(5, [2]int{0, 172}), false, 1},
		"to ends in turn":   {several(5, [2]int{0, 172}, [2]int{1, 172}, [2]int{2, 80}), false, 3},
		"sizes in turn":     {several(2, [2]int{0, 172}, [2]int{0, 92}), false, 4},
		"more than a train": {several(trainMost+1, [2]int{1, 300}), false, 2},
		"a full outbox":     {several(batchSize, [2]int{2, 100}), false, batchSize / trainMost},
		"framed":            {several(6, [2]int{0, 171}, [2]int{1, 33}), true, 2},
		"too long":          {several(3, [2]int{0, trainPacket + 1}), false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTrainBench(t, 3)
			want := b.queue(c.packets, c.framed)
			b.w.out.flush(b.w)
			if !b.w.out.trains.able { // the kernel is older than 4.18
				c.trains = len(c.packets)
			}
			if got := b.w.out.trains.count; got != c.trains {
				t.Errorf("%d trains, want %d", got, c.trains)
			}
			b.arrive(t, want)
		})
	}
}

// A train that the kernel refuses (here for want of checksums) leaves packet by packet, one by an interface without checksums puts an
// end to trains.
func TestTrainRefused(t *testing.T) {
	t.Parallel()
	for _, framed := range []bool{false, true} {
		b := newTrainBench(t, 2)
		if err := unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Fatal(err)
		}
		want := b.queue([][2]int{{0, 100}, {1, 100}, {0, 100}, {1, 100}, {0, 100}}, framed)
		b.w.out.flush(b.w)
		b.arrive(t, want)
	}
	b := newTrainBench(t, 1)
	b.w.out.trains.able = true
	b.w.out.trains.refused(unix.EMSGSIZE)
	if !b.w.out.trains.able {
		t.Error("one long packet puts an end to trains")
	}
	b.w.out.trains.refused(unix.EIO)
	want := b.queue([][2]int{{0, 100}, {0, 100}}, false)
	b.w.out.flush(b.w)
	if b.w.out.trains.count != 2 {
		t.Errorf("%d messages, want 2", b.w.out.trains.count)
	}
	b.arrive(t, want)
}

// Trains leave from the address of ours that their end knows.
func TestTrainsLeaveFromTheirAddress(t *testing.T) {
	t.Parallel()
	b := newTrainBench(t, 1)
	b.to[0] = endpointOf(b.to[0].name, localAddr{family: unix.AF_INET, addr: [16]byte{127, 0, 0, 1}})
	want := b.queue([][2]int{{0, 50}, {0, 50}}, false)
	b.w.out.flush(b.w)
	b.arrive(t, want)
}

func TestTrainsAllocateNothing(t *testing.T) {
	b := newTrainBench(t, 2)
	packet := make([]byte, 172)
	if n := testing.AllocsPerRun(500, func() {
		for i := range 6 {
			b.w.queue(b.fd, nil, b.to[i%2], packet)
		}
		b.w.out.flush(b.w)
	}); n != 0 {
		t.Errorf("%v allocations for six packets", n)
	}
}
