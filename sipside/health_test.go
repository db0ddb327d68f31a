package sipside

import (
	"errors"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// A 503 with Retry-After lets a backend rest for that time; without one it is a suspicion as silence is.
func TestRestsForRetryAfter(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		status int
		header string
		rests  time.Duration // 0: not at all
	}{
		{"503 for 20 s", 503, "20", 20 * time.Second},
		{"with a comment and a parameter", 503, "120 (maintenance);duration=60", 2 * time.Minute},
		{"for longer than anybody is left alone", 503, "86400", restLongest},
		{"503 alone", 503, "", 0},
		{"503 that says nothing usable", 503, "soon", 0},
		{"another refusal", 486, "20", 0},
		{"an answer", 200, "20", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			peer := newDatagramPeer(t, "127.0.0.1")
			cfg := trunk(t, "sip:"+peer.at.String())
			d := openDoor(t, cfg, testLimits())
			b, before := d.Backend("pbx"), time.Now()
			got, on := events()
			if _, err := b.Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
				t.Fatal(err)
			}
			text, at := peer.read()
			answer := answerTo(t, text, row.status, "Phrase")
			if row.header != "" {
				answer = withHeader(answer, "Retry-After: "+row.header)
			}
			peer.send(at, answer)
			receive(t, "the response", got)
			now := time.Now()
			switch {
			case row.rests == 0 && !b.Alive():
				t.Error("it rests")
			case row.rests > 0 && (b.Alive() || b.health(before.Add(row.rests-time.Millisecond)) != resting || b.health(now.Add(row.rests)) != fit):
				t.Errorf("it is %s; in %v %v", b.State(), row.rests, b.health(now.Add(row.rests)))
			}
		})
	}
}

// A shorter rest does not end a longer one, and probes that find it up do.
func TestRestEnds(t *testing.T) {
	t.Parallel()
	d := openDoor(t, trunk(t, "sip:127.0.0.1:9"), testLimits())
	b := d.Backend("pbx")
	b.rest(time.Minute, "test")
	b.rest(time.Second, "test")
	if b.health(time.Now().Add(30*time.Second)) != resting {
		t.Error("the longer rest is over")
	}
	for range 4 {
		b.outcome(errors.New("silence"))
	}
	for range 4 {
		b.outcome(nil)
	}
	if !b.Alive() || b.State() != "up" {
		t.Errorf("it is %s though it answers", b.State())
	}
	res := sip.NewResponse(503, "Service Unavailable")
	for range b.settings.Load().probe.DownAfter - 1 {
		b.hear(res)
	}
	b.hear(sip.NewResponse(200, "OK")) // it is not silent
	b.hear(res)
	if !b.Alive() {
		t.Error("503s that were not in a row count as such")
	}
}
