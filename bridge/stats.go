package bridge

import (
	"maps"
	"sync"

	"tandem/bridge/admission"
	"tandem/bridge/recording"
)

// Stats are the bridge's figures.
type Stats struct {
	Calls         int // running, those included whose BYE is not answered yet (32 s at most)
	Registrations int
	Subscriptions int
	CallsStarted  uint64
	CallsDirect   uint64            // of these, those that began with their media from peer to peer
	CallsEnded    map[string]uint64 // by reason
	Registers     map[string]uint64 // by outcome
	Failovers     uint64
	Panics        uint64                       // calls that ended by a fault of ours
	Overloads     uint64                       // new calls refused because no processor was left
	Recordings    map[string]uint64            // that ended, by how; those too that could not begin
	Peers         map[string]PeerStats         // by pool or trunk
	Members       map[string]map[string]uint64 // calls refused by the caps of a member, by its name and by the cap
	Admission     admission.Stats
	Signed        map[string]uint64 // INVITEs to trunks with a PASSporT of ours, by attestation, or "failed"
	Verified      map[string]uint64 // INVITEs of trunks, by the attestation that holds, "unattested", or why there is none
	Unrecorded    uint64            // packets that recordings lack, for the disk was too slow
}

// counters are the figures that nobody else keeps.
type counters struct {
	mu         sync.Mutex
	started    uint64            // guarded by mu, as is what follows
	direct     uint64            //
	failovers  uint64            //
	panics     uint64            //
	overloads  uint64            //
	recordings map[string]uint64 // by how they ended
	unrecorded uint64            //
	stirSigned map[string]uint64 // by attestation
	stirJudged map[string]uint64 // by outcome
	ended      map[string]uint64 // by Termination.Reason
	registers  map[string]uint64 // by outcome
}

func newCounters() *counters {
	return &counters{ended: map[string]uint64{}, registers: map[string]uint64{}, recordings: map[string]uint64{},
		stirSigned: map[string]uint64{}, stirJudged: map[string]uint64{}}
}

func (c *counters) callStarted()            { c.add(func() { c.started++ }) }
func (c *counters) directStarted()          { c.add(func() { c.direct++ }) }
func (c *counters) failedOver()             { c.add(func() { c.failovers++ }) }
func (c *counters) panicked()               { c.add(func() { c.panics++ }) }
func (c *counters) overloaded()             { c.add(func() { c.overloads++ }) }
func (c *counters) callEnded(reason string) { c.add(func() { c.ended[reason]++ }) }
func (c *counters) register(outcome string) { c.add(func() { c.registers[outcome]++ }) }

func (c *counters) signed(attest string)    { c.add(func() { c.stirSigned[attest]++ }) }
func (c *counters) verified(outcome string) { c.add(func() { c.stirJudged[outcome]++ }) }

func (c *counters) recorded(r recording.Result) {
	c.add(func() {
		c.recordings[r.End]++
		c.unrecorded += r.Lost
	})
}

func (c *counters) add(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// Stats may be called at any time.
func (b *Bridge) Stats() Stats {
	c := b.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{
		Calls:         b.calls.len(),
		Subscriptions: b.subscriptions.len(),
		CallsStarted:  c.started,
		CallsDirect:   c.direct,
		CallsEnded:    maps.Clone(c.ended),
		Registers:     maps.Clone(c.registers),
		Failovers:     c.failovers,
		Panics:        c.panics,
		Overloads:     c.overloads,
		Recordings:    maps.Clone(c.recordings),
		Signed:        maps.Clone(c.stirSigned),
		Verified:      maps.Clone(c.stirJudged),
		Unrecorded:    c.unrecorded,
		Peers:         map[string]PeerStats{},
		Members:       map[string]map[string]uint64{},
		Admission:     b.control.Stats(),
	}
	for name, q := range b.peers.Load().quotas {
		var p PeerStats
		p.Calls, p.Capped = q.Stats()
		s.Peers[name] = p
	}
	b.members.Range(func(name, q any) bool {
		_, s.Members[name.(string)] = q.(*admission.Quota).Stats()
		return true
	})
	if counted, ok := b.with.Store.(interface{ Len() int }); ok {
		s.Registrations = counted.Len()
	}
	return s
}
