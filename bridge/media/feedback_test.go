package media

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	"tandem/bridge/sdp"
)

// videoPlan is opusPlan with VP8 beside it.
func videoPlan(browser, phone sdp.Feedback) sdp.Plan {
	plan := opusPlan()
	s := sdp.PlannedStream{
		Kind: "video", Forward: [2]bool{true, true}, Feedback: [2]sdp.Feedback{browser, phone},
		Codec: [2]sdp.Codec{{PayloadType: 96, Name: "VP8", Clock: 90000}, {PayloadType: 120, Name: "VP8", Clock: 90000}},
	}
	for side := range s.Payload {
		for i := range s.Payload[side] {
			s.Payload[side][i] = noPayload
		}
	}
	s.Payload[0][96], s.Payload[1][120] = 120, 96
	plan.Streams = append(plan.Streams, s)
	return plan
}

// newVideo is a wire on which both send video: the browser as 70 from sequence number 500 on, the phone as 90 from 900.
func newVideo(t testing.TB, browser, phone sdp.Feedback) *wire {
	t.Helper()
	x := newWire(t, opusPlan())
	pair, err := x.w.engine.ports.take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.w.engine.ports.release(pair) })
	x.b.streams = append(x.b.streams, newRTPStream(x.b, 1, pair))
	stream := sdp.RemoteStream{RTP: loopback(50002)}
	x.b.setAddresses(x.w, sdp.Remote{Streams: []sdp.RemoteStream{stream, stream}})
	x.join(videoPlan(browser, phone))
	for i := range 10 {
		x.browserSends(packet(t, 96, 70, uint16(500+i), "picture"))
		x.videoOfPhone(packet(t, 120, 90, uint16(900+i), "picture"))
	}
	x.take()
	return x
}

func (x *wire) videoOfPhone(p []byte) {
	x.t.Helper()
	x.w.in.next = 0
	d := datagram{data: x.w.in.copyIn(p), from: &x.phone}
	socket := 0
	if isRTCP(p) {
		socket = 1
	}
	x.w.receivePort(x.b.streams[1].ends()[socket].socket, &d)
	x.collect()
}

const everything = sdp.NACK | sdp.PLI | sdp.FIR | sdp.REMB | sdp.TransportCC

