package siptest

import (
	"errors"
	"net"
	"time"

	"github.com/pion/rtcp"
)

// report sends a sender report, or a receiver report where nothing was sent, with a CNAME.
func (m *Media) report() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.rtcpTo.IsValid() {
		return
	}
	var reception []rtcp.ReceptionReport
	if m.heard.any {
		reception = []rtcp.ReceptionReport{{SSRC: m.heard.ssrc, LastSequenceNumber: uint32(m.heard.seq), TotalLost: uint32(m.stats.Lost)}}
	}
	var first rtcp.Packet = &rtcp.ReceiverReport{SSRC: m.ssrc, Reports: reception}
	if m.stats.Sent > 0 {
		now := time.Now()
		const epoch = 2208988800 // seconds from 1900 to 1970
		first = &rtcp.SenderReport{
			SSRC: m.ssrc, NTPTime: uint64(now.Unix()+epoch)<<32 | uint64(now.Nanosecond())<<32/1e9,
			RTPTime: m.stamp, PacketCount: uint32(m.stats.Sent), OctetCount: uint32(m.stats.Sent * frame), Reports: reception,
		}
	}
	data, err := rtcp.Marshal([]rtcp.Packet{first, rtcp.NewCNAMESourceDescription(m.ssrc, "siptest@"+m.addr.Addr().String())})
	if err != nil {
		return
	}
	if _, err := m.rtcp.WriteToUDPAddrPort(data, m.rtcpTo); err == nil {
		m.stats.RTCPSent++
	}
}

func (m *Media) readRTCP() {
	buf := make([]byte, 2048)
	for {
		n, _, err := m.rtcp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if _, err := rtcp.Unmarshal(buf[:n]); err != nil {
			continue
		}
		m.mu.Lock()
		m.stats.RTCPReceived++
		m.mu.Unlock()
	}
}
