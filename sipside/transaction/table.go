package transaction

// state is where a machine stands. The names are those of RFC 3261 §17 and RFC 6026 §7.
type state uint8

const (
	initial state = iota // before the request was sent or taken
	calling
	trying
	proceeding
	accepted
	completed
	confirmed
	terminated
	stateCount
)

// input is what can happen to a machine.
type input uint8

const (
	begin         input = iota
	provisional         // 1xx: came to a client, given by the user of a server
	success             // 2xx, likewise
	failure             // 3xx to 6xx, likewise
	repeated            // the request came again
	acked               // an ACK came for this transaction
	cancelled           // the user cancelled the INVITE
	abandoned           // the user wants to hear no more
	broken              // a write failed or the flow was lost
	timerA              // INVITE client: send again
	timerB              // INVITE client: no response
	timerD              // INVITE client: refusals may still be repeated
	timerE              // non-INVITE client: send again
	timerF              // non-INVITE client: no final response
	timerG              // INVITE server: send the refusal again
	timerH              // INVITE server: no ACK
	timerI              // INVITE server: ACKs may still be repeated
	timerJ              // non-INVITE server: requests may still be repeated
	timerK              // non-INVITE client: responses may still be repeated
	timerL              // INVITE server: RFC 6026, INVITEs may still be repeated after a 2xx
	timerM              // INVITE client: RFC 6026, further 2xx may still come
	timerTrying         // INVITE server: 200 ms without a response of the user (§17.2.1)
	timerCancel         // INVITE client: no final response 64·T1 after CANCEL (§9.1)
	timerUnserved       // non-INVITE server: the client's timer F is over (RFC 4320 §4.2), a response is of no use
	inputCount
)

// action is what the driver has to do, in the order of the row.
type action uint8

const (
	sendRequest  action = iota // the client's request, first time or again
	sendAck                    // the ACK of a refusal
	sendResponse               // the response that the user gave, which is kept for repetition
	sendTrying                 // a 100 of the layer's own, which is kept for repetition
	sendLast                   // the last response again
	deliver                    // the response to the user
	deliverTimeout
	deliverLost
	absorb     // count a repetition by the peer
	countRetry // count a repetition by a timer
	countUnacked
	again      // restart the repeating timer with twice its interval, at most T2 unless it is timer A
	againSlow  // restart the repeating timer with T2
	stopRepeat // stop timer A, E, G or Trying
	stopEnd    // stop the timer that ends the state
	startFirst // startFirst + (timer - timerA) starts that timer
)

func start(timer input) action { return startFirst + action(timer-timerA) }

// row is one entry of a table.
type row struct {
	next state
	do   []action
}

// table is a machine without I/O: state × input → next state, actions. An absent row means that the input is impossible
// there, or not this machine's: a response in a wrong place, an ACK of a 2xx.
type table struct {
	rows [stateCount][inputCount]*row
}

func (t *table) on(s state, in input, next state, do ...action) {
	t.rows[s][in] = &row{next: next, do: do}
}

func (t *table) step(s state, in input) (state, []action, bool) {
	r := t.rows[s][in]
	if r == nil {
		return s, nil, false
	}
	return r.next, r.do, true
}

// tables are the four machines, each for datagrams and for reliable transports.
type tables struct {
	inviteClient, client, inviteServer, server [2]*table
}

func newTables() tables {
	var t tables
	for i, reliable := range []bool{false, true} {
		t.inviteClient[i] = inviteClientTable(reliable)
		t.client[i] = clientTable(reliable)
		t.inviteServer[i] = inviteServerTable(reliable)
		t.server[i] = serverTable(reliable)
	}
	return t
}

func choose(pair [2]*table, reliable bool) *table {
	if reliable {
		return pair[1]
	}
	return pair[0]
}
