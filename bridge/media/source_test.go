package media

import (
	"testing"
	"time"
)

// Who is heard when a peer's source changes: each step is packets of one source in a row.
func TestSources(t *testing.T) {
	const frame = int64(20 * time.Millisecond)
	type step struct {
		ssrc  uint32
		count int
		want  string // for each packet: . heard, T heard as the beginning of a stream, x not heard
	}
	for _, c := range []struct {
		name  string
		bye   uint32 // said before the last step
		steps []step
	}{
		{"a new source is heard from its first packet", 0, []step{{1, 5, "T...."}, {2, 6, "T....."}}},
		{"and the next one, and the first again", 0, []step{{1, 5, "T...."}, {2, 5, "T...."}, {3, 5, "T...."}, {1, 3, "T.."}}},
		{"a packet that was overtaken is not heard", 0, []step{{1, 5, "T...."}, {2, 1, "T"}, {1, 1, "x"}, {2, 5, "....."}, {3, 1, "T"}}},
		{"an intruder is out as soon as the source goes on", 0, []step{{1, 5, "T...."}, {66, 1, "T"}, {1, 3, "xT."}, {66, 3, "xxx"}, {1, 2, ".."}}},
		{"and then comes in by proving itself only", 0, []step{{1, 5, "T...."}, {66, 1, "T"}, {1, 2, "xT"}, {66, 3, "xxx"}, {1, 1, "."},
			{67, 2, "xx"}, {66, 3, "xxx"}, {1, 1, "."}, {2, 5, "xxxT."}}},
		{"two at once do not alternate", 0, []step{{1, 5, "T...."}, {2, 1, "T"}, {1, 1, "x"}, {2, 1, "."}, {1, 1, "T"}, {2, 1, "x"},
			{1, 1, "."}, {2, 1, "x"}, {1, 1, "."}, {2, 1, "x"}}},
		{"a source that said BYE comes back as another", 1, []step{{1, 5, "T...."}, {2, 1, "T"}}},
		{"and late packets of it are not heard", 1, []step{{1, 5, "T...."}, {2, 5, "T...."}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r reception
			r.setClock(8000)
			sequences, now := map[uint32]uint16{}, int64(0)
			for i, s := range c.steps {
				if i == len(c.steps)-1 && c.bye != 0 {
					r.goodbye(c.bye)
				}
				got := ""
				for range s.count {
					sequences[s.ssrc]++
					reason, turned := r.take(rtpPacket(s.ssrc, sequences[s.ssrc], 160*uint32(sequences[s.ssrc])), now)
					switch {
					case turned:
						got += "T"
					case reason == dropNone:
						got += "."
					case reason == DropSSRC:
						got += "x"
					default:
						t.Fatalf("step %d: %v", i, reason)
					}
					now += frame
				}
				if got != s.want {
					t.Fatalf("step %d: source %d is heard as %s, want %s", i, s.ssrc, got, s.want)
				}
			}
		})
	}
}

func TestProofIsForgottenAfterAWhile(t *testing.T) {
	var r reception
	r.setClock(8000)
	now := int64(0)
	take := func(ssrc uint32, sequence uint16) DropReason {
		now += int64(20 * time.Millisecond)
		reason, _ := r.take(rtpPacket(ssrc, sequence, 0), now)
		return reason
	}
	take(1, 1)
	take(66, 1)
	take(1, 2)
	take(1, 3)
	if got := take(2, 1); got != DropSSRC {
		t.Errorf("right after the contest: %v", got)
	}
	now += contestSpell
	take(1, 4)
	if got := take(3, 1); got != dropNone {
		t.Errorf("long after it: %v", got)
	}
}

// RFC 3550 §A.1, A.3 and A.8 by a table of sequence numbers.
func TestReceptionCounts(t *testing.T) {
	run := func(from, count int) (list []int) {
		for i := range count {
			list = append(list, from+i)
		}
		return list
	}
	join := func(lists ...[]int) (all []int) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		name                           string
		sequences                      []int
		expected, received, duplicates uint32
		late                           uint32
		turns, gaps                    uint32
	}{
		{"in order", run(100, 50), 50, 50, 0, 0, 1, 0},
		{"across the wrap", run(65500, 100), 100, 100, 0, 0, 1, 0},
		{"with gaps", join(run(1, 10), run(12, 10), run(25, 5)), 29, 25, 0, 0, 1, 2},
		{"out of order", []int{10, 12, 11, 13, 15, 14}, 6, 6, 0, 0, 1, 2},
		{"the first comes late", []int{10, 9, 11}, 3, 3, 0, 0, 1, 0},
		{"the first comes late across the wrap", []int{65536, 65535, 65537}, 3, 3, 0, 0, 1, 0},
		{"each twice", []int{1, 1, 2, 2, 3, 3}, 3, 3, 3, 0, 1, 0},
		{"one from long ago", join(run(1000, 700), []int{2}, run(1700, 5)), 705, 705, 0, 1, 1, 0},
		{"a restart backwards", join(run(30000, 10), run(1000, 10)), 19, 19, 0, 1, 2, 0},
		{"a restart forwards", join(run(1000, 10), run(20000, 10)), 20, 20, 0, 0, 2, 0},
		{"an outage", join(run(1000, 10), run(3500, 10)), 2510, 20, 0, 0, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r reception
			r.setClock(8000)
			var duplicates, late, turns uint32
			for i, s := range c.sequences {
				reason, turned := r.take(rtpPacket(5, uint16(s), uint32(i)*160), int64(i)*int64(20*time.Millisecond))
				switch {
				case turned:
					turns++
				case reason == DropDuplicate:
					duplicates++
				case reason == DropLate:
					late++
				}
			}
			total := r.total()
			if total.expected != c.expected || total.received != c.received || duplicates != c.duplicates || late != c.late ||
				turns != c.turns || r.gaps != c.gaps {
				t.Errorf("expected %d received %d duplicates %d late %d turns %d gaps %d", total.expected, total.received, duplicates,
					late, turns, r.gaps)
			}
			if r.jitter>>4 > 200 {
				t.Errorf("jitter %d", r.jitter>>4)
			}
		})
	}
}

// Jitter by the formula, with constant and with alternating delay.
func TestJitter(t *testing.T) {
	for _, c := range []struct {
		swing time.Duration
		want  uint32 // ticks of 8000 Hz
	}{{0, 0}, {10 * time.Millisecond, 80}, {40 * time.Millisecond, 320}} {
		var r reception
		r.setClock(8000)
		for i := range 500 {
			at := int64(time.Hour) + int64(i)*int64(20*time.Millisecond) + int64(i%2)*int64(c.swing)
			r.take(rtpPacket(5, uint16(i), uint32(i)*160), at)
		}
		if got := r.jitter >> 4; got > c.want+2 || got+2 < c.want {
			t.Errorf("swing %v: jitter %d, want %d", c.swing, got, c.want)
		}
	}
}
