package e2e

import (
	"strings"
	"sync"
	"testing"

	"tandem/e2e/lab"
)

// withSecret has relays for other application servers, to a peer that is opened by name.
const withSecret = `
https: {listen: "https://127.0.0.20:8443"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
turn:
  listen: ["udp://127.0.0.20:3478", "tcp://127.0.0.20:3478", "tls://127.0.0.20:5349", "dtls://127.0.0.20:5349"]
  secret: [a secret of today, a secret of before]
  peers: [127.0.0.40]
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: pbx, register: forward}
`

// coturn's own client relays over every transport by credentials that coturn's application servers make.
func TestUclient(t *testing.T) {
	newSite(t, withSecret)
	lab.StartEcho(t, "127.0.0.40")
	const now, before = "a secret of today", "a secret of before"
	rows := []struct{ name, secret, args string }{
		{"UDP", now, "-p 3478"},
		{"UDP with Send indications", now, "-p 3478 -s"},
		{"TCP", now, "-p 3478 -t"},
		{"TLS", now, "-p 5349 -t -S"},
		{"TLS on the port of HTTPS", now, "-p 8443 -t -S"},
		{"DTLS", now, "-p 5349 -S"},
		{"the secret of before", before, "-p 3478"},
	}
	results := make([]lab.Uclient, len(rows))
	var running sync.WaitGroup
	for i, row := range rows { // at the same time: the client waits for seconds before and after
		args := append(strings.Fields(row.args), "-n", "20", "-m", "3", "-z", "5", "-l", "171", "-u", "bob", "-W", row.secret, "127.0.0.20")
		running.Go(func() { results[i] = lab.RunUclient(t, "127.0.0.40", args...) })
	}
	running.Wait()
	for i, row := range rows {
		if u := results[i]; u.Sent != 60 || u.Received != 60 {
			t.Errorf("%s: %d sent, %d received\n%s", row.name, u.Sent, u.Received, u.Output)
		}
	}
	t.Run("a peer that is not open", func(t *testing.T) {
		u := lab.RunUclient(t, "127.0.0.10", "-p", "3478", "-n", "2", "-u", "bob", "-W", now, "127.0.0.20")
		if u.Received != 0 || !strings.Contains(u.Output, "403") {
			t.Errorf("%d received\n%s", u.Received, u.Output)
		}
	})
	t.Run("a forged credential", func(t *testing.T) {
		u := lab.RunUclient(t, "127.0.0.40", "-p", "3478", "-n", "2", "-u", "bob", "-W", "somebody's secret", "127.0.0.20")
		if u.Received != 0 || u.Sent != 0 {
			t.Errorf("%d sent, %d received\n%s", u.Sent, u.Received, u.Output)
		}
	})
}
