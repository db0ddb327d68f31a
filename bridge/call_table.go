package bridge

import "log/slog"

// callState is where a call stands. The table below is the whole of it; nothing here does I/O.
//
//	seeking ──progress──▶ ringing          nothing but 100 so far: another member may be tried
//	   │ ▲ next               │
//	   │ └───┘◀──────lost─────┤
//	   └──────answered────────┴──▶ answered ──confirmed──▶ up
//	                                   │                    │
//	        refusal, CANCEL, BYE, fault, limit (from any) ──┴──▶ ending ──settled──▶ ended
type callState uint8

const (
	callSeeking  callState = iota // INVITEs are out, the caller heard 100 at most
	callRinging                   // the caller heard a 101–199
	callAnswered                  // the caller was sent the 2xx, its ACK is awaited
	callUp                        // both legs are confirmed
	callEnding                    // the legs say good-bye
	callEnded                     // nothing is left
	callStates
)

func (s callState) String() string {
	return [...]string{"seeking", "ringing", "answered", "up", "ending", "ended"}[s]
}

// LogValue is the name, found where it is logged.
func (s callState) LogValue() slog.Value { return slog.StringValue(s.String()) }

// callInput is what may happen to a call.
type callInput uint8

const (
	callProgress  callInput = iota // a branch answered 101–199
	callRefused                    // a branch ended without a 2xx; others go on
	callNext                       // the last running branch failed in a way that lets another member be tried, and there is one
	callLost                       // so did the last running one, whose member died while it rang
	callExhausted                  // the last branch ended and there is nothing left to try
	callAnswer                     // a branch answered 2xx
	callConfirm                    // the caller's ACK came
	callCancel                     // the caller gave up before the answer: CANCEL, or its flow was lost
	callHangUp                     // either peer said BYE
	callFault                      // the gateway ends it: media, limits, time, shutdown, a fault of ours
	callSettled                    // every leg is gone
	callInputs
)

// callAction is what the call then does, in this order.
type callAction uint8

const (
	actRing       callAction = 1 << iota // pass the progress on to the caller
	actTryNext                           // open the next branch
	actAccept                            // make the branch the winner and send the caller its 2xx
	actEndRest                           // end the branches that did not win
	actHangUpLate                        // ACK and BYE a 2xx that nobody waits for
	actConfirmed                         // what waited for the ACK may go on
	actEndLegs                           // end every leg in its own way (see legTable), write the record
	actFinish                            // free everything
)

type callStep struct {
	next callState
	do   callAction
}

// callTable holds what happens next, every pair named. Read only.
var callTable = [callStates][callInputs]callStep{
	callSeeking: {
		callProgress:  {callRinging, actRing},
		callRefused:   {callSeeking, 0},
		callNext:      {callSeeking, actTryNext},
		callLost:      {callSeeking, actTryNext},
		callExhausted: {callEnding, actEndLegs},
		callAnswer:    {callAnswered, actAccept | actEndRest},
		callConfirm:   {callSeeking, 0},
		callCancel:    {callEnding, actEndLegs},
		callHangUp:    {callEnding, actEndLegs},
		callFault:     {callEnding, actEndLegs},
		callSettled:   {callSeeking, 0},
	},
	callRinging: {
		callProgress:  {callRinging, actRing},
		callRefused:   {callRinging, 0},
		callNext:      {callEnding, actEndLegs},  // never after a 180 or 183,
		callLost:      {callSeeking, actTryNext}, // but where nobody is left to ring
		callExhausted: {callEnding, actEndLegs},
		callAnswer:    {callAnswered, actAccept | actEndRest},
		callConfirm:   {callRinging, 0},
		callCancel:    {callEnding, actEndLegs},
		callHangUp:    {callEnding, actEndLegs},
		callFault:     {callEnding, actEndLegs},
		callSettled:   {callRinging, 0},
	},
	callAnswered: {
		callProgress:  {callAnswered, 0},
		callRefused:   {callAnswered, 0},
		callNext:      {callAnswered, 0},
		callLost:      {callAnswered, 0},
		callExhausted: {callAnswered, 0},
		callAnswer:    {callAnswered, actHangUpLate},
		callConfirm:   {callUp, actConfirmed},
		callCancel:    {callAnswered, 0}, // crossed the 200: the caller will say BYE (RFC 3261 §9.1)
		callHangUp:    {callEnding, actEndLegs},
		callFault:     {callEnding, actEndLegs},
		callSettled:   {callAnswered, 0},
	},
	callUp: {
		callProgress:  {callUp, 0},
		callRefused:   {callUp, 0},
		callNext:      {callUp, 0},
		callLost:      {callUp, 0},
		callExhausted: {callUp, 0},
		callAnswer:    {callUp, actHangUpLate},
		callConfirm:   {callUp, 0},
		callCancel:    {callUp, 0},
		callHangUp:    {callEnding, actEndLegs},
		callFault:     {callEnding, actEndLegs},
		callSettled:   {callUp, 0},
	},
	callEnding: {
		callProgress:  {callEnding, 0},
		callRefused:   {callEnding, 0},
		callNext:      {callEnding, 0},
		callLost:      {callEnding, 0},
		callExhausted: {callEnding, 0},
		callAnswer:    {callEnding, actHangUpLate},
		callConfirm:   {callEnding, 0},
		callCancel:    {callEnding, 0},
		callHangUp:    {callEnding, 0},
		callFault:     {callEnding, 0},
		callSettled:   {callEnded, actFinish},
	},
	callEnded: {
		callProgress:  {callEnded, 0},
		callRefused:   {callEnded, 0},
		callNext:      {callEnded, 0},
		callLost:      {callEnded, 0},
		callExhausted: {callEnded, 0},
		callAnswer:    {callEnded, 0},
		callConfirm:   {callEnded, 0},
		callCancel:    {callEnded, 0},
		callHangUp:    {callEnded, 0},
		callFault:     {callEnded, 0},
		callSettled:   {callEnded, 0},
	},
}