// What a peer asks for reaches the other in the other's terms, where it negotiated that.
func TestFeedback(t *testing.T) {
	pli := func(p rtcp.Packet) bool {
		m, ok := p.(*rtcp.PictureLossIndication)
		return ok && m.MediaSSRC == 70 && m.SenderSSRC == 90
	}
	fir := func(p rtcp.Packet) bool {
		m, ok := p.(*rtcp.FullIntraRequest)
		return ok && m.MediaSSRC == 0 && len(m.FIR) == 1 && m.FIR[0] == rtcp.FIREntry{SSRC: 70, SequenceNumber: 1}
	}
	nack := func(p rtcp.Packet) bool {
		m, ok := p.(*rtcp.TransportLayerNack)
		return ok && m.MediaSSRC == 70 && len(m.Nacks) == 3 && m.Nacks[0].PacketID == 510 && m.Nacks[2].PacketID == 513
	}
	remb := func(p rtcp.Packet) bool {
		m, ok := p.(*rtcp.ReceiverEstimatedMaximumBitrate)
		return ok && m.Bitrate == 500_000 && len(m.SSRCs) == 1 && m.SSRCs[0] == 70
	}
	asksPLI := &rtcp.PictureLossIndication{SenderSSRC: 90, MediaSSRC: 70}
	asksFIR := &rtcp.FullIntraRequest{SenderSSRC: 90, FIR: []rtcp.FIREntry{{SSRC: 70, SequenceNumber: 9}}}
	asksNACK := &rtcp.TransportLayerNack{SenderSSRC: 90, MediaSSRC: 70, Nacks: []rtcp.NackPair{{PacketID: 510, LostPackets: 1}, {PacketID: 513}, {PacketID: 505}}}
	saysREMB := &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 90, Bitrate: 500_000, SSRCs: []uint32{70}}
	congestion := &rtcp.TransportLayerCC{
		Header:     rtcp.Header{Count: 15, Type: 205, Length: 5},
		SenderSSRC: 90, MediaSSRC: 70, PacketStatusCount: 1, ReferenceTime: 1,
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 1}},
		RecvDeltas:   []*rtcp.RecvDelta{{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 250}},
	}
	passed := func(p rtcp.Packet) bool {
		m, ok := p.(*rtcp.TransportLayerCC)
		return ok && m.MediaSSRC == 70 && m.SenderSSRC == 90
	}
	for _, c := range []struct {
		name           string
		browser, phone sdp.Feedback
		asks           rtcp.Packet
		want           func(rtcp.Packet) bool // nil: it goes no further
	}{
		{"PLI", everything, everything, asksPLI, pli},
		{"PLI as FIR", sdp.FIR, everything, asksPLI, fir},
		{"FIR as PLI", sdp.PLI, everything, asksFIR, pli},
		{"FIR", sdp.FIR, 0, asksFIR, fir},
		{"PLI to who has neither", sdp.NACK, everything, asksPLI, nil},
		{"NACK", everything, everything, asksNACK, nack},
		{"NACK to who has none", sdp.PLI, everything, asksNACK, nil},
		{"NACK of who has none", everything, sdp.PLI, asksNACK, nil},
		{"REMB", everything, everything, saysREMB, remb},
		{"REMB to who has none", sdp.PLI, everything, saysREMB, nil},
		{"transport-cc", everything, everything, congestion, passed},
		{"transport-cc of one side", sdp.TransportCC, sdp.PLI, congestion, nil},
		{"slice loss", everything, everything, &rtcp.SliceLossIndication{SenderSSRC: 90, MediaSSRC: 70, SLI: []rtcp.SLIEntry{{}}}, nil},
		{"of a stream that is not ours", everything, everything, &rtcp.PictureLossIndication{SenderSSRC: 90, MediaSSRC: 71}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newVideo(t, c.browser, c.phone)
			x.browserSends(packet(t, 96, 70, 514, "behind a gap"))
			x.take()
			x.videoOfPhone(marshal(t, &rtcp.ReceiverReport{SSRC: 90}, c.asks))
			var got []rtcp.Packet
			for _, p := range reports(t, x.take(), x.a) {
				switch p.(type) {
				case *rtcp.ReceiverReport, *rtcp.SourceDescription:
				default:
					got = append(got, p)
				}
			}
			switch {
			case c.want == nil && (len(got) != 0 || x.drops(x.b, DropFeedback) != 1):
				t.Errorf("got %v, drops %v", got, x.b.Stats().Drops)
			case c.want != nil && (len(got) != 1 || !c.want(got[0])):
				t.Errorf("got %v, drops %v", got, x.b.Stats().Drops)
			}
		})
	}
}

// asked gives what the browser is asked for when the phone misses a packet, and what is sent to the phone again.
func (x *wire) asked(missing uint16) (list []rtcp.NackPair, ssrc uint32, again []string) {
	x.t.Helper()
	x.videoOfPhone(marshal(x.t, &rtcp.ReceiverReport{SSRC: 90},
		&rtcp.TransportLayerNack{SenderSSRC: 90, MediaSSRC: 70, Nacks: []rtcp.NackPair{{PacketID: missing}}}))
	sent := x.take()
	for _, p := range reports(x.t, sent, x.a) {
		if m, ok := p.(*rtcp.TransportLayerNack); ok {
			list, ssrc = m.Nacks, m.MediaSSRC
		}
	}
	for _, p := range sent {
		if !p.control && p.leg == x.b {
			again = append(again, string(p.data[rtpMin:]))
		}
	}
	return list, ssrc, again
}

