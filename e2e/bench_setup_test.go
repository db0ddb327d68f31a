package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// setupConfig is what a user would write for the same task as the reference deployment.
const setupConfig = `https: {listen: "https://127.0.0.20:8443"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:40000"}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"]}
routes:
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`

const setupCalls = 10

// BenchmarkSetup calls an Asterisk's echo ten times in a row from Chromium through Tandem and through Kamailio + rtpengine, in
// turns in one run; it prints medians, idle memory and lines of configuration of both.
func BenchmarkSetup(b *testing.B) {
	for range b.N {
		benchmarkSetup(b)
	}
}

// setup is one deployment under the benchmark.
type setup struct {
	name               string
	phone              *lab.Phone
	answered, firstRTP []float64 // ms
	memory             lab.Memory
	lines              int
}

func benchmarkSetup(b *testing.B) {
	lab.StartAsterisk(b, "127.0.0.10")
	reference := lab.StartReference(b)
	file := filepath.Join(b.TempDir(), "tandem.yaml")
	if err := os.WriteFile(file, []byte(setupConfig), 0o644); err != nil {
		b.Fatal(err)
	}
	tandem := lab.StartTandem(b, "run", "-config", file)
	tandem.Find(b, `serving`)

	both := []*setup{{name: "tandem", lines: lab.ConfigurationLines(setupConfig)}, {name: "reference", lines: reference.Lines}}
	var err error
	if both[0].memory, err = lab.MemoryOf(tandem.Pid()); err != nil {
		b.Fatal(err)
	}
	if both[1].memory, err = reference.Memory(); err != nil {
		b.Fatal(err)
	}
	chromium := lab.StartChromium(b)
	accounts := []lab.Account{
		{URL: "wss://127.0.0.20:8443/sip", URI: "sip:alice@127.0.0.10", Password: "alicepw", Tone: aliceTone},
		{URL: reference.URL, URI: "sip:bob@127.0.0.10", Password: "bobpw", Tone: aliceTone},
	}
	for i, s := range both {
		s.phone = chromium.Open(b).Phone(b, lab.JsSIP, accounts[i])
		if status := s.phone.Register(); status != 200 {
			b.Fatalf("%s: REGISTER: %d", s.name, status)
		}
		s.call() // the first call warms the browser's audio up
		s.answered, s.firstRTP = nil, nil
	}
	for range setupCalls {
		for _, s := range both {
			s.call()
		}
	}
	for _, s := range both {
		fmt.Printf("%-10s INVITE→200 %6.1f ms  INVITE→first RTP %6.1f ms  idle RSS %6.1f MB PSS %6.1f MB  %3d lines of configuration\n",
			s.name, median(s.answered), median(s.firstRTP), float64(s.memory.RSS)/1024, float64(s.memory.PSS)/1024, s.lines)
	}
	t, r := both[0], both[1]
	fmt.Printf("figure setup-answer-vs-reference %.2f 1.00\n", median(t.answered)/median(r.answered))
	fmt.Printf("figure setup-first-rtp-vs-reference %.2f 1.00\n", median(t.firstRTP)/median(r.firstRTP))
	fmt.Printf("figure idle-rss-vs-reference %.2f 1.00\n", float64(t.memory.RSS)/float64(r.memory.RSS))
	fmt.Printf("figure configuration-lines %d %d\n", t.lines, r.lines/10)
}

// call is one call with audio checked by frequency; echo proves both directions.
func (s *setup) call() {
	c := s.phone.Call("sip:600@127.0.0.10")
	first := c.FirstPacket()
	state := c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
	s.firstRTP = append(s.firstRTP, first)
	s.answered = append(s.answered, state.AnsweredAt)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
