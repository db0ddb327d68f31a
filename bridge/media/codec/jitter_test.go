package codec

import (
	"slices"
	"testing"
	"time"
)

// script is packets of PCMU, 20 ms each, and when they arrive.
type script struct {
	packets []Arrival
	at      []time.Duration
}

const ms = time.Millisecond

// steady makes packets from the i-th to before the n-th, each delayed by late.
func (s *script) steady(from, to int, late func(i int) time.Duration) *script {
	for i := from; i < to; i++ {
		d := late(i)
		payload := make([]byte, 160)
		for k := range payload {
			payload[k] = byte(i)
		}
		s.packets = append(s.packets, Arrival{Sequence: uint16(65530 + i), Timestamp: uint32(4294967000 + 160*i), SSRC: 1, Payload: payload})
		s.at = append(s.at, time.Duration(i)*20*ms+d)
	}
	return s
}

// run drives a transcoder with a simulated clock until the last packet has arrived.
func (s *script) run(t *testing.T) (*Transcoder, []Departure) {
	t.Helper()
	tr := transcoder(t, Spec{Name: PCMU}, Spec{Name: PCMA})
	var out []Departure
	end := slices.Max(s.at)
	for now := time.Duration(0); now <= end; now += 5 * ms {
		for i, at := range s.at {
			if at > now-5*ms && at <= now {
				tr.Push(s.packets[i], at)
			}
		}
		for d, ok := tr.Pull(now); ok; d, ok = tr.Pull(now) {
			d.Payload = append([]byte(nil), d.Payload...)
			out = append(out, d)
		}
	}
	return tr, out
}

