package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"tandem/bridge"
)

// qualities are histograms of how calls fared, filled as each ends: one sample for each leg's audio and direction.
type qualities struct {
	mos, loss, jitter *prometheus.HistogramVec // by the leg's profile and direction
	trip              *prometheus.HistogramVec // by the leg's profile
}

func newQualities() *qualities {
	vec := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_call_" + name, Help: help, Buckets: buckets}, labels)
	}
	return &qualities{
		mos: vec("mos", "Mean opinion score of ended calls by the E-model (G.107), mean of the call; in: from the leg's peer.",
			[]float64{1.5, 2, 2.5, 3, 3.5, 3.8, 4, 4.2, 4.3, 4.4}, "profile", "direction"),
		loss: vec("loss_ratio", "Part of the packets of ended calls that was lost on the leg.",
			[]float64{0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2}, "profile", "direction"),
		jitter: vec("jitter_seconds", "Interarrival jitter of ended calls on the leg.",
			[]float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1}, "profile", "direction"),
		trip: vec("round_trip_seconds", "Round trip to the leg's peer, by RTCP, at the end of calls.",
			[]float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1}, "profile"),
	}
}

func (q *qualities) collectors() []prometheus.Collector {
	return []prometheus.Collector{q.mos, q.loss, q.jitter, q.trip}
}

// CallEvent takes the record of a call that ended.
func (q *qualities) CallEvent(e bridge.Event) {
	if e.Record == nil {
		return
	}
	for _, leg := range e.Record.Media {
		for _, s := range leg.Streams {
			if s.Kind != "audio" {
				continue
			}
			if s.RoundTripMS > 0 {
				q.trip.WithLabelValues(leg.Profile).Observe(s.RoundTripMS / 1000)
			}
			q.observe(leg.Profile, "in", s.In)
			q.observe(leg.Profile, "out", s.Out)
		}
	}
}

func (q *qualities) observe(profile, direction string, of *bridge.RecordQuality) {
	if of == nil {
		return
	}
	q.loss.WithLabelValues(profile, direction).Observe(of.LossPercent / 100)
	q.jitter.WithLabelValues(profile, direction).Observe(of.JitterMS / 1000)
	if of.MOSAvg > 0 {
		q.mos.WithLabelValues(profile, direction).Observe(of.MOSAvg)
	}
}
