package gateway

import (
	"fmt"
	"net/netip"
	"reflect"

	"tandem/gateway/guard"
	"tandem/wss"
)

// The defaults of the guard: far above what a phone, or an office behind one address, needs.
var (
	addressRate = guard.Limit{Rate: 50, Burst: 1000}
	requestRate = guard.Limit{Rate: 30, Burst: 300}
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
		return guard.Config{}
	}
	cfg := guard.Config{
		Connections: g.Connections.or(addressRate), Handshakes: g.Handshakes.or(addressRate), Requests: g.Requests.or(requestRate),
	}
	for _, n := range g.Allow {
		cfg.Allow = append(cfg.Allow, n.Prefix)
	}
	return cfg
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

// browserGuard is the guard as the browsers' door asks it.
type browserGuard struct{ of *guard.Guard }

// Visit implements wss.Guard.
func (g browserGuard) Visit(from netip.Addr) wss.Visitor {
	if v := g.of.Visit(from); v != nil {
		return v
	}
	return nil
}
