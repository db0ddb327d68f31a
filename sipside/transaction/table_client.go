package transaction

// unreliable keeps actions that only datagrams need.
func unreliable(reliable bool, do ...action) []action {
	if reliable {
		return nil
	}
	return do
}

// linger is the state after a final message: held on datagrams to absorb repetitions, none on reliable transports,
// where timers D, I, J and K are zero.
func linger(reliable bool, s state) state {
	if reliable {
		return terminated
	}
	return s
}

// inviteClientTable is RFC 3261 §17.1.1 with RFC 6026 §8.4.
func inviteClientTable(reliable bool) *table {
	t := new(table)
	refused := linger(reliable, completed)
	keepRefused := unreliable(reliable, start(timerD))

	t.on(initial, begin, calling, append(unreliable(reliable, start(timerA)), start(timerB), sendRequest)...)

	if !reliable {
		t.on(calling, timerA, calling, countRetry, sendRequest, again)
	}
	t.on(calling, timerB, terminated, deliverTimeout)
	t.on(calling, provisional, proceeding, stopRepeat, stopEnd, deliver)
	t.on(calling, success, accepted, stopRepeat, start(timerM), deliver)
	t.on(calling, failure, refused, append([]action{stopRepeat, stopEnd, sendAck, deliver}, keepRefused...)...)
	t.on(calling, abandoned, calling, stopRepeat)
	t.on(calling, broken, terminated, deliverLost)

	// Nothing but the peer or the user ends Proceeding: phones ring for minutes.
	t.on(proceeding, provisional, proceeding, deliver)
	t.on(proceeding, success, accepted, start(timerM), deliver)
	t.on(proceeding, failure, refused, append([]action{stopEnd, sendAck, deliver}, keepRefused...)...)
	t.on(proceeding, cancelled, proceeding, start(timerCancel))
	t.on(proceeding, timerCancel, terminated, deliverTimeout)
	t.on(proceeding, abandoned, proceeding, start(timerCancel))
	t.on(proceeding, broken, terminated, deliverLost)

	if !reliable {
		t.on(completed, provisional, completed, absorb)
		t.on(completed, success, completed, absorb)
		t.on(completed, failure, completed, absorb, sendAck)
		t.on(completed, timerD, terminated)
		t.on(completed, broken, terminated)
	}

	// Each further 2xx is a repetition or another fork: both are the call's (§13.2.2.4).
	t.on(accepted, success, accepted, deliver)
	t.on(accepted, provisional, accepted, absorb)
	t.on(accepted, failure, accepted, absorb)
	t.on(accepted, timerM, terminated)
	t.on(accepted, broken, terminated)
	return t
}

// clientTable is RFC 3261 §17.1.2.
func clientTable(reliable bool) *table {
	t := new(table)
	answered := linger(reliable, completed)
	final := append([]action{stopRepeat, stopEnd, deliver}, unreliable(reliable, start(timerK))...)

	t.on(initial, begin, trying, append(unreliable(reliable, start(timerE)), start(timerF), sendRequest)...)

	if !reliable {
		t.on(trying, timerE, trying, countRetry, sendRequest, again)
		t.on(proceeding, timerE, proceeding, countRetry, sendRequest, againSlow)
	}
	for _, s := range []state{trying, proceeding} {
		t.on(s, timerF, terminated, deliverTimeout)
		t.on(s, provisional, proceeding, deliver)
		t.on(s, success, answered, final...)
		t.on(s, failure, answered, final...)
		t.on(s, abandoned, s, stopRepeat)
		t.on(s, broken, terminated, deliverLost)
	}

	if !reliable {
		t.on(completed, provisional, completed, absorb)
		t.on(completed, success, completed, absorb)
		t.on(completed, failure, completed, absorb)
		t.on(completed, timerK, terminated)
		t.on(completed, broken, terminated)
	}
	return t
}
