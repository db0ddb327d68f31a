package media

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"tandem/bridge/media/codec"
	"tandem/bridge/sdp"
)

// speaker is a phone with one codec that says a tone in real time and listens to another.
type speaker struct {
	*phone
	t       *testing.T
	payload uint8
	clock   uint32 // ticks in 20 ms
	rate    int    // samples a second of what is said and heard
	encoder codec.Encoder
	decoder codec.Decoder
	came    chan *rtp.Packet // read at once: a socket's buffer is too small for who is behind
	heard   []int16
	last    *rtp.Packet
}

func newSpeaker(t *testing.T, l *Leg, name codec.Name, payload uint8) *speaker {
	t.Helper()
	s := &speaker{phone: newPhone(t, l.Local()), t: t, payload: payload, clock: uint32(name.Clock() / 50), rate: min(name.Rate(), 16000)}
	s.came = make(chan *rtp.Packet, 10_000)
	go s.read()
	var err error
	if s.encoder, err = codec.NewEncoder(codec.Spec{Name: name, Ptime: 20 * time.Millisecond}, s.rate); err != nil {
		t.Fatal(err)
	}
	if s.decoder, _, err = codec.NewDecoder(name, s.rate); err != nil {
		t.Fatal(err)
	}
	return s
}

// read ends with the socket.
func (s *speaker) read() {
	for {
		b := make([]byte, 2048)
		n, from, err := s.rtp.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if p := (&rtp.Packet{}); from == s.phone.to && !isRTCP(b[:n]) && p.Unmarshal(b[:n]) == nil {
			s.came <- p
		}
	}
}

func (s *speaker) receiveRTP() *rtp.Packet {
	s.t.Helper()
	select {
	case p := <-s.came:
		return p
	case <-time.After(patience):
		s.t.Fatal("no packet came")
		return nil
	}
}

// say sends the n-th 20 ms of a tone.
func (s *speaker) say(n int, frequency float64) {
	pcm := make([]int16, s.rate/50)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*frequency*float64(n*len(pcm)+i)/float64(s.rate)))
	}
	payload := make([]byte, 1500)
	size, err := s.encoder.Encode(payload, pcm)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.sequence++
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: s.payload, SequenceNumber: s.sequence,
		Timestamp: uint32(n) * s.clock, SSRC: s.ssrc}, Payload: payload[:size]}).Marshal()
	if err == nil {
		_, err = s.rtp.WriteToUDPAddrPort(raw, s.to)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// listen hears so many packets, each right behind the one before.
func (s *speaker) listen(packets int) {
	s.t.Helper()
	pcm := make([]int16, s.rate*12/100)
	for range packets {
		p := s.receiveRTP()
		if p.PayloadType != s.payload {
			s.t.Fatalf("payload type %d", p.PayloadType)
		}
		if b := s.last; b != nil && (p.SequenceNumber != b.SequenceNumber+1 || p.SSRC != b.SSRC || !s.follows(p, b)) {
			s.t.Fatalf("%v after %v", p, b)
		}
		s.last = p
		n, err := s.decoder.Decode(pcm, p.Payload)
		if err != nil {
			s.t.Fatal(err)
		}
		s.heard = append(s.heard, pcm[:n]...)
	}
}

// follows says whether a packet's time is right behind another's, or behind a pause that it is marked for: the machine may be busy.
func (s *speaker) follows(p, before *rtp.Packet) bool {
	ahead := p.Timestamp - before.Timestamp
	return ahead == s.clock || p.Marker && ahead%s.clock == 0 && int32(ahead) > 0
}

// share is how much of what was heard lately lies at a frequency, in the clearest tenth of a second: others may starve the machine.
func (s *speaker) share(frequency float64) (most float64) {
	for tenth := range slices.Chunk(s.heard[max(0, len(s.heard)-s.rate/2):], s.rate/10) {
		if len(tenth) == s.rate/10 {
			most = max(most, s.shareOf(tenth, frequency))
		}
	}
	return most
}

func (s *speaker) shareOf(tail []int16, frequency float64) float64 {
	var re, im, total float64
	for i, x := range tail {
		w := 2 * math.Pi * frequency * float64(i) / float64(s.rate)
		re, im, total = re+float64(x)*math.Cos(w), im+float64(x)*math.Sin(w), total+float64(x)*float64(x)
	}
	return 2 * (re*re + im*im) / float64(len(tail)) / max(total, 1)
}

// talk says two tones towards each other until the test ends. What a starved machine had no time for is not said later: a phone's
// clock does not stop.
func talk(t *testing.T, both [2]*speaker, tones [2]float64) {
	ticker, done := time.NewTicker(20*time.Millisecond), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for begun := time.Now(); ; {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			n := int(time.Since(begun) / (20 * time.Millisecond))
			for i, s := range both {
				s.say(n, tones[i])
			}
		}
	}()
	t.Cleanup(func() {
		ticker.Stop()
		close(done)
		<-ended
	})
}

