package bridge

import (
	"maps"

	"tandem/bridge/route"
)

// peers is what the configuration says of pools, trunks and domains at one time. Immutable.
type peers struct {
	peerings map[string]Peering // by pool or trunk, and "browsers"
	quotas   map[string]*quota  // by pool or trunk
	domains  []string
}

// Reload takes other peerings and domains (Config.Peerings, Config.Domains) in the place of the present ones, at once. What is said
// of a pool or trunk that is gone stays, for calls with it may run.
func (b *Bridge) Reload(peerings map[string]Peering, domains []string) {
	now := &peers{peerings: map[string]Peering{}, quotas: map[string]*quota{}, domains: domains}
	if before := b.peers.Load(); before != nil {
		maps.Copy(now.peerings, before.peerings)
		maps.Copy(now.quotas, before.quotas)
	}
	maps.Copy(now.peerings, peerings)
	for name, p := range peerings {
		switch q := now.quotas[name]; {
		case name == route.Browsers:
		case q == nil:
			now.quotas[name] = newQuota(p.Quota)
		default:
			q.set(p.Quota)
		}
	}
	b.peers.Store(now)
}

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
