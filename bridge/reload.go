package bridge

import (
	"maps"
	"slices"

	"tandem/bridge/admission"
	"tandem/bridge/route"
)

// peers is what the configuration says of pools, trunks and domains at one time. Immutable.
type peers struct {
	peerings map[string]*Peering         // by pool or trunk, and "browsers"
	quotas   map[string]*admission.Quota // by pool or trunk
	domains  []string
}

// Reload takes other peerings, domains and limits (Config.Peerings, Config.Domains, Config.Limits) in the place of the present ones,
// at once. What is said of a pool or trunk that is gone stays, for calls with it may run.
func (b *Bridge) Reload(peerings map[string]Peering, domains []string, limits admission.Limits) {
	now := &peers{peerings: map[string]*Peering{}, quotas: map[string]*admission.Quota{}, domains: domains}
	before := b.peers.Load()
	if before != nil {
		maps.Copy(now.peerings, before.peerings)
		maps.Copy(now.quotas, before.quotas)
	}
	for name, p := range peerings {
		if then := now.peerings[name]; then != nil {
			p = p.keeping(then)
		}
		now.peerings[name] = &p
		switch q := now.quotas[name]; {
		case name == route.Browsers:
		case q == nil:
			now.quotas[name] = admission.NewQuota(p.Quota.Cap)
		default:
			q.Set(p.Quota.Cap)
		}
	}
	b.peers.Store(now)
	limits.Emergency = slices.Clone(limits.Emergency)
	for _, p := range peerings {
		limits.Emergency = append(limits.Emergency, p.Quota.Emergency...)
	}
	b.control.Set(limits)
	b.members.Range(func(name, q any) bool { // of members that are gone
		if running, _ := q.(*admission.Quota).Stats(); running == 0 && b.with.Backends.Backend(name.(string)) == nil {
			b.members.Delete(name)
		}
		return true
	})
}

// keeping leaves what a peering had that knows more than a new one: the certificates of a verifier.
func (p Peering) keeping(before *Peering) Peering {
	now, then := p.STIR.Verify, before.STIR.Verify
	if now != nil && then != nil && now.Verifier.Like(then.Verifier) {
		kept := *now
		kept.Verifier = then.Verifier
		p.STIR.Verify = &kept
	}
	return p
}

// noNewCalls is said while the gateway is drained, to be used again or to end.
const noNewCalls = "the gateway takes no new calls"

// Drain takes no new calls and no errands any more (503), or takes them again; running calls go on. emptied is called once there are
// none, unless the draining ended before.
func (b *Bridge) Drain(on bool, emptied func()) {
	b.draining.Store(on)
	if !on {
		return
	}
	silent := b.calls.silent()
	go func() {
		<-silent
		if b.draining.Load() {
			emptied()
		}
	}()
}
