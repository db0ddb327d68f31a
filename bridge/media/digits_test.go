package media

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"

	"tandem/bridge/media/dtmf"
	"tandem/bridge/sdp"
)

// digitCall is two phones with PCMU on legs that deal with digits in their own ways.
type digitCall struct {
	*testing.T
	e      *Engine
	legs   [2]*Leg
	phones [2]*phone
	clocks [2]uint32 // the phones' next timestamps
	plan   sdp.Plan

	// guarded by mu
	mu  sync.Mutex
	got [2][]Event // digits of which the legs told
}

const eventType = 101

// newDigitCall makes telephone-event have the clocks; 0: the phone has none.
func newDigitCall(t *testing.T, clocks [2]int, how [2]Digits) *digitCall {
	t.Helper()
	c := &digitCall{T: t, e: open(t)}
	s := sdp.PlannedStream{Kind: "audio", Forward: [2]bool{true, true}, Expect: [2]bool{true, true}}
	for i := range 2 {
		c.legs[i] = newLeg(t, c.e, LegSpec{Profile: sdp.RTP, OnEvent: func(ev Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if ev.Kind == Digit {
				c.got[i] = append(c.got[i], ev)
			}
		}})
		c.phones[i] = newPhone(t, c.legs[i].Local())
		c.legs[i].SetRemote(c.phones[i].remote())
		c.legs[i].SetDigits(how[i])
		s.Codec[i] = sdp.Codec{Name: "PCMU", Clock: 8000, Channels: 1}
		for n := range s.Payload[i] {
			s.Payload[i][n] = noPayload
		}
		s.Payload[i][0], s.EventFrom[i] = 0, noPayload
		if clocks[i] != 0 {
			s.Telephone[i] = sdp.Codec{PayloadType: eventType, Name: "telephone-event", Clock: clocks[i]}
			s.EventFrom[i] = eventType
		}
		if clocks[0] == clocks[1] && clocks[0] != 0 {
			s.Payload[i][eventType] = eventType
		}
	}
	c.plan = sdp.Plan{Streams: []sdp.PlannedStream{s}}
	c.e.Join(c.legs[0], c.legs[1], c.plan)
	waitFor(t, "the legs to be joined", func() bool { return c.e.Stats().Relays == 1 })
	return c
}

// say sends a packet of audio from a phone.
func (c *digitCall) say(from int, pcm []int16) {
	c.Helper()
	f := c.phones[from]
	f.sequence++
	p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: f.sequence, Timestamp: c.clocks[from], SSRC: f.ssrc}}
	for _, s := range pcm {
		p.Payload = append(p.Payload, g711.EncodeUlawFrame(s))
	}
	c.clocks[from] += uint32(len(pcm))
	c.send(from, &p)
}

func (c *digitCall) send(from int, p *rtp.Packet) {
	c.Helper()
	raw, err := p.Marshal()
	if err != nil {
		c.Fatal(err)
	}
	sendTo(c.T, c.phones[from].rtp, c.phones[from].to, raw)
}

// press sends a digit as RFC 4733 packets 20 ms of its clock apart, three ends unless they get lost.
func (c *digitCall) press(from int, code byte, packets int, ends int) {
	c.Helper()
	f, unit := c.phones[from], uint16(c.plan.Streams[0].Telephone[from].Clock/50)
	for i := range packets + ends {
		f.sequence++
		duration := unit * uint16(min(i+1, packets))
		payload := []byte{code, 7, byte(duration >> 8), byte(duration)}
		if i >= packets {
			payload[1] |= 0x80
		}
		c.send(from, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: eventType, Marker: i == 0, SequenceNumber: f.sequence,
			Timestamp: c.clocks[from], SSRC: f.ssrc}, Payload: payload})
	}
}

// digits waits for the digits of which a leg tells.
func (c *digitCall) digits(leg int, want string) []Event {
	c.Helper()
	var all []Event
	waitFor(c.T, "digits "+want, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		all = slices.Clone(c.got[leg])
		return len(all) >= len(want)
	})
	for i, e := range all {
		if e.Key != want[i] {
			c.Fatalf("digits %v, want %s", all, want)
		}
	}
	return all
}

func (c *digitCall) receive(at int) *rtp.Packet { return c.phones[at].receiveRTP() }

// sound is a tone as a phone would send it.
func sound(key byte, length time.Duration) []int16 {
	pcm := make([]int16, int(length*dtmf.Rate/time.Second))
	var g dtmf.Generator
	g.Start(key, len(pcm))
	g.Fill(pcm)
	return pcm
}

func (c *digitCall) saySound(from int, key byte, length time.Duration) {
	for frame := range slices.Chunk(append(sound(key, length), make([]int16, 800)...), 160) {
		c.say(from, frame)
	}
}

func TestEventsPassUntouched(t *testing.T) {
	c := newDigitCall(t, [2]int{8000, 8000}, [2]Digits{})
	c.say(0, make([]int16, 160))
	audio := c.receive(1)
	c.press(0, 5, 4, 3)
	all := readDigit(t, func() *rtp.Packet { return c.receive(1) }, eventType, 5, 640)
	if len(all) != 7 || all[0].packet.SequenceNumber != audio.SequenceNumber+1 || all[0].packet.Payload[1] != 7 {
		t.Errorf("%d packets, %v", len(all), all[0].packet)
	}
}

