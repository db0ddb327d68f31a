package guard

import (
	"net/netip"
	"strings"
)

// The transports in log lines and bans. A datagram's source may be anybody's.
const (
	UDP       = "udp"
	TCP       = "tcp"
	TLS       = "tls"
	WebSocket = "websocket"
	HTTP      = "http"
)

// Answers to strangers are bounded: of one address, and of all, for a forged source is somebody who asked for nothing.
var (
	answersEach = Limit{Rate: 1, Burst: 10}
	answersAll  = Limit{Rate: 50, Burst: 200}
)

// Stranger hears of a datagram, or where data is nil of a connection, that comes from no backend. It says whether to answer the datagram
// with 403. It meets sipside.Guard.
func (g *Guard) Stranger(from netip.AddrPort, transport string, data []byte) (answer bool) {
	cfg, addr, now := g.cfg.Load(), from.Addr(), g.now().UnixNano()
	transport = lower(transport)
	switch {
	case g.free(cfg, addr) || isResponse(data):
		return false
	case g.bans.holds(g.key(addr, 0), now):
		g.counts.refuse(BannedAddress)
		return false
	case len(data) == 0:
		g.counts.refuse(Strange)
		g.say("stranger", addr, transport, "")
		return false
	case len(cfg.scanners) > 0 && cfg.scans(header(data, "user-agent", 0)):
		g.scanned(cfg, addr, transport)
		return false
	}
	g.counts.refuse(Strange)
	if withCredentials(data) {
		g.wrong(addr, string(addressIn(header(data, "to", 't'))), transport)
	} else {
		g.say("stranger", addr, transport, "")
	}
	return cfg.Answer && answersEach.take(g.forged, g.key(addr, answering), now) && answersAll.fill(&g.answers, now)
}

// lower is strings.ToLower of a transport as Via writes it, without allocating.
func lower(transport string) string {
	for _, known := range [...]string{UDP, TCP, TLS} {
		if strings.EqualFold(transport, known) {
			return known
		}
	}
	return strings.ToLower(transport)
}

// answering tells the bucket of answers from those of failures.
const answering = 1 << 40