// Sequence numbers in a NACK are those of the source, behind a gap that was closed and behind a new source.
func TestNACKFollowsTheNumbers(t *testing.T) {
	x := newVideo(t, everything, everything)
	x.browserSends(packet(t, 99, 70, 510, "of an unknown payload type"))
	for _, sequence := range []uint16{511, 513, 516} { // as 510, 512, 515
		x.browserSends(packet(t, 96, 70, sequence, "picture"))
	}
	x.take()
	for out, want := range map[uint16]uint16{511: 512, 513: 514, 514: 515} {
		if got, ssrc, _ := x.asked(out); len(got) != 1 || got[0].PacketID != want || ssrc != 70 {
			t.Errorf("%d is asked for as %v of %d, want %d", out, got, ssrc, want)
		}
	}
	for _, sequence := range []uint16{40, 42} { // as 516, 518
		x.browserSends(packet(t, 96, 71, sequence, "another camera"))
	}
	x.take()
	if got, ssrc, _ := x.asked(517); len(got) != 1 || got[0].PacketID != 41 || ssrc != 71 {
		t.Errorf("of the new source: %v of %d", got, ssrc)
	}
	if got, _, _ := x.asked(514); got != nil {
		t.Errorf("of the old source: %v", got)
	}
}

// What was lost behind us is sent again from here: the source's repetition would be taken for a replay. So it is for a far
// side without NACK, too.
func TestLostPacketsAreSentAgain(t *testing.T) {
	for _, browser := range []sdp.Feedback{everything, sdp.PLI} {
		x := newVideo(t, browser, everything)
		if got, _, again := x.asked(509); got != nil || again != nil { // from now on packets are kept
			t.Errorf("what we had is asked for: %v, %q", got, again)
		}
		for i := range uint16(3 * historySize) {
			x.browserSends(packet(t, 96, 70, 510+i, "picture "+string(rune('a'+i%26))))
		}
		x.take()
		last := uint16(509 + 3*historySize)
		for back, want := range map[uint16]int{0: 1, 5: 1, historySize - 1: 1, historySize: 0} {
			got, _, again := x.asked(last - back)
			if got != nil || len(again) != want || want == 1 && again[0] != "picture "+string(rune('a'+(last-back-510)%26)) {
				t.Errorf("%d back: asked for %v, sent %q", back, got, again)
			}
		}
		if _, _, again := x.asked(last); again != nil {
			t.Errorf("at once again: %q", again)
		}
		x.w.clock += resendPacket
		if _, _, again := x.asked(last); len(again) != 1 {
			t.Errorf("after a while: %q", again)
		}
	}
}

// Who asks for everything again and again, perhaps with a forged address, gets no more than twice what was sent.
func TestResendingIsBounded(t *testing.T) {
	x := newVideo(t, everything, everything)
	x.asked(509)
	const sent = 2 * historySize
	for i := range uint16(sent) {
		x.browserSends(packet(t, 96, 70, 510+i, "picture"))
	}
	x.take()
	last, before := uint16(509+sent), x.b.tracks[1].sent.packets
	nack := &rtcp.TransportLayerNack{SenderSSRC: 90, MediaSSRC: 70}
	for back := uint16(0); back < historySize; back += 16 {
		nack.Nacks = append(nack.Nacks, rtcp.NackPair{PacketID: last - back - 15, LostPackets: 0x7fff})
	}
	for range 20 {
		x.videoOfPhone(marshal(t, &rtcp.ReceiverReport{SSRC: 90}, nack))
		x.w.clock += resendPacket
	}
	if again := x.b.tracks[1].sent.packets - before; again == 0 || again > sent {
		t.Errorf("%d packets sent again of %d", again, sent)
	}
	if x.drops(x.b, DropFeedbackRate) == 0 {
		t.Error("what was refused was not counted")
	}
}

func TestKeyFramesAreNotAskedForTooOften(t *testing.T) {
	x := newVideo(t, everything, everything)
	count := func() (n int) {
		for _, p := range reports(t, x.take(), x.a) {
			if _, ok := p.(*rtcp.PictureLossIndication); ok {
				n++
			}
		}
		return n
	}
	for range 20 { // within 400 ms
		x.videoOfPhone(marshal(t, &rtcp.PictureLossIndication{SenderSSRC: 90, MediaSSRC: 70}))
		x.w.clock += int64(20 * time.Millisecond)
	}
	if n := count(); n != 1 || x.drops(x.b, DropFeedbackRate) != 19 {
		t.Errorf("%d asked for, drops %v %v", n, x.a.Stats().Drops, x.b.Stats().Drops)
	}
	x.w.clock += keyFrameEvery
	x.videoOfPhone(marshal(t, &rtcp.PictureLossIndication{SenderSSRC: 90, MediaSSRC: 70}))
	if n := count(); n != 1 {
		t.Errorf("%d after a while", n)
	}
}

