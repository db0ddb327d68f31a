package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/location"
)

// Local mode: the gateway is the registrar (RFC 3261 §10.3), of browsers and of phones behind backends.

// maxBindings bounds the contacts of one address of record; the dormant make room first.
const maxBindings = 32

// local does what a REGISTER asks for, and answers with all bindings of the address of record.
func (r *registrar) local(in inbound, wish registration, tenant string) {
	if no := r.tooBrief(wish); no.status != 0 {
		r.answer(in.tx, registerRejected, no)
		return
	}
	outcome, shortest, moves, no := r.update(in, wish, tenant)
	if no.status != 0 {
		r.answer(in.tx, registerRejected, no)
		return
	}
	for _, m := range moves {
		r.b.flowMoved(wish.aor, m.from, m.to)
	}
	if in.browser != nil {
		r.noteSubject(in, shortest)
		r.b.goneMeanwhile(in.browser)
	}
	headers := r.listed(in.req, wish)
	if outcome == registerAccepted {
		headers = append(headers, sip.NewHeader("Expires", strconv.Itoa(shortest)))
		if wish.outbound && in.browser != nil {
			headers = append(headers, sip.NewHeader("Require", "outbound")) // RFC 5626 §6
		}
	}
	headers = append(headers, sip.NewHeader("Date", r.now().UTC().Format("Mon, 02 Jan 2006 15:04:05")+" GMT"))
	r.b.log.Log(context.Background(), slog.LevelDebug, "register: "+outcome, "from", in.peer().Name(), "tenant", tenant, "aor", wish.aor, "expires", shortest)
	r.answer(in.tx, outcome, reply{status: sip.StatusOK, headers: headers})
}

// tooBrief refuses what is shorter than MinExpires. What it names as the least is taken when it is asked for, and JsSIP asks for
// no less than 10 s: so no client goes round in circles (RFC 3261 §10.3 step 7).
func (r *registrar) tooBrief(wish registration) (no reply) {
	least := int(min(r.b.cfg.MinExpires, r.b.cfg.MaxExpires) / time.Second)
	for _, c := range wish.contacts {
		if c.want > 0 && c.want < least && !c.bounded {
			return reply{status: sip.StatusIntervalToBrief, headers: []sip.Header{sip.NewHeader("Min-Expires", strconv.Itoa(least))}}
		}
	}
	return no
}

// move is a binding that changed its flow.
type move struct{ from, to string }

// update changes the bindings of an address of record, all of them as asked or none (RFC 3261 §10.3 step 7).
func (r *registrar) update(in inbound, wish registration, tenant string) (outcome string, shortest int, moves []move, no reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	store := r.b.with.Store
	have := store.ByAOR(wish.aor)
	if no = late(have, wish); no.status != 0 {
		return "", 0, nil, no
	}
	if no = r.makeRoom(have, wish); no.status != 0 {
		return "", 0, nil, no
	}
	if len(wish.contacts) == 0 && !wish.all {
		return registerQueried, 0, nil, no
	}
	outcome = registerRemoved
	if wish.all {
		for _, b := range have {
			store.Remove(b.Token)
		}
	}
	for _, c := range wish.contacts {
		if c.want == 0 {
			store.Remove(c.token)
			continue
		}
		seconds := min(c.want, int(r.b.cfg.MaxExpires/time.Second))
		b := r.bindingOf(in, wish, c, tenant, seconds)
		old, had := store.Put(b)
		if from := lastFlow(old); had && from != "" && b.Flow != "" && from != b.Flow {
			moves = append(moves, move{from, b.Flow})
		}
		if outcome = registerAccepted; shortest == 0 || seconds < shortest {
			shortest = seconds
		}
	}
	return outcome, shortest, moves, no
}

// late refuses a REGISTER that a later one of the same client has overtaken.
func late(have []location.Binding, wish registration) (no reply) {
	for _, b := range have {
		if b.CallID == wish.callID && b.CSeq >= wish.seq && wish.touches(b.Token) {
			return reply{status: 500, why: fmt.Sprintf("CSeq %d came after %d", wish.seq, b.CSeq)}
		}
	}
	return no
}

