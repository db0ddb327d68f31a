package bridge

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/route"
	"tandem/sipside/transaction"
	"tandem/wss"
)

// registrar carries registrations across in forward and vouch mode: the backend is the registrar, its binding's Contact is ours
// with a token, and the browser sees nothing but its own Contact. In local mode it is the registrar itself. Safe for concurrent
// use; a REGISTER on its way is an exchange.
type registrar struct {
	// static after construction
	b     *Bridge
	mint  tokenMint
	now   func() time.Time
	seqs  [1024]atomic.Uint32 // the last CSeq, by hash of the leg's token
	floor minimums

	mu      sync.Mutex     // held while a binding is read and written in one
	pending map[string]int // guarded by mu: tokens of the REGISTERs on their way
}

func newRegistrar(b *Bridge) *registrar {
	secret := b.cfg.Secret
	if len(secret) == 0 {
		secret = []byte(rand.Text()) // bindings then do not survive a restart
	}
	return &registrar{b: b, mint: newTokenMint(b.cfg.Node, secret), now: time.Now, pending: map[string]int{}}
}

func (b *Bridge) serveRegister(in inbound)      { b.registrar.serve(in) }
func (b *Bridge) registrationsGone(c *wss.Conn) { b.registrar.gone(c) }

// Outcomes of a REGISTER, as counted in Stats.
const (
	registerAccepted   = "accepted"
	registerRemoved    = "removed"
	registerQueried    = "queried"
	registerChallenged = "challenged"
	registerUnusable   = "unusable-challenge" // one that the browser cannot answer
	registerRefused    = "refused"            // by the backend
	registerUnanswered = "unanswered"         // by any member
	registerRejected   = "rejected"           // by ourselves
)

// serve answers a REGISTER, at once or when a backend or whoever knows the users has answered. It does not block.
func (r *registrar) serve(in inbound) {
	wish, to, no := r.open(in)
	if no.status != 0 {
		r.answer(in.tx, registerRejected, no)
		return
	}
	if !vouched(in, to) {
		r.carryOn(in, wish, to)
		return
	}
	r.identify(in, wish.aor, func(who identity.Subject) {
		in.identity = wish.aor
		wish.shorten(who.Until, r.now())
		r.carryOn(in, wish, to)
	})
}

// identify calls then with who the browser is that registers an address of record: by the token of its flow, else by its
// credentials, which a password has to give anew each time.
func (r *registrar) identify(in inbound, aor string, then func(identity.Subject)) {
	who, covered, _ := r.b.subjects.of(in.browser, aor)
	if covered && !in.hasCredentials() && !who.Until.IsZero() && who.Token {
		then(who)
		return
	}
	r.b.prove(in, aor, then)
}

// carryOn does what a REGISTER that was let in asks for: here, or at a backend.
func (r *registrar) carryOn(in inbound, wish registration, to route.Decision) {
	if to.Register == route.Local {
		r.local(in, wish, to.Tenant)
		return
	}
	x := &exchange{r: r, conn: in.browser, tx: in.tx, wish: wish, in: in}
	var no reply
	if x.members, x.here, no = r.registrars(in, wish.aor, to); no.status != 0 {
		r.answer(in.tx, registerRejected, no)
		return
	}
	if len(x.members) == 0 {
		r.carryOnHere(in, wish, *x.here)
		return
	}
	r.assignTokens(&x.wish)
	x.credentials()
	x.try()
}

// open checks a REGISTER and decides where it goes; no says why it goes nowhere.
func (r *registrar) open(in inbound) (wish registration, to route.Decision, no reply) {
	req := in.req
	if missing := unsupported(req); missing != "" {
		return wish, to, reply{status: 420, headers: []sip.Header{sip.NewHeader("Unsupported", missing)}}
	}
	if hops := req.MaxForwards(); hops != nil && *hops == 0 {
		return wish, to, reply{status: 483}
	}
	wish, err := r.registrationOf(req, in.browser == nil)
	if err != nil {
		return wish, to, reply{status: statusOfRegister(err), why: err.Error()}
	}
	q := r.b.query(in)
	q.At = r.now()
	to = r.b.with.Router.Route(q)
	switch {
	case in.browser == nil && to.Register != route.Local: // a PBX's phones are its own but where a route says otherwise
		return wish, to, notAllowed(sip.REGISTER)
	case to.Reject != 0:
		return wish, to, reply{status: to.Reject, why: to.Refusal()}
	}
	if err := r.admit(in.origin(), wish); err != nil {
		return wish, to, reply{status: 503, why: err.Error()}
	}
	return wish, to, reply{}
}

