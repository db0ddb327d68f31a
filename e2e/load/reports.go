package load

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"golang.org/x/sys/unix"
)

// reports counts the RTCP packets that came from gateways.
type reports struct{ browsers, phones atomic.Uint64 }

// Reports is how many RTCP packets the browsers and the phones got since the generator began.
func (g *Generator) Reports() (browsers, phones uint64) {
	return g.reports.browsers.Load(), g.reports.phones.Load()
}

// sendReports sends a sender report from either end; called by the loop. A forwarder's session has none.
func (s *Session) sendReports(now time.Time) error {
	k := s.keys.Load()
	if k == nil {
		return nil
	}
	up, err := s.up.report(now)
	if err != nil {
		return err
	}
	if up, err = k.seal.EncryptRTCP(nil, up, nil); err != nil {
		return fmt.Errorf("load: SRTCP: %w", err)
	}
	if err := s.toGateway(up); err != nil {
		return err
	}
	down, err := s.down.report(now)
	if err != nil {
		return err
	}
	return s.generator.phonesRTCP.send(down, s.phoneAddr(), s.phoneRTCP)
}

// report is a sender report (RFC 3550 §6.4.1).
func (t *stream) report(now time.Time) ([]byte, error) {
	const since1900 = 2208988800
	seconds, fraction := uint64(now.Unix()+since1900), uint64(now.Nanosecond())<<32/1e9
	r := rtcp.SenderReport{SSRC: t.ssrc, NTPTime: seconds<<32 | fraction, RTPTime: t.timestamp, PacketCount: t.counter, OctetCount: t.counter}
	return r.Marshal()
}

// receiveReport takes SRTCP that came to the browser.
func (s *Session) receiveReport(p []byte) {
	if k := s.keys.Load(); k != nil {
		if _, err := k.open.DecryptRTCP(nil, p, nil); err != nil {
			s.generator.faults.note(&s.generator.faults.undecryptable, fmt.Errorf("load: session %d: SRTCP: %w", s.number, err))
			return
		}
	}
	s.generator.reports.browsers.Add(1)
}

// rtcpAddr is where RTCP goes (RFC 3605): the next port where the SDP names none.
func rtcpAddr(rtp unix.RawSockaddrInet4, m *sdp.MediaDescription) unix.RawSockaddrInet4 {
	port := addrPort(rtp).Port() + 1
	if v, ok := m.Attribute("rtcp"); ok {
		word, _, _ := strings.Cut(v, " ")
		if n, err := strconv.ParseUint(word, 10, 16); err == nil {
			port = uint16(n)
		}
	}
	return rawAddr(netip.AddrPortFrom(addrPort(rtp).Addr(), port))
}