func TestEventsChangeTheirClock(t *testing.T) {
	t.Parallel()
	for _, clocks := range [][2]int{{8000, 48000}, {48000, 8000}} {
		c := newDigitCall(t, clocks, [2]Digits{})
		c.say(0, make([]int16, 160))
		c.receive(1)
		c.press(0, 11, 6, 3)
		all := readDigit(t, func() *rtp.Packet { return c.receive(1) }, eventType, 11, uint16(clocks[1]*120/1000))
		if all[0].packet.Payload[1]&0x3f != 7 || all[0].packet.SSRC != c.phones[0].ssrc {
			t.Errorf("%v", all[0].packet)
		}
		c.say(0, make([]int16, 160)) // the audio goes on behind it, without a gap
		if p := c.receive(1); p.SequenceNumber != all[len(all)-1].packet.SequenceNumber+1 || p.PayloadType != 0 {
			t.Errorf("after the digit %v", p)
		}
	}
}

// All ends are lost: the digit does not go on for ever.
func TestEventWithoutEnd(t *testing.T) {
	t.Parallel()
	c := newDigitCall(t, [2]int{8000, 48000}, [2]Digits{})
	c.press(0, 3, 3, 0)
	all := readDigit(t, func() *rtp.Packet { return c.receive(1) }, eventType, 3, anyDuration)
	if last := all[len(all)-1]; last.duration < 2880 || last.duration > 48000 {
		t.Errorf("it lasted %d", last.duration)
	}
}

func TestEventsAreReported(t *testing.T) {
	c := newDigitCall(t, [2]int{8000, 0}, [2]Digits{{}, {Form: DigitReport}})
	c.press(0, 1, 5, 3)
	c.press(0, 1, 5, 3) // the same timestamp: the end once more
	c.clocks[0] += 1600
	c.press(0, 10, 10, 1)
	all := c.digits(0, "1*")
	if all[0].Duration != 100*time.Millisecond || all[1].Duration != 200*time.Millisecond || len(all) != 2 {
		t.Errorf("%v", all)
	}
}

func TestEventsBecomeTones(t *testing.T) {
	c := newDigitCall(t, [2]int{8000, 0}, [2]Digits{{}, {Form: DigitTones}})
	c.say(0, make([]int16, 160))
	before := c.receive(1)
	c.press(0, 9, 5, 3)
	c.hearsTone(1, '9', before)
}

func TestSentDigitsBecomeTones(t *testing.T) {
	c := newDigitCall(t, [2]int{8000, 0}, [2]Digits{{}, {Form: DigitTones}})
	c.say(0, make([]int16, 160))
	before := c.receive(1)
	if err := c.legs[1].SendDigit('#', 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	c.hearsTone(1, '#', before)
}

// hearsTone reads one stream of audio with a tone of 100 ms in it.
func (c *digitCall) hearsTone(at int, key byte, before *rtp.Packet) {
	c.Helper()
	var d dtmf.Detector
	var events []dtmf.Event
	feed := func(p *rtp.Packet) {
		if p.PayloadType != 0 || p.SequenceNumber != before.SequenceNumber+1 || p.SSRC != before.SSRC || int32(p.Timestamp-before.Timestamp) <= 0 {
			c.Fatalf("%v after %v", p, before)
		}
		before = p
		pcm := make([]int16, len(p.Payload))
		for i, b := range p.Payload {
			pcm[i] = g711.DecodeUlawFrame(b)
		}
		events = d.Feed(pcm, events)
	}
	for range 5 {
		feed(c.receive(at))
	}
	c.clocks[1-at] += 2000
	for range 4 {
		c.say(1-at, make([]int16, 160))
		feed(c.receive(at))
	}
	if len(events) != 2 || events[0].Key != key || events[1].Duration < 640 || events[1].Duration > 960 {
		c.Errorf("heard %v", events)
	}
}

func TestTonesBecomeEvents(t *testing.T) {
	t.Parallel()
	c := newDigitCall(t, [2]int{0, 8000}, [2]Digits{{Detect: true}, {}})
	c.saySound(0, '7', 120*time.Millisecond)
	for p := c.receive(1); ; p = c.receive(1) {
		if p.PayloadType == eventType {
			readDigit(t, withFirst(p, func() *rtp.Packet { return c.receive(1) }), eventType, 7, anyDuration)
			return
		}
	}
}

func TestTonesAreReported(t *testing.T) {
	c := newDigitCall(t, [2]int{0, 0}, [2]Digits{{Detect: true}, {Form: DigitReport}})
	c.saySound(0, 'D', 80*time.Millisecond)
	c.saySound(0, '0', 200*time.Millisecond)
	all := c.digits(0, "D0")
	for i, want := range []time.Duration{80 * time.Millisecond, 200 * time.Millisecond} {
		if d := all[i].Duration; d < want-15*time.Millisecond || d > want+15*time.Millisecond {
			t.Errorf("%c lasted %v", all[i].Key, d)
		}
	}
}
