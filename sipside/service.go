package sipside

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/miekg/dns"
)

// Service gives the servers of a name of SRV records (RFC 2782), such as _sip._udp.pbx.example.com, as members of a pool, and how long
// that is good for: the transport is the name's, priority and weight are the records'.
func (e *Endpoints) Service(ctx context.Context, name string) ([]Member, time.Duration, error) {
	records, ttl, err := e.names.servers.query(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, 0, err
	}
	return membersOf(name, records), ttl, nil
}

// membersOf puts SRV records in the terms of a pool, in an order that is always the same. Pure.
func membersOf(name string, records []dns.RR) []Member {
	heaviest := 0
	for _, rr := range records {
		heaviest = max(heaviest, int(rr.(*dns.SRV).Weight))
	}
	var members []Member
	for _, rr := range records {
		srv := rr.(*dns.SRV)
		if hostOf(srv.Target) == "" { // RFC 2782: decidedly not available
			continue
		}
		weight := int(srv.Weight)
		if heaviest > maxWeight {
			weight = (weight*maxWeight + heaviest - 1) / heaviest
		}
		uri := sip.Uri{Scheme: "sip", Host: hostOf(srv.Target), Port: int(srv.Port)}
		switch service, _, _ := strings.Cut(strings.ToLower(name), "."); {
		case service == "_sips":
			uri.UriParams = sip.HeaderParams{{K: "transport", V: "tls"}}
		case strings.HasPrefix(strings.ToLower(name), "_sip._tcp."):
			uri.UriParams = sip.HeaderParams{{K: "transport", V: "tcp"}}
		}
		members = append(members, Member{URI: uri, Weight: max(weight, 1), Priority: int(srv.Priority)})
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.URI.Host, b.URI.Host), cmp.Compare(a.URI.Port, b.URI.Port))
	})
	return slices.CompactFunc(members, func(a, b Member) bool { return a.URI.String() == b.URI.String() })
}
