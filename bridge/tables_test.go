package bridge

import (
	"testing"
)

// forEach calls f with every input.
func forEach[T ~uint8](n T, f func(T)) {
	for i := T(0); i < n; i++ {
		f(i)
	}
}

// reach gives every state that can be reached from the given ones.
func reach[S, I ~uint8](from []S, inputs I, next func(S, I) S) map[S]bool {
	seen := map[S]bool{}
	for len(from) > 0 {
		s := from[0]
		from = from[1:]
		if seen[s] {
			continue
		}
		seen[s] = true
		forEach(inputs, func(i I) { from = append(from, next(s, i)) })
	}
	return seen
}

func callNextState(s callState, i callInput) callState { return callTable[s][i].next }

func TestEveryCallStateIsReached(t *testing.T) {
	t.Parallel()
	seen := reach([]callState{callSeeking}, callInputs, callNextState)
	forEach(callStates, func(s callState) {
		if !seen[s] {
			t.Errorf("%v cannot be reached", s)
		}
	})
}

// Whatever happened before, a fault leads to the end as soon as every leg is gone, by one finish.
func TestEveryCallEnds(t *testing.T) {
	t.Parallel()
	forEach(callStates, func(s callState) {
		if s == callEnded {
			return
		}
		at := callTable[s][callFault].next
		if at != callEnding {
			t.Errorf("%v: a fault leads to %v", s, at)
		}
		end := callTable[at][callSettled]
		if end.next != callEnded || end.do != actFinish {
			t.Errorf("%v: after a fault and the last leg: %v, %b", s, end.next, end.do)
		}
	})
}

func TestEndedStaysEnded(t *testing.T) {
	t.Parallel()
	forEach(callInputs, func(i callInput) {
		if step := callTable[callEnded][i]; step.next != callEnded || step.do != 0 {
			t.Errorf("input %d: %v, %b", i, step.next, step.do)
		}
		if step := callTable[callEnding][i]; step.next != callEnding && i != callSettled {
			t.Errorf("ending, input %d: %v", i, step.next)
		}
	})
}

// Each rule of the design about the call is a line here.
func TestCallRules(t *testing.T) {
	t.Parallel()
	forEach(callStates, func(s callState) {
		forEach(callInputs, func(i callInput) {
			step := callTable[s][i]
			does := func(a callAction) bool { return step.do&a != 0 }
			if does(actTryNext) && s != callSeeking && (s != callRinging || i != callLost) {
				t.Errorf("%v, input %d: failover after a 180 or 183", s, i)
			}
			if does(actAccept) && (i != callAnswer || step.next != callAnswered || !does(actEndRest)) {
				t.Errorf("%v, input %d: an answer accepted without one, or the other branches go on", s, i)
			}
			if does(actEndLegs) != (step.next == callEnding && s != callEnding) {
				t.Errorf("%v, input %d: legs are ended exactly on the way to ending", s, i)
			}
			if does(actFinish) && (step.next != callEnded || s == callEnded) {
				t.Errorf("%v, input %d: finish is the last step, once", s, i)
			}
			if i == callAnswer && s != callEnded && !does(actAccept) && !does(actHangUpLate) {
				t.Errorf("%v: a 2xx is neither taken nor hung up", s)
			}
			if does(actRing) && s != callSeeking && s != callRinging {
				t.Errorf("%v: progress after the answer", s)
			}
		})
	})
}

func legNextState(s legState, i legInput) legState { return legTable[s][i].next }

func TestEveryLegStateIsReached(t *testing.T) {
	t.Parallel()
	seen := reach([]legState{legCalling, legIncoming}, legInputs, legNextState)
	forEach(legStates, func(s legState) {
		if !seen[s] {
			t.Errorf("%v cannot be reached", s)
		}
	})
}

// Once the call wants a leg to end, it is gone after the events that the transactions and timers are sure to bring.
func TestEveryLegEnds(t *testing.T) {
	t.Parallel()
	sure := map[legState]legInput{
		legCancelPending: legHeardFinal, // timer B at the latest
		legCancelling:    legHeardFinal,
		legByePending:    legAckTimeout,
		legLeaving:       legByeDone, // timer F at the latest
	}
	forEach(legStates, func(s legState) {
		at := legTable[s][legEnd].next
		for range legStates {
			if at == legGone {
				return
			}
			input, ok := sure[at]
			if !ok {
				t.Fatalf("%v: told to end it waits in %v for nothing that must come", s, at)
			}
			at = legTable[at][input].next
		}
		t.Errorf("%v: does not end", s)
	})
}

