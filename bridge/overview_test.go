package bridge

import (
	"testing"
	"time"

	"tandem/bridge/media"
)

func TestQualityInRecords(t *testing.T) {
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