// A viewer cannot do anything with the pictures of another source before its next key frame.
func TestNewSourceIsAskedForAKeyFrame(t *testing.T) {
	x := newVideo(t, everything, everything)
	p := packet(t, 96, 71, 40, "another camera")
	x.browserSends(p)
	sent := x.take()
	asked := false
	for _, p := range reports(t, sent, x.a) {
		m, ok := p.(*rtcp.PictureLossIndication)
		asked = asked || ok && m.MediaSSRC == 71
	}
	if !asked {
		t.Error("nobody asked")
	}
	for _, p := range sent {
		if !p.control && p.data[1]&rtpMarkerBit != 0 {
			t.Error("the marker of video, which ends a frame, was set")
		}
	}
}

// FuzzFeedback takes any RTCP on both legs; what leaves is RTCP as pion reads it.
func FuzzFeedback(f *testing.F) {
	x := newVideo(f, everything, everything)
	for _, p := range []rtcp.Packet{
		&rtcp.SenderReport{SSRC: 90, NTPTime: 1 << 40, Reports: []rtcp.ReceptionReport{{SSRC: 70, LastSenderReport: 1}}},
		&rtcp.FullIntraRequest{SenderSSRC: 90, FIR: []rtcp.FIREntry{{SSRC: 70}}},
		&rtcp.TransportLayerNack{SenderSSRC: 90, MediaSSRC: 70, Nacks: []rtcp.NackPair{{PacketID: 505, LostPackets: 3}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 90, Bitrate: 9, SSRCs: []uint32{70}},
		&rtcp.Goodbye{Sources: []uint32{90}},
	} {
		f.Add(marshal(f, p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if !validRTCP(p) || len(p) > maxDatagram {
			return
		}
		x.t = t
		x.w.clock += keyFrameEvery
		for _, l := range []*Leg{x.a, x.b} {
			l.receiveRTCP(x.w, append([]byte(nil), p...))
			for i := range l.tracks {
				l.reportStream(x.w, i)
			}
			x.collect()
		}
		for _, p := range x.take() {
			if !validRTCP(p.data) {
				t.Fatalf("left: %x", p.data)
			}
		}
		x.noFault(t)
	})
}

// Reports and feedback allocate nothing of ours; pion's SRTCP makes its additional data anew under GCM.
func TestRTCPAllocatesNothing(t *testing.T) {
	x := newVideo(t, everything, everything)
	nack := marshal(t, &rtcp.ReceiverReport{SSRC: 90, Reports: []rtcp.ReceptionReport{{SSRC: 70, LastSenderReport: 9}}},
		&rtcp.TransportLayerNack{SenderSSRC: 90, MediaSSRC: 70, Nacks: []rtcp.NackPair{{PacketID: 510}}})
	for _, c := range []struct {
		name string
		most float64
		do   func()
	}{
		{"reports to the phone", 0, func() { x.b.reportStream(x.w, 0); x.b.reportStream(x.w, 1) }},
		{"reports to the browser", 2, func() { x.a.reportStream(x.w, 0); x.a.reportStream(x.w, 1) }},
		{"rating", 0, func() { x.a.publish(); x.b.publish() }},
		{"a NACK to the browser", 1, func() { x.b.receiveRTCP(x.w, nack) }},
		{"the worker's round", 0, func() { x.w.clock += reportSteps; x.w.report() }},
		{"a key frame of the phone", 0, func() { x.w.clock += keyFrameEvery; x.b.askKeyFrame(x.w, 1) }},
	} {
		if n := testing.AllocsPerRun(200, func() { c.do(); x.w.out.count = 0 }); n > c.most {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
