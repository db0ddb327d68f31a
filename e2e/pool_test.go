package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// threePBXes is a pool for the calls of a sipp, by UDP and TCP.
const threePBXes = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-31999}}
pools:
  pbx:
    order: round-robin
    members: ["sip:127.0.0.10:5060", "sip:127.0.0.11:5060", "sip:127.0.0.12:5060;transport=tcp"]
    probe: {every: 1s, timeout: 1s, down-after: 3, up-after: 1}
    try-timeout: 4s # longer than a busy machine stands still
trunks: {load: {uri: "sip:127.0.0.30:5060"}}
routes: [{from: load, to: pbx}]
admin: {listen: "127.0.0.20:0"}
`

const loadRate = 20 // calls a second

// Three Asterisks under load. One fails, in each of the ways in which machines do: no call is lost, no new one is sent there once that is
// known, and it is used again when it is back.
func TestThreeAsterisksOneFails(t *testing.T) {
	pbxes := threeAsterisks(t)
	s := newSite(t, threePBXes)
	s.drainAnswered(t)
	load := lab.StartLoad(t, "brief-caller", "127.0.0.30", "127.0.0.20:5060", loadRate, "-s", "600")
	for i, row := range []struct {
		name string
		fail func(t *testing.T, pbx *lab.Asterisk) (mend func())
	}{
		{"killed", func(t *testing.T, pbx *lab.Asterisk) func() { pbx.Kill(); return func() { pbx.Start(t) } }},
		{"stopped", func(t *testing.T, pbx *lab.Asterisk) func() { return pbx.Freeze(t) }},
		{"cut off", func(t *testing.T, pbx *lab.Asterisk) func() { return lab.Cut(t, pbx.Addr) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			name, api := "pbx/"+pbxes[i].Addr+":5060", s.AdminURL()
			s.used(t, name, time.Now())
			failovers := metric(t, api, "tandem_failovers_total")

			failed := time.Now()
			mend := row.fail(t, pbxes[i])
			stateBecomes(t, api, name, "down")
			down := time.Now()
			load.More(t, loadRate)
			if metric(t, api, "tandem_failovers_total") == failovers {
				t.Error("no call that went there was tried elsewhere")
			}

			mending := time.Now()
			mend()
			stateBecomes(t, api, name, "up")
			up := time.Now()
			s.used(t, name, up)
			for _, r := range s.recordsSince(t, failed) {
				if r.Start.After(down) && r.Start.Before(mending) && slices.Contains(r.Tried, name) {
					t.Errorf("sent there though it is known to be down: %+v", r)
				}
				if r.Status != 200 {
					t.Errorf("lost: %+v", r)
				}
			}
			t.Logf("known after %v, up %v after it was back", down.Sub(failed), up.Sub(mending))
		})
	}
	if counts := load.Stop(t); counts.Failed != 0 || counts.Successful != counts.Created {
		t.Errorf("calls were lost: %+v", counts)
	}
	s.quiet(t)
	lab.Eventually(t, 30*time.Second, "no media is left", func() error {
		if n := metric(t, s.AdminURL(), "tandem_media_legs"); n != 0 {
			return fmt.Errorf("%v legs", n)
		}
		return nil
	})
	for _, pbx := range pbxes {
		pbx.Idle(t)
	}
}

// threeAsterisks are the members of threePBXes.
func threeAsterisks(t *testing.T) (pbxes []*lab.Asterisk) {
	t.Helper()
	for _, addr := range []string{"127.0.0.10", "127.0.0.11", "127.0.0.12"} {
		pbxes = append(pbxes, lab.StartAsterisk(t, addr, lab.AsteriskConfig{Peer: "127.0.0.20:5060"}))
	}
	return pbxes
}

// drainAnswered forgets the calls that are answered: nobody waits for them.
func (s *site) drainAnswered(t *testing.T) {
	go func() {
		for {
			select {
			case <-s.answered:
			case <-t.Context().Done():
				return
			}
		}
	}()
}

// used waits for a call that began after a time and was answered by a backend.
func (s *site) used(t *testing.T, backend string, after time.Time) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, backend+" gets a new call", func() error {
		for _, r := range s.recordsSince(t, after) {
			if r.Backend == backend && r.Status == 200 {
				return nil
			}
		}
		return fmt.Errorf("%+v", stateOf(s.AdminURL(), backend))
	})
}

// recordsSince are the records of the calls that began after a time.
func (s *site) recordsSince(t *testing.T, after time.Time) (all []record) {
	t.Helper()
	text, err := os.ReadFile(s.records)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.Start.After(after) { // the last may be half written
			all = append(all, r)
		}
	}
	return all
}

// backendState is what /api/status tells of a backend.
type backendState struct {
	Name, State   string
	Calls, Weight int
}

// stateOf asks for it; the zero value where there is no such backend.
func stateOf(api, backend string) (found backendState) {
	var status struct{ Backends []backendState }
	if res, err := http.Get(api + "/api/status"); err == nil {
		defer res.Body.Close()
		_ = json.NewDecoder(res.Body).Decode(&status) // the zero value then
	}
	for _, b := range status.Backends {
		if b.Name == backend {
			found = b
		}
	}
	return found
}

func stateBecomes(t *testing.T, api, backend, state string) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, backend+" is "+state, func() error {
		if is := stateOf(api, backend); is.State != state {
			return fmt.Errorf("%+v", is)
		}
		return nil
	})
}

// metric is the value of a metric without labels.
func metric(t *testing.T, api, name string) float64 {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/metrics", nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(res.Body, 1<<20))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			must(t, err)
			return n
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
