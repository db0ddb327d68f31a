package bridge

import (
	"slices"
	"time"

	"tandem/bridge/media"
)

// CallStatus is a running call at a glance.
type CallStatus struct {
	Call    string        `json:"call"`
	Tenant  string        `json:"tenant,omitempty"`
	State   string        `json:"state"` // "seeking", "ringing", "answered", "up", "ending"
	Origin  string        `json:"origin"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	Backend string        `json:"backend,omitempty"`
	Start   time.Time     `json:"start"`
	Answer  time.Time     `json:"answer,omitzero"`
	Direct  bool          `json:"direct,omitempty"` // media goes from peer to peer now
	Media   []RecordMedia `json:"media,omitempty"`  // as of a few seconds ago

	Recording *RecordRecording `json:"recording,omitempty"` // as far as it is written
}

// Calls are the running calls, at most so many, the oldest first.
func (b *Bridge) Calls(most int) []CallStatus {
	calls := b.calls.all()
	answers := make(chan CallStatus, len(calls))
	asked := 0
	for _, c := range calls {
		if c.post("status", func() { answers <- c.status() }) {
			asked++
		}
	}
	all := make([]CallStatus, 0, asked)
	for range asked {
		if s := <-answers; s.State != callEnded.String() {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b CallStatus) int { return a.Start.Compare(b.Start) })
	return all[:min(most, len(all))]
}

func (c *call) status() CallStatus {
	r := &c.record
	s := CallStatus{
		Call: c.id, Tenant: r.Tenant, State: c.state.String(), Origin: r.Origin, From: r.From, To: r.To, Backend: r.Backend,
		Start: r.Start, Answer: r.Answer, Direct: c.direct, Recording: c.taped(),
	}
	for _, l := range []*leg{c.caller, c.callee} {
		if l != nil && l.media != nil {
			s.Media = append(s.Media, l.figures())
		}
	}
	return s
}

// recordStreams says a leg's quality in the terms of the record.
func recordStreams(list []media.StreamQuality) []RecordStream {
	var all []RecordStream
	for _, q := range list {
		all = append(all, RecordStream{
			Kind: q.Kind, RoundTripMS: milliseconds(q.RoundTrip), In: recordQuality(q.In), Out: recordQuality(q.Out),
		})
	}
	return all
}

func recordQuality(q media.Quality) *RecordQuality {
	if q.Packets == 0 {
		return nil
	}
	return &RecordQuality{
		Packets: q.Packets, Lost: q.Lost, LossPercent: hundredths(q.LossPercent()), JitterMS: milliseconds(q.Jitter),
		Burst: hundredths(q.Burst), MOSMin: hundredths(q.MOSMin), MOSAvg: hundredths(q.MOSAvg),
	}
}

// milliseconds keep two places.
func milliseconds(d time.Duration) float64 { return hundredths(float64(d) / float64(time.Millisecond)) }

func hundredths(x float64) float64 { return float64(int64(x*100+0.5)) / 100 }
