package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tandem/bridge"
)

// rated is an observed process whose calls have ended.
type rated struct {
	fixed
	q *qualities
}

func (r *rated) histograms() []prometheus.Collector { return r.q.collectors() }

func TestQualityOfEndedCalls(t *testing.T) {
	x := &rated{q: newQualities()}
	x.q.CallEvent(bridge.Event{Ringing: &bridge.Ringing{}})
	x.q.CallEvent(bridge.Event{Record: &bridge.Record{Media: []bridge.RecordMedia{{
		Profile: "RTP/AVP", Streams: []bridge.RecordStream{
			{Kind: "audio", RoundTripMS: 80, In: &bridge.RecordQuality{Packets: 100, Lost: 3, LossPercent: 3, JitterMS: 12, MOSAvg: 3.9}},
			{Kind: "video", In: &bridge.RecordQuality{Packets: 9, LossPercent: 50}},
		},
	}}}})
	_, page := get(t, x, "/metrics")
	for _, line := range []string{
		`tandem_call_mos_sum{direction="in",profile="RTP/AVP"} 3.9`,
		`tandem_call_loss_ratio_bucket{direction="in",profile="RTP/AVP",le="0.02"} 0`,
		`tandem_call_loss_ratio_bucket{direction="in",profile="RTP/AVP",le="0.05"} 1`,
		`tandem_call_jitter_seconds_sum{direction="in",profile="RTP/AVP"} 0.012`,
		`tandem_call_round_trip_seconds_sum{profile="RTP/AVP"} 0.08`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if strings.Contains(page, `direction="out",profile`) {
		t.Error("a direction without reports is counted")
	}
}

func TestRunningCalls(t *testing.T) {
	x := &fixed{running: []bridge.CallStatus{{Call: "a", State: "up"}, {Call: "b", State: "ringing"}}}
	for query, want := range map[string]int{"": 2, "?limit=1": 1, "?limit=7": 2} {
		code, body := get(t, x, "/api/calls"+query)
		var got []bridge.CallStatus
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK || len(got) != want || got[0].Call != "a" {
			t.Errorf("%q: %d %s %v", query, code, body, err)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=many"} {
		w := httptest.NewRecorder()
		adminPages(x).ServeHTTP(w, httptest.NewRequest("GET", "/api/calls"+query, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", query, w.Code)
		}
	}
}
