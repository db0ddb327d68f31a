package sipside

import (
	"testing"
	"time"
)

func TestRegistrationTable(t *testing.T) {
	type step struct {
		outcome
		wait       time.Duration
		registered bool
	}
	granted := func(d time.Duration) outcome { return outcome{verdict: regGranted, time: d} }
	challenged, stale := outcome{verdict: regChallenged}, outcome{verdict: regChallenged, stale: true}
	failed, forbidden := outcome{verdict: regFailed}, outcome{verdict: regForbidden}
	tests := map[string][]step{
		"challenge, then refresh": {{challenged, 0, false}, {granted(time.Hour), 54 * time.Minute, true},
			{challenged, 0, true}, {granted(time.Minute), 30 * time.Second, true}},
		"wrong password":          {{challenged, 0, false}, {challenged, time.Hour, false}, {challenged, 0, false}},
		"stale nonce":             {{stale, 0, false}, {stale, 0, false}, {granted(time.Hour), 54 * time.Minute, true}},
		"stale for ever":          {{stale, 0, false}, {stale, 0, false}, {stale, time.Hour, false}},
		"forbidden":               {{granted(10 * time.Second), 5 * time.Second, true}, {forbidden, time.Hour, false}},
		"asks to come back later": {{outcome{verdict: regFailed, time: 10 * time.Minute}, 10 * time.Minute, false}},
		"too brief, then long":    {{outcome{verdict: regTooBrief, time: 2 * time.Hour}, 0, false}, {granted(2 * time.Hour), 108 * time.Minute, true}},
		"too brief twice":         {{outcome{verdict: regTooBrief, time: 2 * time.Hour}, 0, false}, {outcome{verdict: regTooBrief, time: 3 * time.Hour}, 30 * time.Second, false}},
		"too brief for less":      {{outcome{verdict: regTooBrief, time: time.Minute}, 30 * time.Second, false}},
		"back-off that success ends": {{failed, 30 * time.Second, false}, {failed, time.Minute, false}, {failed, 2 * time.Minute, false},
			{failed, 4 * time.Minute, false}, {failed, 8 * time.Minute, false}, {failed, 16 * time.Minute, false}, {failed, 30 * time.Minute, false},
			{failed, 30 * time.Minute, false}, {granted(time.Hour), 54 * time.Minute, true}, {failed, 30 * time.Second, false}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			r := registration{asks: time.Hour}
			for i, s := range steps {
				if wait := r.next(s.outcome); wait != s.wait || r.registered != s.registered {
					t.Fatalf("step %d: wait %v, registered %v; want %v, %v", i, wait, r.registered, s.wait, s.registered)
				}
			}
		})
	}
}

func TestEarly(t *testing.T) {
	for range 1000 {
		if d := early(time.Minute); d < 48*time.Second || d > time.Minute {
			t.Fatalf("a minute became %v", d)
		}
	}
}
