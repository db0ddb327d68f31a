package bridge

import "log/slog"

// legState is where a leg stands: its dialog and its INVITE. The table below does no I/O.
type legState uint8

const (
	// The INVITE is ours (a branch).
	legCalling       legState = iota // sent, nothing heard
	legProceeding                    // a provisional was heard
	legCancelPending                 // to be ended, but CANCEL has to wait for a provisional (RFC 3261 §9.1)
	legCancelling                    // CANCEL sent, the INVITE's final response awaited
	// The INVITE is theirs (the caller leg).
	legIncoming   // no final response sent
	legAccepted   // 2xx sent, ACK awaited
	legByePending // to be ended, but BYE has to wait for the ACK (RFC 3261 §15)
	// Either.
	legConfirmed
	legLeaving // BYE sent, its final response awaited
	legGone
	legStates
)

func (s legState) String() string {
	return [...]string{"calling", "proceeding", "cancel-pending", "cancelling", "incoming", "accepted", "bye-pending",
		"confirmed", "leaving", "gone"}[s]
}

// LogValue is the name, found where it is logged.
func (s legState) LogValue() slog.Value { return slog.StringValue(s.String()) }

// legInput is what may happen to a leg.
type legInput uint8

const (
	legProvisional legInput = iota // 1xx heard
	legAgain                       // the INVITE was refused, and goes out again in another form
	legHeard2xx                    // 2xx heard, the first or again
	legHeardFinal                  // the INVITE ended otherwise: refusal, time, transport
	legAccept                      // the call sends its 2xx
	legHeardAck                    // the ACK of our 2xx
	legAckTimeout                  // 64·T1 without it
	legEnd                         // the call wants the leg to end
	legHeardBye                    //
	legByeDone                     // our BYE got its final response, or none in time
	legLost                        // the peer knows the dialog no more (481, 408), or cannot be told
	legInputs
)

// legAction is what the leg then does, in this order.
type legAction uint8

const (
	legSendAck    legAction = 1 << iota
	legSendBye              //
	legSendCancel           //
	legSend2xx              // and repeat it until the ACK
	legRefuse               // the final refusal to the caller's INVITE
)

type legStep struct {
	next legState
	do   legAction
}

