package guard

import (
	"context"
	"log/slog"
	"net/netip"
)

// The log's lines are bounded: of one address, and of all datagrams, whose sources cost nothing to forge.
var (
	linesEach = Limit{Rate: 1, Burst: 30}
	linesUDP  = Limit{Rate: 10, Burst: 200}
)

// say writes the line that fail2ban reads (fail2ban/tandem.conf): its fields and their order are fixed. What a stranger chose
// comes last, and the handler quotes it.
func (g *Guard) say(event string, from netip.Addr, transport, identity string, more ...any) {
	if !g.log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	now := g.now().UnixNano()
	if event == "failure" || event == "scanner" || event == "stranger" {
		if !linesEach.take(g.lines, g.key(from, 0), now) || transport == UDP && !linesUDP.fill(&g.said, now) {
			g.counts.unsaid.Add(1)
			return
		}
	}
	args := append([]any{"event", event, "source", from.Unmap().WithZone("").String(), "transport", transport}, more...)
	if identity != "" {
		args = append(args, "identity", identity)
	}
	g.log.Warn("guard", args...)
}
