package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestEveryReliablePhaseIsReached(t *testing.T) {
	t.Parallel()
	seen := reach([]reliablePhase{reliableIdle}, reliableInputs, func(p reliablePhase, i reliableInput) reliablePhase { return reliableTable[p][i].next })
	forEach(reliablePhases, func(p reliablePhase) {
		if !seen[p] {
			t.Errorf("%v cannot be reached", p)
		}
	})
}

// The rules of RFC 3262 §3.
func TestReliableRules(t *testing.T) {
	t.Parallel()
	forEach(reliablePhases, func(p reliablePhase) {
		forEach(reliableInputs, func(i reliableInput) {
			step := reliableTable[p][i]
			if step.do == reliableSend && p != reliableIdle {
				t.Errorf("%v, input %d: a second one is sent before the PRACK of the first", p, i)
			}
			if i == reliable2xx && (step.do == reliableHold) != (p == reliableSession) {
				t.Errorf("%v: a 2xx is held %v", p, step.do == reliableHold)
			}
			if i == reliableRefuse && (step.do != reliablePass || step.next != reliableOver) {
				t.Errorf("%v: a refusal waits", p)
			}
			if i == reliableLost && (step.do == reliableGiveUp) != (p == reliableWaiting || p == reliableSession) {
				t.Errorf("%v: without a PRACK it does %d", p, step.do)
			}
			if p == reliableOver && step.next != reliableOver {
				t.Errorf("over, input %d: comes back as %v", i, step.next)
			}
		})
	})
}

func TestOrderOfReliableProvisionals(t *testing.T) {
	t.Parallel()
	var r rseqs
	for i, step := range []struct {
		seq  uint32
		want rseqOrder
	}{{7, rseqNext}, {7, rseqAgain}, {9, rseqGap}, {8, rseqNext}, {7, rseqAgain}, {9, rseqNext}, {9, rseqAgain}} {
		var got rseqOrder
		if r, got = r.hear(step.seq); got != step.want {
			t.Errorf("step %d, RSeq %d: %d, want %d", i, step.seq, got, step.want)
		}
	}
}

func TestRAck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value     string
		seq, cseq uint32
		ok        bool
	}{
		{"1 2 INVITE", 1, 2, true},
		{"  776656   1  INVITE ", 776656, 1, true},
		{"0 2 INVITE", 0, 0, false},
		{"1 INVITE", 0, 0, false},
		{"", 0, 0, false},
		{"-1 2 INVITE", 0, 0, false},
		{"4294967296 2 INVITE", 0, 0, false},
		{"1 2 INVITE x", 0, 0, false},
	}
	for _, test := range tests {
		seq, cseq, method, ok := rackOf(test.value)
		if seq != test.seq || cseq != test.cseq || ok != test.ok || ok && method != "INVITE" {
			t.Errorf("%q: %d %d %q %v", test.value, seq, cseq, method, ok)
		}
	}
}

func TestReliableSeq(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		require, rseq string
		want          uint32
	}{{"100rel", "5", 5}, {"timer, 100REL", " 5 ", 5}, {"timer", "5", 0}, {"100rel", "", 0}, {"100rel", "x", 0}, {"", "5", 0}} {
		res := sip.NewResponse(183, "Session Progress")
		res.AppendHeader(sip.NewHeader("Require", test.require))
		res.AppendHeader(sip.NewHeader("RSeq", test.rseq))
		if got := reliableSeq(res); got != test.want {
			t.Errorf("Require %q, RSeq %q: %d, want %d", test.require, test.rseq, got, test.want)
		}
	}
}

// What is read of a PRACK's and a provisional's headers fits what they acknowledge.
func FuzzRAck(f *testing.F) {
	for _, seed := range []string{"1 2 INVITE", "4294967295 1 INVITE", "0 0 X", "", "1\t2 \tBYE", "99999999999 1 INVITE", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if seq, _, method, ok := rackOf(value); ok != (seq != 0) || ok != (method != "") {
			t.Errorf("%q: RSeq %d, method %q, %v", value, seq, method, ok)
		}
		res := sip.NewResponse(183, "Session Progress")
		res.AppendHeader(sip.NewHeader("Require", value))
		res.AppendHeader(sip.NewHeader("Min-SE", value))
		res.AppendHeader(sip.NewHeader("RSeq", value))
		if minSE(res) < 0 || reliableSeq(res) != 0 && !listHas(splitList(value), option100rel) {
			t.Errorf("%q: Min-SE %v, RSeq %d", value, minSE(res), reliableSeq(res))
		}
	})
}
