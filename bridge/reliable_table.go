package bridge

import (
	"strconv"
	"strings"
)

// Reliable provisional responses (RFC 3262), without I/O: what we say of a caller's INVITE, and what we hear of a callee's.

// reliablePhase is where a caller's INVITE stands with its reliable provisional responses.
type reliablePhase uint8

const (
	reliableIdle    reliablePhase = iota // none is out
	reliableWaiting                      // one without a session description waits for its PRACK
	reliableSession                      // one with a session description does: no 2xx may pass it (§3)
	reliableOver                         // the final response is out, or was given up for one
	reliablePhases
)

func (p reliablePhase) String() string {
	return [...]string{"idle", "waiting", "waiting with a session", "over"}[p]
}

// reliableInput is what may happen.
type reliableInput uint8

const (
	reliableSay        reliableInput = iota // a provisional is to go
	reliableSaySession                      // one with a session description is to go
	reliablePrack                           // the PRACK of the one that is out
	reliableLost                            // 64·T1 without it
	reliable2xx                             // a 2xx is to go
	reliableRefuse                          // another final response is to go
	reliableInputs
)

// reliableAction is what follows.
type reliableAction uint8

const (
	reliableNothing reliableAction = iota
	reliableSend                   // with the next RSeq, repeated until its PRACK
	reliableQueue                  // it waits for the PRACK of the one before
	reliableDrop                   // the caller has its final response
	reliableNext                   // the repetition stops; what waited may go
	reliableHold                   // the 2xx waits for the PRACK
	reliablePass                   // the final response may go; a repetition stops
	reliableGiveUp                 // the INVITE gets a 5xx (§3)
)

type reliableStep struct {
	next reliablePhase
	do   reliableAction
}

// reliableTable holds what happens next, every pair named. Read only.
var reliableTable = [reliablePhases][reliableInputs]reliableStep{
	reliableIdle: {
		reliableSay:        {reliableWaiting, reliableSend},
		reliableSaySession: {reliableSession, reliableSend},
		reliablePrack:      {reliableIdle, reliableNothing},
		reliableLost:       {reliableIdle, reliableNothing},
		reliable2xx:        {reliableOver, reliablePass},
		reliableRefuse:     {reliableOver, reliablePass},
	},
	reliableWaiting: {
		reliableSay:        {reliableWaiting, reliableQueue},
		reliableSaySession: {reliableWaiting, reliableQueue},
		reliablePrack:      {reliableIdle, reliableNext},
		reliableLost:       {reliableOver, reliableGiveUp},
		reliable2xx:        {reliableOver, reliablePass},
		reliableRefuse:     {reliableOver, reliablePass},
	},
	reliableSession: {
		reliableSay:        {reliableSession, reliableQueue},
		reliableSaySession: {reliableSession, reliableQueue},
		reliablePrack:      {reliableIdle, reliableNext},
		reliableLost:       {reliableOver, reliableGiveUp},
		reliable2xx:        {reliableSession, reliableHold},
		reliableRefuse:     {reliableOver, reliablePass},
	},
	reliableOver: {
		reliableSay:        {reliableOver, reliableDrop},
		reliableSaySession: {reliableOver, reliableDrop},
		reliablePrack:      {reliableOver, reliableNothing}, // late: it still gets its 200
		reliableLost:       {reliableOver, reliableNothing},
		reliable2xx:        {reliableOver, reliablePass},
		reliableRefuse:     {reliableOver, reliablePass},
	},
}

// rseqOrder says what a reliable provisional heard is in its early dialog's order (§4).
type rseqOrder uint8

const (
	rseqNext  rseqOrder = iota // the first, or the one after the last: to be acknowledged
	rseqAgain                  // a repetition: passed over, our PRACK repeats itself
	rseqGap                    // one before it is missing: not acknowledged, for its sender repeats both
)

// rseqs is the order heard in one early dialog. Plain value.
type rseqs struct {
	Last uint32 // 0: none yet
}

// hear takes the RSeq of a reliable provisional.
func (r rseqs) hear(seq uint32) (rseqs, rseqOrder) {
	switch {
	case r.Last == 0, seq == r.Last+1:
		return rseqs{seq}, rseqNext
	case seq <= r.Last:
		return r, rseqAgain
	}
	return r, rseqGap
}

// rackOf reads a RAck header (§7.2): the RSeq, and CSeq number and method of what it acknowledges.
func rackOf(value string) (seq, cseq uint32, method string, ok bool) {
	fields := strings.Fields(value)
	if len(fields) != 3 {
		return 0, 0, "", false
	}
	a, errA := strconv.ParseUint(fields[0], 10, 32)
	b, errB := strconv.ParseUint(fields[1], 10, 32)
	if errA != nil || errB != nil || a == 0 {
		return 0, 0, "", false
	}
	return uint32(a), uint32(b), fields[2], true
}

// reliableSeq is the RSeq of a provisional that wants a PRACK; 0 where it wants none.
func reliableSeq(msg headed) uint32 {
	if !listHas(listed(msg, "Require"), option100rel) {
		return 0
	}
	seq, err := strconv.ParseUint(strings.TrimSpace(headerValue(msg, "RSeq")), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(seq)
}