func convertedPlan(names [2]codec.Name, payloads [2]uint8) sdp.Plan {
	s := sdp.PlannedStream{
		Kind: "audio", Forward: [2]bool{true, true}, Expect: [2]bool{true, true}, Transcode: true,
		From: payloads, EventFrom: [2]uint8{noPayload, noPayload},
	}
	for i, n := range names {
		s.Codec[i] = sdp.Codec{PayloadType: payloads[i], Name: n.String(), Clock: n.Clock()}
		for p := range s.Payload[i] {
			s.Payload[i][p] = noPayload
		}
	}
	return sdp.Plan{Streams: []sdp.PlannedStream{s}}
}

func TestConversion(t *testing.T) {
	tones := [2]float64{500, 1200}
	for _, names := range [][2]codec.Name{{codec.Opus, codec.PCMU}, {codec.G722, codec.Opus}, {codec.PCMA, codec.G722}} {
		t.Run(names[0].String()+" and "+names[1].String(), func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			e := open(t, func(c *Config) { c.Workers = 3 })
			payloads := [2]uint8{96, 8}
			var legs [2]*Leg
			var both [2]*speaker
			for i := range 2 {
				legs[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP})
				both[i] = newSpeaker(t, legs[i], names[i], payloads[i])
				legs[i].SetRemote(both[i].remote())
			}
			plan := convertedPlan(names, payloads)
			e.Join(legs[0], legs[1], plan)
			talk(t, both, tones)
			var clear [2]bool
			waitFor(t, "both to hear each other's tone", func() bool { // on a busy machine some sound comes late
				for i, s := range both {
					s.listen(25)
					clear[i] = clear[i] || s.share(tones[1-i]) > 0.8
				}
				return clear[0] && clear[1]
			})
			held := convertedPlan(names, payloads)
			held.Streams[0].Forward[0] = false
			e.Join(legs[0], legs[1], held)
			waitFor(t, "the hold to be counted", func() bool { return legs[0].Stats().Drops[DropHeld.String()] > 0 })
			if n := e.Stats().Converters; n != 1 {
				t.Errorf("%d converters", n)
			}
			e.Join(legs[0], legs[1], plan)
			both[0].listen(10)
			if d := e.Stats().Drops; d[DropConverter.String()] != 0 || d[DropPayload.String()] != 0 {
				t.Errorf("dropped %v", d)
			}
			legs[0].Close()
			waitFor(t, "the converter to end", func() bool { return e.Stats().Converters == 0 })
			if err := e.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines+4 })
		})
	}
}

// What a packet for the converter costs its worker: a copy.
func TestConverterAllocatesNothingOnTheWorker(t *testing.T) {
	var c converter
	p := packet(t, 0, 7, 1, "sound")
	if n := testing.AllocsPerRun(100, func() {
		if !c.leave(0, codec.Sound, p, 1) {
			t.Error("full")
		}
		for c.inbox[0].peek() != nil {
			c.inbox[0].advance()
		}
	}); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// Converted packets are as long as each peer wants them, and change with its wish.
func TestConvertedPacketsHaveTheirLength(t *testing.T) {
	e := open(t)
	names, payloads := [2]codec.Name{codec.G722, codec.PCMU}, [2]uint8{9, 0}
	var legs [2]*Leg
	var both [2]*speaker
	for i := range 2 {
		legs[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP})
		both[i] = newSpeaker(t, legs[i], names[i], payloads[i])
		legs[i].SetRemote(both[i].remote())
	}
	talk(t, both, [2]float64{500, 1200})
	for _, wanted := range [][2]int{{0, 40}, {30, 10}} {
		plan := convertedPlan(names, payloads)
		plan.Streams[sdp.Audio].Ptime = wanted
		e.Join(legs[0], legs[1], plan)
		for i, s := range both {
			bytes := 160
			if wanted[i] > 0 {
				bytes = 8 * wanted[i]
			}
			waitFor(t, "packets of the wanted length", func() bool { return len(s.receiveRTP().Payload) == bytes })
			for range 5 {
				if p := s.receiveRTP(); len(p.Payload) != bytes {
					t.Fatalf("leg %d, %v: %d bytes, want %d", i, wanted, len(p.Payload), bytes)
				}
			}
		}
	}
}
