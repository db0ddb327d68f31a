package media

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// event is a telephone-event packet as the far end reads it.
type event struct {
	code     byte
	end      bool
	duration uint16
	packet   *rtp.Packet
}

func readEvent(t *testing.T, p *rtp.Packet, payloadType uint8) event {
	t.Helper()
	if p.PayloadType != payloadType || len(p.Payload) != eventLength {
		t.Fatalf("no event: %v", p)
	}
	return event{p.Payload[0], p.Payload[1]&0x80 != 0, binary.BigEndian.Uint16(p.Payload[2:]), p}
}

const anyDuration = 0

// readDigit reads one digit's packets and checks them against RFC 4733.
func readDigit(t *testing.T, next func() *rtp.Packet, payloadType uint8, code byte, total uint16) []event {
	t.Helper()
	var all []event
	for ends := 0; ends < digitEnds; {
		e := readEvent(t, next(), payloadType)
		if len(all) > 0 {
			before := all[len(all)-1]
			if e.packet.SequenceNumber != before.packet.SequenceNumber+1 || e.packet.Timestamp != before.packet.Timestamp ||
				e.duration < before.duration || e.packet.SSRC != before.packet.SSRC || e.packet.Marker {
				t.Fatalf("%v after %v", e, before)
			}
		} else if !e.packet.Marker {
			t.Fatal("the first packet has no marker")
		}
		if e.code != code {
			t.Fatalf("event %d, want %d", e.code, code)
		}
		if e.end {
			ends++
		}
		all = append(all, e)
	}
	if last := all[len(all)-1]; total != anyDuration && last.duration != total {
		t.Errorf("duration %d, want %d", last.duration, total)
	}
	return all
}

func TestDigitInTheStream(t *testing.T) {
	t.Parallel()
	c := newCall(t, open(t))
	c.bothWays(t)
	before := c.browser.sequence
	if err := c.b.SendDigit('5', 100*time.Millisecond); err != nil { // towards the phone, in the browser's stream
		t.Fatal(err)
	}
	first := readEvent(t, c.phone.receiveRTP(), 101)
	c.browser.sendRTP(c.browser.next(111, "unheard"))
	rest := readDigit(t, withFirst(first.packet, c.phone.receiveRTP), 101, 5, 4800)
	if first.packet.SequenceNumber != before+1 || first.packet.SSRC != c.browser.ssrc {
		t.Errorf("first event %v, after sequence %d", first.packet, before)
	}
	if at := uint32(before) * 160; first.packet.Timestamp < at || first.packet.Timestamp > at+48000 {
		t.Errorf("timestamp %d, of the audio before %d", first.packet.Timestamp, at)
	}
	waitFor(t, "the audio to have been left out", func() bool { return c.a.Stats().Drops[DropDigit.String()] == 1 })
	c.browser.sendRTP(c.browser.next(111, "heard again"))
	after := c.phone.receiveRTP()
	if last := rest[len(rest)-1].packet; string(after.Payload) != "heard again" || after.SequenceNumber != last.SequenceNumber+1 {
		t.Errorf("after the digit %v, want sequence %d", after, last.SequenceNumber+1)
	}
	c.phone.sendRTP(107, "the other way is as it was")
	if p := c.browser.receiveRTP(); p.SequenceNumber != c.phone.sequence {
		t.Errorf("got %v", p)
	}
}

func withFirst(first *rtp.Packet, next func() *rtp.Packet) func() *rtp.Packet {
	return func() *rtp.Packet {
		if p := first; p != nil {
			first = nil
			return p
		}
		return next()
	}
}

func TestDigitsWithoutAStream(t *testing.T) {
	t.Parallel()
	c := newCall(t, open(t))
	for _, d := range []byte{'#', 'a'} {
		if err := c.a.SendDigit(d, 0); err != nil { // towards the browser
			t.Fatal(err)
		}
	}
	first := readDigit(t, c.browser.receiveRTP, 126, 11, 1920)
	second := readDigit(t, c.browser.receiveRTP, 126, 12, 1920)
	a, b := first[len(first)-1].packet, second[0].packet
	if b.SSRC != a.SSRC || b.SequenceNumber != a.SequenceNumber+1 || b.Timestamp <= a.Timestamp {
		t.Errorf("second digit %v after %v", b, a)
	}
}

func TestDigitErrors(t *testing.T) {
	e := open(t)
	c := newCall(t, e)
	if err := c.a.SendDigit('x', time.Second); !errors.Is(err, ErrDigit) {
		t.Errorf("not a digit: %v", err)
	}
	for range maxDigits {
		if err := c.a.SendDigit('1', digitLong); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.a.SendDigit('1', digitLong); !errors.Is(err, ErrDigitQueue) {
		t.Errorf("queue full: %v", err)
	}
	deaf := opusPlan()
	deaf.Streams[0].Telephone[1].Name = ""
	e.Join(c.a, c.b, deaf)
	if err := c.b.SendDigit('1', time.Second); !errors.Is(err, ErrDigitForm) {
		t.Errorf("peer without telephone-event: %v", err)
	}
	c.b.Close()
	if err := c.a.SendDigit('1', time.Second); !errors.Is(err, ErrNotJoined) {
		t.Errorf("not joined: %v", err)
	}
	waitFor(t, "the waiting digits to be forgotten", func() bool { return c.a.counters.digits.Load() == 0 })
}