// What becomes of the packets under each fate.
func TestJitter(t *testing.T) {
	for _, c := range []struct {
		name  string
		make  func(s *script)
		check func(t *testing.T, s Stats, sent int)
	}{
		{"in time", func(s *script) { s.steady(0, 100, inTime) }, func(t *testing.T, s Stats, sent int) {
			if s.Lost+s.Concealed+s.Late+s.Lengthened != 0 || sent < 97 {
				t.Errorf("%+v, %d sent", s, sent)
			}
		}},
		{"one lost", func(s *script) { s.steady(0, 50, inTime).steady(51, 100, inTime) }, func(t *testing.T, s Stats, sent int) {
			if s.Lost != 1 || s.Concealed != 1 || sent < 97 {
				t.Errorf("%+v, %d sent", s, sent)
			}
		}},
		{"two exchanged", func(s *script) {
			s.steady(0, 100, inTime)
			s.at[50], s.at[51] = s.at[50]+15*ms, s.at[51]-10*ms
		}, func(t *testing.T, s Stats, sent int) {
			if s.Reordered != 1 || s.Lost != 0 || s.Concealed != 0 {
				t.Errorf("%+v", s)
			}
		}},
		{"each twice", func(s *script) { s.steady(0, 100, inTime).steady(0, 100, func(int) time.Duration { return 5 * ms }) },
			func(t *testing.T, s Stats, sent int) {
				if s.Packets != 100 || s.Duplicates != 100 || s.Concealed != 0 {
					t.Errorf("%+v", s)
				}
			}},
		{"one too late", func(s *script) {
			s.steady(0, 100, func(i int) time.Duration {
				if i == 50 {
					return 90 * ms
				}
				return 0
			})
		}, func(t *testing.T, s Stats, sent int) {
			if s.Late != 1 || s.Lost != 1 || s.Concealed != 1 {
				t.Errorf("%+v", s)
			}
		}},
		{"a stall of 150 ms", func(s *script) {
			s.steady(0, 150, func(i int) time.Duration { return max(0, time.Duration(58-i)*20*ms) * time.Duration(min(i/50, 1)) })
		}, func(t *testing.T, s Stats, sent int) {
			if s.Lost != 0 || s.Late != 0 || s.Concealed < 3 || s.Concealed > 8 || s.Shortened == 0 {
				t.Errorf("%+v", s)
			}
		}},
		{"a pause without packets", func(s *script) {
			s.steady(0, 50, inTime)
			for i := 50; i < 100; i++ {
				s.packets = append(s.packets, Arrival{Sequence: uint16(65530 + i), Timestamp: uint32(4294967000 + 160*(i+20)), SSRC: 1, Payload: make([]byte, 160)})
				s.at = append(s.at, time.Duration(i+20)*20*ms)
			}
		}, func(t *testing.T, s Stats, sent int) {
			if s.Lost != 0 || s.Late != 0 || s.Restarts != 0 || sent < 117 {
				t.Errorf("%+v, %d sent", s, sent)
			}
		}},
		{"another SSRC", func(s *script) {
			s.steady(0, 100, inTime)
			for i := 50; i < 100; i++ {
				s.packets[i].SSRC, s.packets[i].Sequence, s.packets[i].Timestamp = 2, uint16(i+9000), uint32(i*160+77)
			}
		}, func(t *testing.T, s Stats, sent int) {
			if s.Restarts != 1 || s.Lost != 0 || s.Concealed > 3 || sent < 97 {
				t.Errorf("%+v, %d sent", s, sent)
			}
		}},
		{"a jump of the timestamp", func(s *script) {
			s.steady(0, 100, inTime)
			for i := 50; i < 100; i++ {
				s.packets[i].Timestamp += 1 << 30
			}
		}, func(t *testing.T, s Stats, sent int) {
			if s.Restarts != 1 || s.Lost != 0 || s.Concealed > 3 {
				t.Errorf("%+v", s)
			}
		}},
		{"a jump of the sequence", func(s *script) {
			s.steady(0, 100, inTime)
			for i := 50; i < 100; i++ {
				s.packets[i].Sequence += 1000
			}
		}, func(t *testing.T, s Stats, sent int) {
			if s.Restarts != 1 || s.Discarded != 1 {
				t.Errorf("%+v", s)
			}
		}},
		{"a stray packet", func(s *script) {
			s.steady(0, 100, inTime)
			s.packets[50].Sequence += 1000
		}, func(t *testing.T, s Stats, sent int) {
			if s.Restarts != 0 || s.Discarded != 1 || s.Lost != 1 {
				t.Errorf("%+v", s)
			}
		}},
		{"digits in between", func(s *script) {
			s.steady(0, 100, inTime)
			for i := 50; i < 55; i++ {
				s.packets[i].Kind, s.packets[i].Payload, s.packets[i].Timestamp = Other, []byte{1, 10, 0, 160}, s.packets[50].Timestamp
			}
		}, func(t *testing.T, s Stats, sent int) {
			if s.Lost != 0 || s.Restarts != 0 || sent < 97 {
				t.Errorf("%+v", s)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{}
			c.make(s)
			tr, out := s.run(t)
			c.check(t, tr.Stats(), len(out))
			for i := 1; i < len(out); i++ {
				if out[i].Sequence != out[i-1].Sequence+1 || out[i].Timestamp != out[i-1].Timestamp+160 {
					t.Fatalf("packet %d has %d/%d after %d/%d", i, out[i].Sequence, out[i].Timestamp, out[i-1].Sequence, out[i-1].Timestamp)
				}
			}
		})
	}
}

// Where another stream takes over, its SSRC new, the old one fades and there is no click.
func TestAnotherStreamMakesNoClick(t *testing.T) {
	for from := PCMU; from <= Opus; from++ {
		s := newStream(t, from, PCMU)
		if from == PCMU {
			s = newStream(t, from, PCMA)
		}
		rate, ticks := from.Rate(), samples(frame, from.Clock())
		payloads := source(t, from, tone(300, 12000, rate, 2*rate), rate, frame)
		for i := range 100 {
			a := Arrival{Sequence: uint16(i), Timestamp: uint32(i * ticks), SSRC: 1, Payload: payloads[i]}
			if i >= 50 {
				a.Sequence, a.Timestamp, a.SSRC, a.Payload = a.Sequence+999, a.Timestamp+12345678, 2, payloads[i-50]
			}
			s.now = time.Duration(i) * frame
			s.tr.Push(a, s.now)
			s.pull()
		}
		var out [][]byte
		for _, d := range s.out {
			out = append(out, d.Payload)
		}
		heard := sink(t, s.tr.to.Name, out, 8000)
		change := heard[7600:9600]
		if got, was := sharpest(change), sharpest(heard[4000:7000]); got > was*5/2 {
			t.Errorf("%s: bends by %d, before by %d", from, got, was)
		}
		if s.tr.Stats().Restarts != 1 {
			t.Errorf("%s: %+v", from, s.tr.Stats())
		}
	}
}
