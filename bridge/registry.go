package bridge

import (
	"maps"
	"slices"
	"sync"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// dialogKey finds a leg by what an in-dialog request says: its Call-ID and our own tag. The peer's tag is checked by the leg.
type dialogKey struct{ callID, tag string }

// initialKey tells a merged INVITE (RFC 3261 §8.2.2.2): the same request by another path.
type initialKey struct {
	callID, fromTag string
	seq             uint32
}

// registry finds running calls. Safe for concurrent use.
type registry struct {
	mu      sync.Mutex
	byID    map[string]*call              // guarded by mu, as is what follows
	dialogs map[dialogKey]*leg            //
	invites map[*transaction.Server]*call // INVITEs not yet answered, for CANCEL
	initial map[initialKey]*call          //
	flows   map[string]map[*call]int      // legs of a call on each browser's connection
	talking map[*call]struct{}            // calls that are not over; the others of byID wait for the answers to their BYEs
	quiet   chan struct{}                 // closed when the last call is over; nil while nobody waits
	idle    chan struct{}                 // closed when the last call is gone; nil while nobody waits
}

func newRegistry() *registry {
	return &registry{
		byID:    map[string]*call{},
		dialogs: map[dialogKey]*leg{},
		invites: map[*transaction.Server]*call{},
		initial: map[initialKey]*call{},
		flows:   map[string]map[*call]int{},
		talking: map[*call]struct{}{},
	}
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byID)
}

func (r *registry) add(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[c.id] = c
	r.talking[c] = struct{}{}
}

func (r *registry) find(id string) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// all are the running calls.
func (r *registry) all() []*call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.byID))
}

// addInvite claims an initial INVITE for a call; false where another path's copy came first.
func (r *registry) addInvite(key initialKey, tx *transaction.Server, c *call) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, merged := r.initial[key]; merged {
		return false
	}
	r.initial[key] = c
	r.invites[tx] = c
	return true
}

// dropInvite forgets an INVITE that has its final response.
func (r *registry) dropInvite(key initialKey, tx *transaction.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.initial, key)
	delete(r.invites, tx)
}

// unanswered are the calls whose INVITE has no final response yet.
func (r *registry) unanswered() []*call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.invites))
}

func (r *registry) byInvite(tx *transaction.Server) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.invites[tx]
}

func (r *registry) addDialog(key dialogKey, l *leg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialogs[key] = l
}

// dropDialog forgets a leg, unless another took its place: a request with credentials goes on where the challenge came from.
func (r *registry) dropDialog(key dialogKey, l *leg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dialogs[key] == l {
		delete(r.dialogs, key)
	}
}

func (r *registry) dialog(key dialogKey) *leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dialogs[key]
}

// addFlow notes that a leg of the call goes over a browser's connection.
func (r *registry) addFlow(flow string, c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flows[flow] == nil {
		r.flows[flow] = map[*call]int{}
	}
	r.flows[flow][c]++
}

func (r *registry) dropFlow(flow string, c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flows[flow][c]--; r.flows[flow][c] <= 0 {
		delete(r.flows[flow], c)
	}
	if len(r.flows[flow]) == 0 {
		delete(r.flows, flow)
	}
}

// onFlow are the calls with a leg on a connection.
func (r *registry) onFlow(flow string) []*call {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := make([]*call, 0, len(r.flows[flow]))
	for c := range r.flows[flow] {
		calls = append(calls, c)
	}
	return calls
}

// over notes that a call says good-bye: what it waits for concerns no user.
func (r *registry) over(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.talking, c)
	r.quiet = closeIf(len(r.talking) == 0, r.quiet)
}

// remove forgets a call that ended; its legs dropped their own entries before.
func (r *registry) remove(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.talking, c)
	delete(r.byID, c.id)
	r.quiet = closeIf(len(r.talking) == 0, r.quiet)
	r.idle = closeIf(len(r.byID) == 0, r.idle)
}

// silent is closed once every call is over.
func (r *registry) silent() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := orNew(r.quiet)
	r.quiet = closeIf(len(r.talking) == 0, out)
	return out
}

// empty is closed once no call is left.
func (r *registry) empty() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := orNew(r.idle)
	r.idle = closeIf(len(r.byID) == 0, out)
	return out
}

func orNew(signal chan struct{}) chan struct{} {
	if signal == nil {
		return make(chan struct{})
	}
	return signal
}

// closeIf closes a signal where it is time to, and gives what is left of it.
func closeIf(now bool, signal chan struct{}) chan struct{} {
	if now && signal != nil {
		close(signal)
		return nil
	}
	return signal
}

func initialKeyOf(req *sip.Request) initialKey {
	tag, _ := req.From().Params.Get("tag")
	return initialKey{callID: req.CallID().Value(), fromTag: tag, seq: req.CSeq().SeqNo}
}

func dialogKeyOf(req *sip.Request) (key dialogKey, ok bool) {
	tag, ok := req.To().Params.Get("tag")
	return dialogKey{callID: req.CallID().Value(), tag: tag}, ok && tag != ""
}
