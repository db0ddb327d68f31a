package guard

import (
	"net/netip"
	"sync"
)

// Crowd bounds how many are in at a time: in all, and from one address (IPv6: one /64). Safe for concurrent use.
type Crowd struct {
	// static after construction
	most, each int
	spared     func(netip.Addr) bool

	mu sync.Mutex
	// guarded by mu
	count  int
	bySite map[netip.Addr]int
}

// Full is why somebody does not get in.
type Full string

// The bounds of a Crowd.
const (
	Room           Full = ""        // it is not full
	FullInAll      Full = "full"    // as many as there may be
	FullForAddress Full = "address" // as many as there may be from that address
)

// NewCrowd makes an empty one; 0 bounds nothing. Addresses that are spared have no bound of their own: many are behind them.
func NewCrowd(most, each int, spared func(netip.Addr) bool) *Crowd {
	return &Crowd{most: most, each: each, spared: spared, bySite: map[netip.Addr]int{}}
}

// Enter counts one more in. Who got in (Room) has to Leave with the same address. The zero Addr stands for an address that is not known
// yet.
func (c *Crowd) Enter(from netip.Addr) Full {
	site := c.site(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.count >= c.most {
		return FullInAll
	}
	if !c.join(site) {
		return FullForAddress
	}
	c.count++
	return Room
}

// Name tells the address of one who entered with the zero Addr. Without Room for that address the one stays counted with the zero Addr.
func (c *Crowd) Name(from netip.Addr) Full {
	site := c.site(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.join(site) {
		return FullForAddress
	}
	return Room
}

// join counts one more of a site. Called with mu held.
func (c *Crowd) join(site netip.Addr) bool {
	if !site.IsValid() {
		return true
	}
	if c.bySite[site] >= c.each {
		return false
	}
	c.bySite[site]++
	return true
}

// Leave counts one less.
func (c *Crowd) Leave(from netip.Addr) {
	site := c.site(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	if !site.IsValid() {
		return
	}
	if c.bySite[site]--; c.bySite[site] <= 0 {
		delete(c.bySite, site)
	}
}

// Len is how many are in.
func (c *Crowd) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// site is whom an address is counted for; the zero Addr where it is nobody in particular.
func (c *Crowd) site(from netip.Addr) netip.Addr {
	if c.each == 0 || !from.IsValid() || c.spared(from) {
		return netip.Addr{}
	}
	return network(from).Addr()
}