// unsupported lists what the browser requires and we have not (RFC 3261 §8.2.2.3).
func unsupported(req *sip.Request) string {
	missing := listed(req, "Proxy-Require")
	for _, option := range listed(req, "Require") {
		if !strings.EqualFold(option, "outbound") && !strings.EqualFold(option, "path") {
			missing = append(missing, option)
		}
	}
	return joined(missing)
}

// admit asks the guard about registrations that are not known yet; a refresh always comes in.
func (r *registrar) admit(origin string, wish registration) error {
	if r.b.with.Guard == nil {
		return nil
	}
	for _, b := range r.b.with.Store.ByAOR(wish.aor) {
		if slices.ContainsFunc(wish.contacts, func(c contact) bool { return sameClient(b, c) }) {
			return nil
		}
	}
	return r.b.with.Guard.Admit(origin, wish.aor, sip.REGISTER)
}

// nextSeq is a CSeq number higher than any that the leg of a token used: Call-IDs are of this process, so counting may begin
// anew with it. Legs share counters, which makes gaps and no harm, and needs no memory per leg.
func (r *registrar) nextSeq(token string) uint32 {
	h := uint32(2166136261)
	for i := range len(token) {
		h = (h ^ uint32(token[i])) * 16777619
	}
	return r.seqs[h%uint32(len(r.seqs))].Add(1)
}

// bind stores what a backend accepted over a connection, and moves running dialogs from the flow that the binding had before.
func (r *registrar) bind(c *wss.Conn, bindings []location.Binding) {
	for _, b := range bindings {
		c.Registered(b.AOR)
		if old, moved := r.put(b); moved {
			r.b.flowMoved(b.AOR, old, b.Flow)
		}
	}
	select {
	case <-c.Done(): // BrowserGone may have come before
		r.gone(c)
	default:
	}
}

// put stores a binding unless a later REGISTER of the same client was quicker (RFC 3261 §10.3 step 7), and says which other
// flow it had, even if that is lost.
func (r *registrar) put(b location.Binding) (oldFlow string, moved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	store := r.b.with.Store
	if now, ok := store.ByToken(b.Token); ok && now.CallID == b.CallID && now.CSeq > b.CSeq {
		return "", false
	}
	old, had := store.Put(b)
	oldFlow = old.Flow
	if oldFlow == "" {
		oldFlow = old.LastFlow
	}
	heir := had && (old.Instance != b.Instance || old.Instance == "" && userOf(old.Contact) != userOf(b.Contact)) // see assignTokens
	return oldFlow, had && !heir && oldFlow != "" && oldFlow != b.Flow
}

// unbind removes what a backend has removed.
func (r *registrar) unbind(wish registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	store := r.b.with.Store
	for _, c := range wish.contacts {
		if c.want == 0 {
			store.Remove(c.token)
		}
	}
	if wish.all {
		for _, b := range store.ByAOR(wish.aor) {
			store.Remove(b.Token)
		}
	}
}

// gone makes the bindings of a lost connection dormant: they are known until they expire, for nobody but the user can
// un-register them at the backend, and a call to one is answered at once.
func (r *registrar) gone(c *wss.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.b.with.Store.ByFlow(c.Flow()) {
		b.Flow, b.LastFlow = "", b.Flow
		r.b.with.Store.Put(b)
	}
}

// answer sends the final response and counts it.
func (r *registrar) answer(tx *transaction.Server, outcome string, a reply) {
	r.b.counters.register(outcome)
	r.b.respond(tx, a)
}

// minimums are the shortest expiries that backends accept, as their 423 said, in seconds. Safe for concurrent use; there are
// as many as backends at most.
type minimums struct{ byBackend sync.Map }

func (m *minimums) of(backend string) int {
	if v, ok := m.byBackend.Load(backend); ok {
		return v.(int)
	}
	return 0
}

func (m *minimums) set(backend string, seconds int) { m.byBackend.Store(backend, seconds) }