// touches says whether a REGISTER changes a binding.
func (w registration) touches(token string) bool {
	for _, c := range w.contacts {
		if c.token == token {
			return true
		}
	}
	return w.all
}

// makeRoom drops dormant bindings, the oldest first, where new ones would be too many. The caller holds mu.
func (r *registrar) makeRoom(have []location.Binding, wish registration) (no reply) {
	after := 0
	var dormant []location.Binding // the newest first
	for _, b := range have {
		if !wish.touches(b.Token) {
			after++
			if b.Flow == "" && !b.Behind {
				dormant = append(dormant, b)
			}
		}
	}
	for _, c := range wish.contacts {
		if c.want > 0 {
			after++
		}
	}
	for ; after > maxBindings && len(dormant) > 0; after-- {
		r.b.with.Store.Remove(dormant[len(dormant)-1].Token)
		dormant = dormant[:len(dormant)-1]
	}
	if after > maxBindings {
		return reply{status: 403, why: fmt.Sprintf("more than %d contacts", maxBindings)}
	}
	return no
}

func (r *registrar) bindingOf(in inbound, wish registration, c contact, tenant string, seconds int) location.Binding {
	b := location.Binding{
		AOR: wish.aor, Token: c.token, Contact: c.uri, ContactParams: c.params, Instance: c.instance, RegID: c.regID, Tenant: tenant,
		Expires: r.now().Add(time.Duration(seconds) * time.Second), CallID: wish.callID, CSeq: wish.seq,
	}
	if in.browser != nil {
		b.Flow = in.browser.Flow()
		return b
	}
	b.Behind, b.Backend = true, in.backend.Name()
	var hops []string
	for _, h := range in.req.GetHeaders("Path") {
		hops = append(hops, splitAddresses(h.Value())...)
	}
	b.Path = strings.Join(hops, "\n")
	return b
}

// splitAddresses splits a header value at the commas outside of quotes and angle brackets.
func splitAddresses(value string) []string {
	var out []string
	quoted, bracket := false, false
	rest := strings.FieldsFunc(value, func(c rune) bool {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted:
			bracket = true
		case c == '>' && !quoted:
			bracket = false
		}
		return c == ',' && !quoted && !bracket
	})
	for _, one := range rest {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

// listed are the headers that show a client the bindings of its address of record, its own first: Contacts verbatim with what is
// left of their time, with GRUUs where the client knows them; and the Path that was heard (RFC 3327 §5.3).
func (r *registrar) listed(req *sip.Request, wish registration) []sip.Header {
	gruu := listHas(listed(req, "Supported"), "gruu")
	var own, others []sip.Header
	for _, b := range r.b.with.Store.ByAOR(wish.aor) {
		left := max(int(b.Expires.Sub(r.now()).Round(time.Second)/time.Second), 1)
		c := contact{uri: b.Contact, params: b.ContactParams}
		if gruu {
			c.params += r.gruusOf(b)
		}
		if wish.touches(b.Token) {
			own = append(own, c.granted(left))
		} else {
			others = append(others, c.granted(left))
		}
	}
	headers := append(own, others...)
	if listHas(listed(req, "Supported"), "path") {
		for _, h := range req.GetHeaders("Path") {
			headers = append(headers, sip.HeaderClone(h))
		}
	}
	return headers
}

// lastFlow is the flow that a binding has or had.
func lastFlow(b location.Binding) string {
	if b.Flow != "" {
		return b.Flow
	}
	return b.LastFlow
}

// noteSubject keeps in mind who registered over a flow, for as long as the registration lasts.
func (r *registrar) noteSubject(in inbound, seconds int) {
	if in.identity == "" || seconds == 0 {
		return
	}
	in.browser.Registered(in.identity)
	name := strings.TrimPrefix(in.identity, "sip:")
	r.b.subjects.prove(in.browser, identity.Subject{Name: name, Until: r.now().Add(time.Duration(seconds) * time.Second)}, false)
}
