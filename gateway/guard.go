package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"tandem/gateway/guard"
	"tandem/wss"
)

// The defaults of the guard: far above what a phone, or an office behind one address, needs.
var (
	addressRate  = guard.Limit{Rate: 50, Burst: 1000}
	requestRate  = guard.Limit{Rate: 30, Burst: 300}
	unprovenRate = guard.Limit{Rate: 300, Burst: 3000}
	identityRate = guard.Limit{Rate: 20, Burst: 200}
)

const (
	defaultGuesses   = 10
	defaultGuessed   = 30
	defaultWithin    = 10 * time.Minute
	defaultBan       = 5 * time.Minute
	defaultLongBan   = 24 * time.Hour
	strangersRefused = "refuse"
)

// UnmarshalText takes "on" as all defaults, and "off".
func (g *Guard) UnmarshalText(text []byte) error {
	var is Toggle
	if err := is.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, nor {requests, allow, …}", err)
	}
	*g = Guard{off: is.Off}
	return nil
}

// UnmarshalText takes "off".
func (l *GuardLimit) UnmarshalText(text []byte) error {
	var is Toggle
	if err := is.UnmarshalText(text); err != nil || !is.Off {
		return fmt.Errorf("%q is not off, nor {rate, burst}", text)
	}
	*l = GuardLimit{off: true}
	return nil
}

// guard is the guard's part of the configuration, with the defaults.
func (g Guard) guard() guard.Config {
	if g.off {
		return guard.Config{Off: true}
	}
	cfg := guard.Config{
		Connections: g.Connections.or(addressRate), Handshakes: g.Handshakes.or(addressRate), Requests: g.Requests.or(requestRate),
		Unproven: g.Unproven.or(unprovenRate), Identity: g.Identity.or(identityRate),
		Failures: guard.Failures{
			Identity: orDefault(g.Failures.Identity, defaultGuesses), Address: orDefault(g.Failures.Address, defaultGuessed),
			Within: cmp.Or(g.Failures.Within, defaultWithin),
		},
		Bans:     guard.Bans{First: cmp.Or(g.Bans.First, defaultBan), Longest: cmp.Or(g.Bans.Longest, defaultLongBan), UDP: g.Bans.UDP},
		Scanners: guard.ScannerAgents(),
		Answer:   g.Strangers == strangersRefused,
	}
	if g.Scanners != nil {
		cfg.Scanners = *g.Scanners
	}
	for _, n := range g.Allow {
		cfg.Allow = append(cfg.Allow, n.Prefix)
	}
	return cfg
}

func orDefault(n *int, standard int) int {
	if n == nil {
		return standard
	}
	return *n
}

// or fills what was not written.
func (l GuardLimit) or(standard guard.Limit) guard.Limit {
	if l.off {
		return guard.Limit{}
	}
	if l.Rate != 0 {
		standard.Rate = float64(l.Rate)
	}
	if l.Burst != 0 {
		standard.Burst = l.Burst
	}
	return standard
}

// guard checks the limits.
func (v *validator) guard(g Guard) {
	v.oneOf("guard.strangers", g.Strangers, "silent", strangersRefused)
	v.within("guard.failures.within", g.Failures.Within, time.Second, 24*time.Hour)
	v.within("guard.bans.first", g.Bans.First, time.Second, 24*time.Hour)
	v.within("guard.bans.longest", g.Bans.Longest, time.Second, 30*24*time.Hour)
	if first, longest := cmp.Or(g.Bans.First, defaultBan), cmp.Or(g.Bans.Longest, defaultLongBan); longest < first {
		v.fail("guard.bans.longest", "%s is less than first, %s", longest, first)
	}
	for _, n := range []struct {
		key   string
		value *int
	}{{"identity", g.Failures.Identity}, {"address", g.Failures.Address}} {
		if n.value != nil && (*n.value < 0 || *n.value > 1e6) {
			v.fail("guard.failures."+n.key, "%d is not between 0 (any number) and 1000000", *n.value)
		}
	}
	if g.Scanners != nil {
		for i, part := range *g.Scanners {
			if len(strings.TrimSpace(part)) < 3 {
				v.fail(indexed("guard.scanners", i), "%q is in too many User-Agents", part)
			}
		}
	}
	of := reflect.ValueOf(g)
	for i := range of.NumField() {
		key := of.Type().Field(i).Tag.Get("yaml")
		if of.Field(i).Type() != reflect.TypeFor[GuardLimit]() {
			continue
		}
		if l := of.Field(i).Interface().(GuardLimit); l.Burst < 0 || l.Burst > 1e6 {
			v.fail("guard."+key+".burst", "%d is not between 1 and 1000000", l.Burst)
		}
	}
}

// spared says whom the guard never limits nor bans: pools, trunks, and proxies, behind whom everybody is.
func (g *Gateway) spared(a netip.Addr) bool { return g.front.isProxy(a) || g.sip.Knows(a) }

// browserGuard is the guard as the browsers' door asks it.
type browserGuard struct{ of *guard.Guard }

// Visit implements wss.Guard.
func (g browserGuard) Visit(from netip.Addr) wss.Visitor {
	if v := g.of.Visit(from); v != nil {
		return v
	}
	return nil
}

// unscanned answers no scanner: its connection is closed.
func unscanned(next http.Handler, by *guard.Guard) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && !by.Page(at.Addr(), r.UserAgent()) {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}
