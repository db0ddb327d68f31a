package gateway

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"tandem/wss"
)

// HTTPS is the browsers' listener: WebSockets at /sip, the phone at /, ICE servers at /ice.json.
type HTTPS struct {
	Listen          []WebListen   `yaml:"listen"`
	Certificate     string        `yaml:"certificate"` // PEM file, the chain behind the leaf; reloaded when it changes
	Key             string        `yaml:"key"`         // PEM file
	Certificates    []Certificate `yaml:"certificates"`
	Origins         []string      `yaml:"origins"` // that may open a WebSocket; empty: any
	OriginsRequired bool          `yaml:"origins-required"`
	FrameAncestors  []string      `yaml:"frame-ancestors"` // origins of pages that may show the phone in a frame; empty: none
	Proxies         []Network     `yaml:"proxies"`         // whose word about the client's address is taken
	ClientAddress   []string      `yaml:"client-address"`  // how they say it: "x-forwarded-for" (default), "forwarded", "proxy-protocol"
	Clients         *HTTPSClients `yaml:"clients"`         // certificates of clients; nil: none are asked for
	Limits          HTTPSLimits   `yaml:"limits"`
}

// Certificate is one of several; the client's SNI picks the first that names it.
type Certificate struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// HTTPSLimits bound what the browsers' side may use. An address is, in IPv6, a /64; behind proxies it is the client's.
type HTTPSLimits struct {
	Connections          int            `yaml:"connections"`            // WebSockets at once; default 50000
	PerAddress           int            `yaml:"per-address"`            // of these, from one address; default 2000
	PerUser              int            `yaml:"per-user"`               // of these, of one user; the oldest goes for a new one; default 20
	Unregistered         *time.Duration `yaml:"unregistered"`           // for which one may be used for nothing; default 1 min; 0s: for ever
	Message              int            `yaml:"message"`                // bytes of one SIP message; default and most 65535
	Messages             int            `yaml:"messages"`               // a second, over one WebSocket; default 100
	Handshakes           int            `yaml:"handshakes"`             // connections that are no WebSocket, or not yet; default 8192
	HandshakesPerAddress int            `yaml:"handshakes-per-address"` // default 1024
}

func (l HTTPSLimits) withDefaults() HTTPSLimits {
	l.Connections = cmp.Or(l.Connections, 50000)
	l.PerAddress = cmp.Or(l.PerAddress, 2000)
	l.PerUser = cmp.Or(l.PerUser, 20)
	if l.Unregistered == nil {
		minute := time.Minute
		l.Unregistered = &minute
	}
	l.Message = cmp.Or(l.Message, wss.MaxMessage)
	l.Messages = cmp.Or(l.Messages, 100)
	l.Handshakes = cmp.Or(l.Handshakes, 8192)
	l.HandshakesPerAddress = cmp.Or(l.HandshakesPerAddress, 1024)
	return l
}

// clientAddress is how proxies say who their client is; empty without proxies.
func (h HTTPS) clientAddress() []string {
	switch {
	case len(h.Proxies) == 0:
		return nil
	case len(h.ClientAddress) == 0:
		return []string{byForwardedFor}
	}
	return h.ClientAddress
}

func (v *validator) https(h HTTPS) {
	if len(h.Listen) == 0 {
		v.fail("https.listen", "is missing: where browsers come in, such as 0.0.0.0:443")
	}
	listen := make([]string, len(h.Listen))
	for i, l := range h.Listen {
		listen[i] = l.Addr.String()
	}
	v.once("https.listen", listen)
	v.pair("https", h.Certificate, h.Key)
	for i, c := range h.Certificates {
		path := indexed("https.certificates", i)
		if c.Certificate == "" && c.Key == "" {
			v.fail(path, "has neither certificate nor key")
		}
		v.pair(path, c.Certificate, c.Key)
	}
	for i, origin := range h.Origins {
		if err := wss.CheckOrigin(origin); err != nil {
			v.fail(indexed("https.origins", i), "%s", err)
		}
	}
	for i, origin := range h.FrameAncestors {
		u, err := url.Parse(origin)
		if wss.CheckOrigin(origin) != nil || err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(origin, " ;,'\"") {
			v.fail(indexed("https.frame-ancestors", i), "%q is not an origin, such as https://crm.example.com", origin)
		}
	}
	v.proxies(h)
	v.clients(h)
	v.httpsLimits(h.Limits)
}

func (v *validator) proxies(h HTTPS) {
	if len(h.ClientAddress) > 0 && len(h.Proxies) == 0 {
		v.fail("https.client-address", "stands without proxies: nobody's word would be taken")
	}
	headers := 0
	for i, by := range h.ClientAddress {
		path := indexed("https.client-address", i)
		v.oneOf(path, by, byForwardedFor, byForwarded, byProxyProtocol)
		if slices.Contains(h.ClientAddress[:i], by) {
			v.fail(path, "%s stands twice", by)
		}
		if by != byProxyProtocol {
			headers++
		}
	}
	if headers > 1 {
		v.fail("https.client-address", "has both headers; a proxy that sets the one passes on what clients write into the other")
	}
}

func (v *validator) httpsLimits(l HTTPSLimits) {
	for _, limit := range []struct {
		key         string
		value       int
		least, most int
	}{
		{"connections", l.Connections, 1, 1 << 20}, {"per-address", l.PerAddress, 1, 1 << 20}, {"per-user", l.PerUser, 1, 1 << 20},
		{"message", l.Message, 1024, wss.MaxMessage}, {"messages", l.Messages, 1, 1 << 20},
		{"handshakes", l.Handshakes, 1, 1 << 20}, {"handshakes-per-address", l.HandshakesPerAddress, 1, 1 << 20},
	} {
		path := "https.limits." + limit.key
		_, written := v.source.at[path]
		if (limit.value != 0 || written) && (limit.value < limit.least || limit.value > limit.most) {
			v.fail(path, "%d is not between %d and %d", limit.value, limit.least, limit.most)
		}
	}
	if d := l.Unregistered; d != nil && *d != 0 && (*d < time.Second || *d > 24*time.Hour) {
		v.fail("https.limits.unregistered", "%s is not 0s, nor between 1s and 24h", *d)
	}
}
