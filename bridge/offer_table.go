package bridge

// offerPhase is where offer and answer stand on one leg once a dialog exists (RFC 6337). No I/O here.
type offerPhase uint8

const (
	offersEarly   offerPhase = iota // before the INVITE is confirmed: nothing of ours may be offered yet
	offersStable                    // no offer is open
	offersHeard                     // the peer's is open: we owe the answer
	offersSaid                      // ours is open
	offersBackoff                   // ours met theirs (491); ours waits its random time (RFC 3261 §14.1)
	offerPhases
)

func (p offerPhase) String() string {
	return [...]string{"early", "stable", "heard", "said", "backoff"}[p]
}

// offerInput is what may happen.
type offerInput uint8

const (
	offerWanted    offerInput = iota // our side has something new to offer
	offerHeard                       // the peer offers
	offerYield                       // the peer offers and is not to be refused: ours, if open, gives way
	answerSaid                       // we answered, or refused
	answerHeard                      // the peer answered, or refused
	offerGlare                       // the peer refused ours with 491
	offerRetry                       // the random time is over
	offerConfirmed                   // the INVITE is confirmed
	offerInputs
)

// offerAction is what follows.
type offerAction uint8

const (
	offerNothing   offerAction = iota
	offerSend                  // send an offer now
	offerQueue                 // it waits its turn
	offerTake                  // deal with the peer's offer
	offerRefuse491             // ours is open: glare
	offerRefuse500             // the peer's earlier one is still open (RFC 3261 §14.2: 500 with Retry-After)
	offerWait                  // start the random time
	offerTurn                  // whatever waited may go now
)

type offerStep struct {
	next offerPhase
	do   offerAction
}

// offerTable holds what happens next, every pair named. Read only.
var offerTable = [offerPhases][offerInputs]offerStep{
	offersEarly: {
		offerWanted:    {offersEarly, offerQueue},
		offerHeard:     {offersEarly, offerRefuse491},
		offerYield:     {offersEarly, offerRefuse491},
		answerSaid:     {offersEarly, offerNothing},
		answerHeard:    {offersEarly, offerNothing},
		offerGlare:     {offersEarly, offerNothing},
		offerRetry:     {offersEarly, offerNothing},
		offerConfirmed: {offersStable, offerTurn},
	},
	offersStable: {
		offerWanted:    {offersSaid, offerSend},
		offerHeard:     {offersHeard, offerTake},
		offerYield:     {offersHeard, offerTake},
		answerSaid:     {offersStable, offerNothing},
		answerHeard:    {offersStable, offerNothing},
		offerGlare:     {offersStable, offerNothing},
		offerRetry:     {offersStable, offerNothing},
		offerConfirmed: {offersStable, offerNothing},
	},
	offersHeard: {
		offerWanted:    {offersHeard, offerQueue},
		offerHeard:     {offersHeard, offerRefuse500},
		offerYield:     {offersHeard, offerRefuse500},
		answerSaid:     {offersStable, offerTurn},
		answerHeard:    {offersHeard, offerNothing},
		offerGlare:     {offersHeard, offerNothing},
		offerRetry:     {offersHeard, offerQueue},
		offerConfirmed: {offersHeard, offerNothing},
	},
	offersSaid: {
		offerWanted:    {offersSaid, offerQueue},
		offerHeard:     {offersSaid, offerRefuse491},
		offerYield:     {offersHeard, offerTake},
		answerSaid:     {offersSaid, offerNothing},
		answerHeard:    {offersStable, offerTurn},
		offerGlare:     {offersBackoff, offerWait},
		offerRetry:     {offersSaid, offerNothing},
		offerConfirmed: {offersSaid, offerNothing},
	},
	offersBackoff: {
		offerWanted:    {offersBackoff, offerNothing}, // the retry sends what is newest then
		offerHeard:     {offersHeard, offerTake},
		offerYield:     {offersHeard, offerTake},
		answerSaid:     {offersBackoff, offerNothing},
		answerHeard:    {offersBackoff, offerNothing},
		offerGlare:     {offersBackoff, offerNothing},
		offerRetry:     {offersSaid, offerSend},
		offerConfirmed: {offersBackoff, offerNothing},
	},
}

// offers is one leg's phase and queue. A queue of one is enough: an offer is made from the newest state when its turn comes.
// Plain value.
type offers struct {
	Phase  offerPhase
	Queued bool
}

// take applies an input and says what to do.
func (o offers) take(in offerInput) (offers, offerAction) {
	step := offerTable[o.Phase][in]
	o.Phase = step.next
	switch {
	case step.do == offerQueue:
		o.Queued = true
	case step.do == offerTurn && o.Queued:
		o.Queued = false
		return o.take(offerWanted)
	case step.do == offerTurn:
		return o, offerNothing
	}
	return o, step.do
}
