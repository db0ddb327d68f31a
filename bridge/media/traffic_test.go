package media

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"
)

const trafficVariable = "MEDIA_TRAFFIC"

// TestMain lets the test's binary be the benchmark's traffic too, in a process of its own, so that its cost is not counted.
func TestMain(m *testing.M) {
	if os.Getenv(trafficVariable) == "" {
		os.Exit(m.Run())
	}
	if err := runTraffic(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}

// trafficSpec is what the process with the gateway asks for.
type trafficSpec struct {
	Gateway netip.AddrPort
	Profile uint16
	Calls   []trafficCall
	Warm    time.Duration
	Length  time.Duration
	Slot    time.Duration // between two batches of the sender
}

type trafficCall struct {
	Ufrag, Password string
	Port            uint16 // of the gateway towards the phone
}

// trafficResult is what came through after the warm-up.
type trafficResult struct {
	Sent, Received int
	P50, P99, Max  time.Duration
}

const (
	frame        = 20 * time.Millisecond
	trafficBatch = 64
)

// trafficSocket sends for many far ends from one socket: each has an address of its own in 127.0.0.0/8.
type trafficSocket struct {
	fd       int
	messages [trafficBatch]unix.Mmsghdr
	vectors  [trafficBatch]unix.Iovec
	ends     [trafficBatch]endpoint
	controls [trafficBatch][controlSize]byte
	buffers  [trafficBatch][bufferSize]byte
	count    int
}

func newTrafficSocket(fd int) *trafficSocket {
	s := &trafficSocket{fd: fd}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	for i := range s.messages {
		s.messages[i].Hdr.Iov, s.messages[i].Hdr.Iovlen = &s.vectors[i], 1
	}
	return s
}

// next is where the next packet is to be written.
func (s *trafficSocket) next() []byte {
	if s.count == trafficBatch {
		s.flush()
	}
	return s.buffers[s.count][:0:bufferSize]
}

func (s *trafficSocket) queue(from netip.Addr, to netip.AddrPort, p []byte) {
	i := s.count
	s.ends[i] = *endpointOf(sockaddrOf(to), localAddrFrom(from))
	s.vectors[i].Base, s.vectors[i].Len = &p[0], uint64(len(p))
	h := &s.messages[i].Hdr
	h.Name, h.Namelen = &s.ends[i].name[0], s.ends[i].nameSize
	h.Control, h.Controllen = &s.ends[i].control[0], s.ends[i].size
	s.count++
}

func (s *trafficSocket) flush() {
	for at := 0; at < s.count; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[at])),
			uintptr(s.count-at), 0, 0, 0)
		if errno != 0 {
			n = 1
		}
		at += int(n)
	}
	s.count = 0
}

// drain reads what came and tells when the kernel had it, in µs of the day.
func (s *trafficSocket) drain(got func(p []byte, at uint32)) {
	for {
		for i := range s.messages {
			s.vectors[i].Base, s.vectors[i].Len = &s.buffers[i][0], maxDatagram
			h := &s.messages[i].Hdr
			h.Name, h.Namelen = nil, 0
			h.Control, h.Controllen = &s.controls[i][0], controlSize
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[0])),
			trafficBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return
		}
		for i := range int(n) {
			c := s.controls[i][unix.SizeofCmsghdr:]
			at := binary.NativeEndian.Uint64(c)*1e6 + binary.NativeEndian.Uint64(c[8:])/1e3
			got(s.buffers[i][:s.messages[i].Len], uint32(at))
		}
		if n < trafficBatch {
			return
		}
	}
}

// traffic is N browsers and N phones that send 20 ms voice. The RTP timestamp is the time of sending.
type traffic struct {
	spec      trafficSpec
	browsers  *trafficSocket
	phones    *trafficSocket
	out       *srtp.Context
	sequence  []uint16
	sent      int
	measuring bool
	latencies []uint32
	plain     [rtpMin + 160]byte
}

func browserAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 10, byte(i >> 8), byte(i)}) }
func phoneAddr(i int) netip.Addr   { return netip.AddrFrom4([4]byte{127, 20, byte(i >> 8), byte(i)}) }