// legTable holds what happens next, every pair named. Read only.
var legTable = [legStates][legInputs]legStep{
	legCalling: {
		legProvisional: {legProceeding, 0},
		legAgain:       {legCalling, 0},
		legHeard2xx:    {legConfirmed, legSendAck},
		legHeardFinal:  {legGone, 0},
		legAccept:      {legCalling, 0},
		legHeardAck:    {legCalling, 0},
		legAckTimeout:  {legCalling, 0},
		legEnd:         {legCancelPending, 0},
		legHeardBye:    {legCalling, 0},
		legByeDone:     {legCalling, 0},
		legLost:        {legGone, 0},
	},
	legProceeding: {
		legProvisional: {legProceeding, 0},
		legAgain:       {legCalling, 0},
		legHeard2xx:    {legConfirmed, legSendAck},
		legHeardFinal:  {legGone, 0},
		legAccept:      {legProceeding, 0},
		legHeardAck:    {legProceeding, 0},
		legAckTimeout:  {legProceeding, 0},
		legEnd:         {legCancelling, legSendCancel},
		legHeardBye:    {legProceeding, 0},
		legByeDone:     {legProceeding, 0},
		legLost:        {legGone, 0},
	},
	legCancelPending: {
		legProvisional: {legCancelling, legSendCancel},
		legAgain:       {legGone, 0},
		legHeard2xx:    {legLeaving, legSendAck | legSendBye}, // crossed: too late to cancel
		legHeardFinal:  {legGone, 0},
		legAccept:      {legCancelPending, 0},
		legHeardAck:    {legCancelPending, 0},
		legAckTimeout:  {legCancelPending, 0},
		legEnd:         {legCancelPending, 0},
		legHeardBye:    {legCancelPending, 0},
		legByeDone:     {legCancelPending, 0},
		legLost:        {legGone, 0},
	},
	legCancelling: {
		legProvisional: {legCancelling, 0},
		legAgain:       {legGone, 0},
		legHeard2xx:    {legLeaving, legSendAck | legSendBye},
		legHeardFinal:  {legGone, 0},
		legAccept:      {legCancelling, 0},
		legHeardAck:    {legCancelling, 0},
		legAckTimeout:  {legCancelling, 0},
		legEnd:         {legCancelling, 0},
		legHeardBye:    {legCancelling, 0},
		legByeDone:     {legCancelling, 0},
		legLost:        {legGone, 0},
	},
	legIncoming: {
		legProvisional: {legIncoming, 0},
		legAgain:       {legIncoming, 0},
		legHeard2xx:    {legIncoming, 0},
		legHeardFinal:  {legIncoming, 0},
		legAccept:      {legAccepted, legSend2xx},
		legHeardAck:    {legIncoming, 0},
		legAckTimeout:  {legIncoming, 0},
		legEnd:         {legGone, legRefuse},
		legHeardBye:    {legGone, legRefuse}, // a BYE in an early dialog: the INVITE gets its 487 (RFC 3261 §15.1.2)
		legByeDone:     {legIncoming, 0},
		legLost:        {legGone, legRefuse},
	},
	legAccepted: {
		legProvisional: {legAccepted, 0},
		legAgain:       {legAccepted, 0},
		legHeard2xx:    {legAccepted, 0},
		legHeardFinal:  {legAccepted, 0},
		legAccept:      {legAccepted, 0},
		legHeardAck:    {legConfirmed, 0},
		legAckTimeout:  {legLeaving, legSendBye},
		legEnd:         {legByePending, 0},
		legHeardBye:    {legGone, 0},
		legByeDone:     {legAccepted, 0},
		legLost:        {legGone, 0},
	},
	legByePending: {
		legProvisional: {legByePending, 0},
		legAgain:       {legByePending, 0},
		legHeard2xx:    {legByePending, 0},
		legHeardFinal:  {legByePending, 0},
		legAccept:      {legByePending, 0},
		legHeardAck:    {legLeaving, legSendBye},
		legAckTimeout:  {legLeaving, legSendBye},
		legEnd:         {legByePending, 0},
		legHeardBye:    {legGone, 0},
		legByeDone:     {legByePending, 0},
		legLost:        {legGone, 0},
	},
	legConfirmed: {
		legProvisional: {legConfirmed, 0},
		legAgain:       {legConfirmed, 0},
		legHeard2xx:    {legConfirmed, legSendAck}, // a repetition
		legHeardFinal:  {legConfirmed, 0},
		legAccept:      {legConfirmed, 0},
		legHeardAck:    {legConfirmed, 0},
		legAckTimeout:  {legConfirmed, 0},
		legEnd:         {legLeaving, legSendBye},
		legHeardBye:    {legGone, 0},
		legByeDone:     {legConfirmed, 0},
		legLost:        {legGone, 0},
	},
	legLeaving: {
		legProvisional: {legLeaving, 0},
		legAgain:       {legLeaving, 0},
		legHeard2xx:    {legLeaving, legSendAck},
		legHeardFinal:  {legLeaving, 0},
		legAccept:      {legLeaving, 0},
		legHeardAck:    {legLeaving, 0},
		legAckTimeout:  {legLeaving, 0},
		legEnd:         {legLeaving, 0},
		legHeardBye:    {legLeaving, 0}, // two BYEs crossed: each gets its 200
		legByeDone:     {legGone, 0},
		legLost:        {legGone, 0},
	},
	legGone: {
		legProvisional: {legGone, 0},
		legAgain:       {legGone, 0},
		legHeard2xx:    {legGone, legSendAck},
		legHeardFinal:  {legGone, 0},
		legAccept:      {legGone, 0},
		legHeardAck:    {legGone, 0},
		legAckTimeout:  {legGone, 0},
		legEnd:         {legGone, 0},
		legHeardBye:    {legGone, 0},
		legByeDone:     {legGone, 0},
		legLost:        {legGone, 0},
	},
}
