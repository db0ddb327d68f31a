package siptest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"
)

// Media is one RTP and RTCP socket pair with a voice and an ear: it sends a tone or echoes, and measures what it hears.
// Safe for concurrent use.
type Media struct {
	// static after construction
	rtp, rtcp *net.UDPConn
	addr      netip.AddrPort
	ssrc      uint32
	id        uint64
	done      chan struct{}
	wg        sync.WaitGroup
	closed    sync.Once

	mu sync.Mutex
	// guarded by mu
	changed  chan struct{} // closed and replaced with each packet heard
	version  int           // of the SDP
	remote   netip.AddrPort
	rtcpTo   netip.AddrPort
	format   string // payload type of the agreed codec
	law      *law   // nil: no voice for it
	events   string // payload type of telephone-event, empty without
	mayTalk  bool
	echo     bool
	talking  bool
	hz       float64
	phase    float64
	seq      uint16
	stamp    uint32
	marker   bool
	dialling []*digit
	heard    ear
	stats    MediaStats
}

// MediaStats are a Media's figures, in packets.
type MediaStats struct {
	Sent, Received         uint64 // RTP
	RTCPSent, RTCPReceived uint64
	Events                 uint64 // RTP packets of telephone-event received
	Lost                   uint64 // sequence numbers that never came
}

// NewMedia opens an even port and the next on addr.
func NewMedia(addr netip.Addr) (*Media, error) {
	a, b, err := openPair(addr)
	if err != nil {
		return nil, err
	}
	m := &Media{
		rtp: a, rtcp: b, addr: unmap(a.LocalAddr().(*net.UDPAddr).AddrPort()),
		ssrc: rand.Uint32(), id: rand.Uint64N(1 << 40), seq: uint16(rand.Uint32N(1 << 15)), stamp: rand.Uint32(),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	m.wg.Go(m.readRTP)
	m.wg.Go(m.readRTCP)
	m.wg.Go(m.clock)
	return m, nil
}

// openPair opens an even port and the odd one above it (RFC 3550 §11).
func openPair(addr netip.Addr) (even, odd *net.UDPConn, err error) {
	for range 100 {
		even, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			return nil, nil, fmt.Errorf("siptest: %w", err)
		}
		if port := even.LocalAddr().(*net.UDPAddr).Port; port%2 == 0 {
			odd, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(port+1))))
			if err == nil {
				return even, odd, nil
			}
		}
		even.Close()
	}
	return nil, nil, fmt.Errorf("siptest: no free pair of ports on %s", addr)
}

// Close closes the sockets; safe to call twice.
func (m *Media) Close() error {
	var err error
	m.closed.Do(func() {
		close(m.done)
		err = errors.Join(m.rtp.Close(), m.rtcp.Close())
		m.wg.Wait()
	})
	return err
}

// Addr is the RTP address.
func (m *Media) Addr() netip.AddrPort { return m.addr }

// Tone starts to send a tone of hz in the agreed codec, every 20 ms; 0 sends silence.
func (m *Media) Tone(hz float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marker = m.marker || !m.talking
	m.talking, m.hz, m.phase = true, hz, 0
}

// Stop stops sending, echoes included.
func (m *Media) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.talking, m.echo = false, false
}

// Echo reflects each packet, telephone events too, to the other side's address, in whatever codec it came.
func (m *Media) Echo() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.talking, m.echo = false, true
}

// Stats may be called at any time.
func (m *Media) Stats() MediaStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// clock sends a frame each 20 ms, and a report each 5 s (RFC 3550 §6.2).
func (m *Media) clock() {
	frames, reports := time.NewTicker(20*time.Millisecond), time.NewTicker(5*time.Second)
	defer frames.Stop()
	defer reports.Stop()
	for {
		select {
		case <-m.done:
			return
		case <-frames.C:
			m.mu.Lock()
			m.speak()
			m.mu.Unlock()
		case <-reports.C:
			m.report()
		}
	}
}

// speak sends the frame of this tick: an event has the floor before the tone. Called with mu held.
func (m *Media) speak() {
	m.stamp += frame
	if !m.mayTalk || !m.remote.IsValid() {
		return
	}
	if len(m.dialling) > 0 {
		m.dial()
		return
	}
	if !m.talking || m.law == nil {
		return
	}
	var samples [frame]int16
	if m.hz > 0 {
		tone(samples[:], m.hz, &m.phase)
	}
	payload := make([]byte, frame)
	for i, s := range samples {
		payload[i] = m.law.encode(s)
	}
	m.write(rtp.Header{PayloadType: payloadType(m.format), Timestamp: m.stamp, Marker: m.marker}, payload)
	m.marker = false
}

// write sends one packet with our sequence. Called with mu held.
func (m *Media) write(h rtp.Header, payload []byte) {
	m.seq++
	h.Version, h.SSRC, h.SequenceNumber = 2, m.ssrc, m.seq
	data, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err != nil {
		return
	}
	if _, err := m.rtp.WriteToUDPAddrPort(data, m.remote); err == nil {
		m.stats.Sent++
	}
}

func (m *Media) readRTP() {
	buf := make([]byte, 2048)
	for {
		n, _, err := m.rtp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var p rtp.Packet
		if err != nil || p.Unmarshal(buf[:n]) != nil {
			continue
		}
		m.mu.Lock()
		m.take(&p)
		m.mu.Unlock()
	}
}

// take hears one packet. Called with mu held; p lives until it returns.
func (m *Media) take(p *rtp.Packet) {
	m.stats.Received++
	m.stats.Lost += m.heard.order(p)
	switch {
	case m.events != "" && p.PayloadType == payloadType(m.events):
		m.stats.Events++
		m.heard.dialled(p)
	case m.format != "" && p.PayloadType == payloadType(m.format):
		m.heard.audio(p, m.law)
	default:
		return
	}
	if m.echo && m.mayTalk && m.remote.IsValid() {
		m.write(rtp.Header{PayloadType: p.PayloadType, Timestamp: p.Timestamp, Marker: p.Marker}, p.Payload)
	}
	close(m.changed)
	m.changed = make(chan struct{})
}
