package bridge

import (
	"testing"
	"time"

	"tandem/bridge/media"
	"tandem/wss/wsstest"
)

func TestQualityInRecords(t *testing.T) {
	t.Parallel()
	got := recordStreams([]media.StreamQuality{{
		Kind: "audio", RoundTrip: 81234 * time.Microsecond,
		In: media.Quality{Packets: 300, Lost: 7, Jitter: 1234567, Burst: 1.239, MOS: 4.1, MOSMin: 3.987, MOSAvg: 4.204},
	}})
	if len(got) != 1 || got[0].Kind != "audio" || got[0].RoundTripMS != 81.23 || got[0].Out != nil {
		t.Fatalf("got %+v", got)
	}
	want := RecordQuality{Packets: 300, Lost: 7, LossPercent: 2.33, JitterMS: 1.23, Burst: 1.24, MOSMin: 3.99, MOSAvg: 4.2}
	if *got[0].In != want {
		t.Errorf("got  %+v\nwant %+v", *got[0].In, want)
	}
}

// A running call shows what the browser's own reports say: the round trip to it, and what it gets.
func TestLiveQuality(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.answered(w.agents[0], w.rtp(), 1000)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.until("the browser's reports to be heard", func() bool {
		for _, c := range w.bridge.Calls(1) {
			for _, m := range c.Media {
				if len(m.Streams) == 1 && m.Leg == "caller" {
					s := m.Streams[0]
					return s.RoundTripMS > 0 && s.In != nil && s.In.MOSAvg > 1 && s.Out != nil && s.Out.MOSAvg > 1 // how good is the machine's
				}
			}
		}
		return false
	})
}
