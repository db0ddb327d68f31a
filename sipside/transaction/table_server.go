package transaction

// inviteServerTable is RFC 3261 §17.2.1 with RFC 6026 §8.5. A write that fails changes no state: the user of Respond has
// the error, and the timers still end the transaction.
func inviteServerTable(reliable bool) *table {
	t := new(table)

	t.on(initial, begin, proceeding, start(timerTrying))

	// Nothing but the user ends Proceeding, or the loss of the flow.
	t.on(proceeding, timerTrying, proceeding, sendTrying)
	t.on(proceeding, repeated, proceeding, absorb, sendLast)
	t.on(proceeding, provisional, proceeding, stopRepeat, sendResponse)
	t.on(proceeding, success, accepted, stopRepeat, start(timerL), sendResponse)
	t.on(proceeding, failure, completed,
		append([]action{stopRepeat, start(timerH), sendResponse}, unreliable(reliable, start(timerG))...)...)
	t.on(proceeding, acked, proceeding, absorb)
	t.on(proceeding, broken, terminated)

	t.on(completed, repeated, completed, absorb, sendLast)
	t.on(completed, timerH, terminated, countUnacked)
	t.on(completed, acked, linger(reliable, confirmed),
		append([]action{stopRepeat, stopEnd}, unreliable(reliable, start(timerI))...)...)
	t.on(completed, broken, terminated)

	if !reliable {
		t.on(completed, timerG, completed, countRetry, sendLast, again)
		t.on(confirmed, repeated, confirmed, absorb)
		t.on(confirmed, acked, confirmed, absorb)
		t.on(confirmed, timerI, terminated)
		t.on(confirmed, broken, terminated)
	}

	// The call repeats the 2xx, not the transaction (RFC 6026 §7.1), and gets the ACK.
	t.on(accepted, repeated, accepted, absorb)
	t.on(accepted, success, accepted, sendResponse)
	t.on(accepted, timerL, terminated)
	t.on(accepted, broken, terminated)
	return t
}

// serverTable is RFC 3261 §17.2.2.
func serverTable(reliable bool) *table {
	t := new(table)
	answered := linger(reliable, completed)
	final := append([]action{stopEnd, sendResponse}, unreliable(reliable, start(timerJ))...)

	t.on(initial, begin, trying, start(timerUnserved))

	t.on(trying, repeated, trying, absorb)
	t.on(proceeding, repeated, proceeding, absorb, sendLast)
	for _, s := range []state{trying, proceeding} {
		t.on(s, provisional, proceeding, sendResponse)
		t.on(s, success, answered, final...)
		t.on(s, failure, answered, final...)
		t.on(s, timerUnserved, terminated)
		t.on(s, broken, terminated)
	}

	if !reliable {
		t.on(completed, repeated, completed, absorb, sendLast)
		t.on(completed, timerJ, terminated)
		t.on(completed, broken, terminated)
	}
	return t
}
