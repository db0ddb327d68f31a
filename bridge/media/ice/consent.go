package ice

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/pion/stun/v4"
)

// consent is the peer's to be sent packets (RFC 7675), asked for again and again.
type consent struct {
	good    int64 // when it was last given
	next    int64 // when it is to be asked for
	expired bool
	asked   [][stun.TransactionIDSize]byte // the latest; any answer to one of them is good
}

const maxAsked = 8

func (c *consent) begin(now int64) {
	*c = consent{good: now, next: spread(now)}
}

// spread is when to ask again: not in step with others.
func spread(now int64) int64 { return now + consentEvery*4/5 + rand.Int64N(consentEvery*2/5) }

func (c *consent) due(limit int64) int64 { return min(c.next, c.good+limit) }

func (c *consent) sent(id [stun.TransactionIDSize]byte) bool { return slices.Contains(c.asked, id) }

// keep asks for consent where it is time, and ends sending where none came for too long.
func (a *Agent) keep(component int, now int64) {
	c := &a.components[component-1]
	switch {
	case c.selected == nil || c.consent.expired:
	case now-c.consent.good >= a.cfg.Consent:
		c.consent.expired = true
		a.cfg.Expired(component)
	case now >= c.consent.next:
		id, raw := a.request(c.selected, false)
		if len(c.consent.asked) == maxAsked {
			c.consent.asked = c.consent.asked[1:]
		}
		c.consent.asked = append(c.consent.asked, id)
		c.consent.next = spread(now)
		a.cfg.Send(component, c.selected.to, raw)
	}
}

// answered takes an answer to a request for consent. Only success renews it.
func (c *component) answered(m *stun.Message, from netip.AddrPort, now int64) Verdict {
	switch {
	case stun.NewShortTermIntegrity(c.selected.generation.remote.Password).Check(m) != nil:
		return Integrity
	case from != c.selected.to:
		return Unexpected
	case m.Type.Class != stun.ClassSuccessResponse:
		return Refused
	}
	c.consent.good = now
	return Good
}