// runTraffic is the whole of the process: descriptors 3 and 4 are the browsers' and the phones' socket.
func runTraffic(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	t := &traffic{browsers: newTrafficSocket(3), phones: newTrafficSocket(4)}
	if err := json.NewDecoder(in).Decode(&t.spec); err != nil {
		return err
	}
	key, salt, err := profileSizes(t.spec.Profile)
	if err != nil {
		return err
	}
	if t.out, err = srtp.CreateContext(make([]byte, key), make([]byte, salt), srtp.ProtectionProfile(t.spec.Profile)); err != nil {
		return err
	}
	t.sequence = make([]uint16, 2*len(t.spec.Calls))
	for i := range t.spec.Calls {
		if err := t.check(i); err != nil {
			return err
		}
	}
	t.browsers.flush()
	t.send(t.spec.Warm)
	fmt.Fprintln(out, `"ready"`)
	t.latencies = make([]uint32, 0, 1<<22)
	t.measuring, t.sent = true, 0
	t.send(t.spec.Length)
	fmt.Fprintln(out, `"done"`)
	t.measuring = false
	t.settle()
	slices.Sort(t.latencies)
	r := trafficResult{Sent: t.sent, Received: len(t.latencies)}
	if n := len(t.latencies); n > 0 {
		µs := func(at int) time.Duration { return time.Duration(t.latencies[at]) * time.Microsecond }
		r.P50, r.P99, r.Max = µs(n/2), µs(n*99/100), µs(n-1)
	}
	return json.NewEncoder(out).Encode(r)
}

func (t *traffic) check(i int) error {
	c := t.spec.Calls[i]
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(c.Ufrag+":peer"), controlling{}, useCandidate{},
		stun.NewShortTermIntegrity(c.Password), stun.Fingerprint)
	if err != nil {
		return err
	}
	t.browsers.queue(browserAddr(i), t.spec.Gateway, append(t.browsers.next(), m.Raw...))
	return nil
}

// send sends for a time, each call at its own moment of the frame, a little at each slot.
func (t *traffic) send(length time.Duration) {
	total := 2 * len(t.spec.Calls)
	start, done := time.Now(), 0
	for {
		elapsed := time.Since(start)
		for due := int(int64(elapsed) * int64(total) / int64(frame)); done < due; done++ {
			t.one(done % total)
		}
		t.browsers.flush()
		t.phones.flush()
		t.receive()
		if elapsed > length {
			return
		}
		pause := unix.NsecToTimespec(int64(t.spec.Slot))
		_ = unix.Nanosleep(&pause, nil)
	}
}

// settle takes in what is still under way when the measuring ends.
func (t *traffic) settle() {
	for range 100 {
		pause := unix.NsecToTimespec(int64(time.Millisecond))
		_ = unix.Nanosleep(&pause, nil)
		t.receive()
	}
}

func (t *traffic) one(number int) {
	call, payload := number/2, byte(111)
	if number%2 == 1 {
		call, payload = len(t.spec.Calls)-1-call, 107
	}
	p := t.plain[:]
	t.sequence[number]++
	p[0], p[1] = rtpVersion, payload
	binary.BigEndian.PutUint16(p[2:], t.sequence[number])
	binary.BigEndian.PutUint32(p[4:], uint32(time.Now().UnixMicro()))
	binary.BigEndian.PutUint32(p[8:], uint32(number+1))
	if payload == 107 {
		to := netip.AddrPortFrom(t.spec.Gateway.Addr(), t.spec.Calls[call].Port)
		t.phones.queue(phoneAddr(call), to, append(t.phones.next(), p...))
	} else if sealed, err := t.out.EncryptRTP(t.browsers.next(), p, nil); err == nil {
		t.browsers.queue(browserAddr(call), t.spec.Gateway, sealed)
	}
	t.sent++
}

func (t *traffic) receive() {
	got := func(p []byte, at uint32) {
		if (t.measuring || cap(t.latencies) > 0) && len(p) >= rtpMin && p[0]&0xC0 == rtpVersion && len(t.latencies) < cap(t.latencies) {
			t.latencies = append(t.latencies, at-rtpTimestamp(p))
		}
	}
	t.browsers.drain(got)
	t.phones.drain(got)
}
