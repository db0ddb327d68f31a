package media

import (
	"encoding/binary"

	"tandem/bridge/sdp"
)

// RTCP packet types (RFC 3550 §12.1, RFC 4585 §6.1) and sizes.
const (
	rtcpSR    = 200
	rtcpRR    = 201
	rtcpSDES  = 202
	rtcpBYE   = 203
	rtcpRTPFB = 205
	rtcpPSFB  = 206
	rtcpXR    = 207

	srSize     = 28 // header, sender, NTP, RTP timestamp, counts
	rrSize     = 8
	reportSize = 24
)

// validRTCP checks a compound packet's headers and lengths (RFC 3550 §A.2); reduced-size packets pass (RFC 5506).
//
//	|V=2|P|   RC    |      PT       |  length in words minus one    |
//	|                        sender's SSRC                          | …
func validRTCP(p []byte) bool {
	if len(p) < rtcpMin || len(p)%4 != 0 {
		return false
	}
	for len(p) > 0 {
		if len(p) < 4 || p[0]&0xC0 != rtpVersion || !isRTCP(p) {
			return false
		}
		size := 4 + 4*int(binary.BigEndian.Uint16(p[2:]))
		if size > len(p) {
			return false
		}
		if p[0]&rtpPadBit != 0 && size != len(p) { // only the last may be padded
			return false
		}
		p = p[size:]
	}
	return true
}

// receiveRTCP takes what the leg's peer reports and asks for. Nothing of it goes further as it is: reports end here, for each
// leg has its own (report.go), and feedback is put into the far leg's terms (feedback.go).
func (l *Leg) receiveRTCP(w *worker, p []byte) {
	if l.relay == nil {
		w.drop(l, DropNotJoined)
		return
	}
	for len(p) > 0 {
		size := 4 + 4*int(binary.BigEndian.Uint16(p[2:]))
		l.receiveRTCPPacket(w, p[:size])
		p = p[size:]
	}
}

func (l *Leg) receiveRTCPPacket(w *worker, p []byte) {
	count := int(p[0] & 0x1f)
	switch {
	case p[1] == rtcpSR && len(p) >= srSize:
		l.heardSender(w, p)
		l.heardReports(w, p[srSize:], count)
	case p[1] == rtcpRR && len(p) >= rrSize:
		l.heardReports(w, p[rrSize:], count)
	case p[1] == rtcpSDES, p[1] == rtcpXR:
	case p[1] == rtcpBYE:
		l.heardGoodbye(p[4:], count)
	case p[1] == rtcpRTPFB && len(p) >= feedbackMin:
		l.receiveTransportFeedback(w, p)
	case p[1] == rtcpPSFB && len(p) >= feedbackMin:
		l.receivePayloadFeedback(w, p)
	default:
		w.drop(l, DropRTCPType)
	}
}

// heardGoodbye takes a BYE: the source has ended, which is no end of the stream.
func (l *Leg) heardGoodbye(sources []byte, count int) {
	for ; count > 0 && len(sources) >= 4; count-- {
		ssrc := binary.BigEndian.Uint32(sources)
		if _, t := l.heardTrack(ssrc); t != nil {
			t.in.goodbye(ssrc)
		}
		sources = sources[4:]
	}
}

// sendRTCP sends plain RTCP to the leg's peer, encrypted where the leg is.
func (l *Leg) sendRTCP(w *worker, stream int, p []byte) {
	t := l.controls(stream)
	if t == nil {
		w.drop(l, DropPeerNotReady)
		return
	}
	if t.srtp != nil {
		sealed, reason := t.srtp.sealRTCP(&w.scratch, p)
		if reason != dropNone {
			w.drop(l, reason)
			return
		}
		p = sealed
	}
	t.send(w, p)
}

// controls is the transport by which a stream's RTCP reaches the leg's peer; nil: none does now.
func (l *Leg) controls(stream int) *transport {
	if l.spec.Profile == sdp.WebRTC {
		if l.srtp == nil || l.ice.selected == nil {
			return nil
		}
		return &l.transport
	}
	s := l.stream(stream)
	if s == nil || s.control().to == nil || s.keying != sdp.Plain && s.control().srtp == nil {
		return nil
	}
	return &s.control().transport
}