func TestLegRules(t *testing.T) {
	t.Parallel()
	forEach(legStates, func(s legState) {
		forEach(legInputs, func(i legInput) {
			step := legTable[s][i]
			does := func(a legAction) bool { return step.do&a != 0 }
			if s == legGone && step.next != legGone {
				t.Errorf("gone, input %d: comes back as %v", i, step.next)
			}
			if does(legSendCancel) && !(i == legEnd && s == legProceeding) && !(i == legProvisional && s == legCancelPending) {
				t.Errorf("%v, input %d: CANCEL before a provisional", s, i)
			}
			if does(legSendBye) && (s == legAccepted || s == legByePending) && i != legHeardAck && i != legAckTimeout {
				t.Errorf("%v, input %d: BYE before the ACK", s, i)
			}
			if does(legSendBye) && step.next != legLeaving {
				t.Errorf("%v, input %d: BYE without waiting for its answer", s, i)
			}
			ours := s != legIncoming && s != legAccepted && s != legByePending
			if i == legHeard2xx && ours && !does(legSendAck) {
				t.Errorf("%v: a 2xx without ACK", s)
			}
			if does(legRefuse) && (s != legIncoming || step.next != legGone) {
				t.Errorf("%v, input %d: refusal after the answer", s, i)
			}
		})
	})
}

func TestEveryOfferPhaseIsReached(t *testing.T) {
	t.Parallel()
	seen := reach([]offerPhase{offersEarly}, offerInputs, func(p offerPhase, i offerInput) offerPhase { return offerTable[p][i].next })
	forEach(offerPhases, func(p offerPhase) {
		if !seen[p] {
			t.Errorf("%v cannot be reached", p)
		}
	})
}

// No offer of ours goes out while one is open or before the dialog is confirmed, and none that was wanted is forgotten.
func TestOffersAreSerialised(t *testing.T) {
	t.Parallel()
	forEach(offerPhases, func(p offerPhase) {
		forEach(offerInputs, func(i offerInput) {
			step := offerTable[p][i]
			if step.do == offerSend && (p != offersStable && p != offersBackoff || step.next != offersSaid) {
				t.Errorf("%v, input %d: an offer goes out", p, i)
			}
			if step.do == offerTake && (i != offerHeard && i != offerYield || step.next != offersHeard) {
				t.Errorf("%v, input %d: an offer is taken", p, i)
			}
			if step.next == offersStable && p != offersStable && step.do != offerTurn {
				t.Errorf("%v, input %d: what waited has no turn", p, i)
			}
		})
		if do := offerTable[p][offerWanted].do; do != offerSend && do != offerQueue && p != offersBackoff {
			t.Errorf("%v: a wanted offer is forgotten", p)
		}
		if do := offerTable[p][offerHeard].do; do != offerTake && do != offerRefuse491 && do != offerRefuse500 {
			t.Errorf("%v: the peer's offer gets no answer", p)
		}
	})
}

// A queued offer goes out exactly once, whatever way the phase comes back to stable.
func TestQueuedOffer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		inputs []offerInput
		sends  int
	}{
		{"before the ACK", []offerInput{offerWanted, offerWanted, offerConfirmed, answerHeard}, 1},
		{"while the peer's is open", []offerInput{offerConfirmed, offerHeard, offerWanted, answerSaid, answerHeard}, 1},
		{"while ours is open", []offerInput{offerConfirmed, offerWanted, offerWanted, answerHeard, answerHeard}, 2},
		{"after glare", []offerInput{offerConfirmed, offerWanted, offerGlare, offerWanted, offerRetry, answerHeard}, 2},
		{"theirs first after glare", []offerInput{offerConfirmed, offerWanted, offerGlare, offerHeard, offerRetry, answerSaid, answerHeard}, 2},
		{"ours gives way", []offerInput{offerConfirmed, offerWanted, offerYield, offerWanted, answerSaid, answerHeard}, 2},
		{"nothing wanted", []offerInput{offerConfirmed, offerHeard, answerSaid}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var o offers
			sends := 0
			for _, in := range test.inputs {
				var do offerAction
				if o, do = o.take(in); do == offerSend {
					sends++
				}
			}
			if sends != test.sends || o.Queued || o.Phase != offersStable {
				t.Errorf("%d offers sent, want %d; at the end %+v", sends, test.sends, o)
			}
		})
	}
}
