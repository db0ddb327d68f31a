package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

const attacked = `
https: {listen: "https://127.0.0.20:8443"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:40000", rtp: {ports: 10000-12999}}
pools: {phones: {members: ["sip:127.0.0.11:5060"], probe: {every: 0s}}}
routes:
  - {from: browsers, domain: users.example, to: phones, register: local}
  - {from: browsers, domain: phones.example, to: phones}
identity: {users: USERS}
admin: {listen: "127.0.0.20:9090"}
log: {level: error}
shutdown-timeout: 1s
`

const (
	attackedCalls  = 50
	attackedSetups = 20
	attackRounds   = 3
	attackTries    = 60 // of each attack at least
	spareHeap      = 16 << 20
)

// fortress is a gateway in a process of its own, with fifty calls between browsers and phones.
type fortress struct {
	t        *testing.T
	ctx      context.Context
	g        *load.Generator
	phones   *load.Phones
	browsers []*load.Browser
	sessions []*load.Session
	gateway  *lab.Tandem
}

// While nine kinds of attack run nothing happens to fifty calls, new ones are set up, and afterwards the gateway holds what it held.
func TestAttacks(t *testing.T) {
	f := openFortress(t)
	a := openGang(t, f.phones.Answers())
	f.setups(new(phase)) // for the first time everything costs more
	before, heap, err := f.held()
	must(t, err)

	var quiet, busy phase
	for range attackRounds { // in turns: what else the machine does falls on both
		f.setups(&quiet)
		a.tell(attackOn)
		f.setups(&busy)
		a.tell(attackOff)
	}
	a.tell(attackOn)
	done := a.made(attackTries)
	a.end()

	if done.Answered != 0 {
		t.Errorf("%d strangers were answered by UDP", done.Answered)
	}
	if done.Admitted != 0 {
		t.Errorf("%d passwords were guessed", done.Admitted)
	}
	f.unharmed()
	lab.Eventually(t, time.Minute, "the gateway holds what it held", func() error {
		now, heapNow, err := f.held()
		for name, was := range before {
			if strings.HasPrefix(name, "tandem_transactions") {
				was += 2 * 2 * attackRounds * attackedSetups // of the calls that were made meanwhile
			}
			if name == "go_goroutines" {
				was += soakSpare
			}
			if now[name] > was {
				err = errors.Join(err, fmt.Errorf("%s: %d, before %d", name, now[name], was))
			}
		}
		if heapNow > heap+spareHeap {
			err = errors.Join(err, fmt.Errorf("heap %d kB, before %d kB", heapNow>>10, heap>>10))
		}
		return err
	})
	_, heapAfter, err := f.held()
	must(t, err)
	// the ratio: of medians of the same run, the attackers in a process that yields to whoever else wants the processors; the pace: which
	// part of the attacks they got to make beside that; the CPU: processors that the attacks cost the gateway
	fmt.Printf("figure attack-setup-ratio %.2f 2\nfigure attack-loss %.4f 0.01\nfigure attack-heap-ratio %.2f 1.5\nfigure attack-cpu %.2f 1\nfigure attack-pace %.2f 0.5\n",
		float64(busy.median())/float64(quiet.median()), busy.loss, float64(heapAfter)/float64(heap), busy.cpu()-quiet.cpu(), done.pace())
}

func openFortress(t *testing.T) *fortress {
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(stop)
	f := &fortress{t: t, ctx: ctx}
	var err error
	f.g, err = load.New(0, nil)
	must(t, err)
	t.Cleanup(f.g.Close)
	f.phones, err = f.g.ListenPhones(netip.MustParseAddrPort("127.0.0.11:5060"))
	must(t, err)
	t.Cleanup(f.phones.Close)
	folder := t.TempDir()
	users, file := filepath.Join(folder, "users"), filepath.Join(folder, "tandem.yaml")
	must(t, os.WriteFile(users, []byte("tom:tompw\n"), 0o600))
	must(t, os.WriteFile(file, []byte(strings.ReplaceAll(attacked, "USERS", users)), 0o600))
	f.gateway = lab.StartTandem(t, "run", "-config", file)
	lab.Eventually(t, 20*time.Second, "the gateway listens", func() error { return lab.DialTCP(attackedHTTPS) })
	for range 5 {
		b, err := f.g.DialBrowser(ctx, "wss://"+attackedHTTPS+"/sip", "phones.example")
		must(t, err)
		t.Cleanup(b.Close)
		f.browsers = append(f.browsers, b)
	}
	for i := range attackedCalls {
		c, err := f.browsers[i%len(f.browsers)].Call(ctx, load.Both(load.PCMU), load.GCM)
		must(t, err)
		f.sessions = append(f.sessions, c.Session)
	}
	return f
}

// phase is what was measured while the attackers were on, or off.
type phase struct {
	took     []time.Duration // from each call's begin until it carried packets
	loss     float64         // of the others' talk, the worst
	used     time.Duration   // of the processors, by the gateway
	measured time.Duration
}

func (p *phase) median() time.Duration {
	slices.Sort(p.took)
	return p.took[len(p.took)/2]
}

// cpu is how many processors the gateway used.
func (p *phase) cpu() float64 { return float64(p.used) / float64(p.measured) }

// setups makes calls one after the other while the others talk, and adds what was measured.
func (f *fortress) setups(into *phase) {
	f.t.Helper()
	talk := make(chan *load.Result, 1)
	begun := make(chan struct{})
	go func() {
		result, err := f.g.Run(f.ctx, load.Load{Sessions: f.sessions, Duration: time.Second, Begun: func() { close(begun) }})
		if err != nil {
			f.t.Errorf("talk: %v", err)
			result = &load.Result{}
		}
		talk <- result
	}()
	select {
	case <-begun:
	case <-f.ctx.Done():
		f.t.Fatal(f.ctx.Err())
	}
	began := time.Now()
	before, err := lab.CPUOfAlone(f.gateway.Pid())
	must(f.t, err)
	for i := range attackedSetups {
		began := time.Now()
		c, err := f.browsers[i%len(f.browsers)].Call(f.ctx, load.Both(load.PCMU), load.GCM)
		must(f.t, err)
		into.took = append(into.took, time.Since(began))
		must(f.t, c.Bye(f.ctx))
	}
	into.loss = max(into.loss, (<-talk).Loss())
	after, err := lab.CPUOfAlone(f.gateway.Pid())
	must(f.t, err)
	into.used += after.Since(before).Total
	into.measured += time.Since(began)
}

// unharmed says that all calls are up, that both sides hear each other, and nobody else.
func (f *fortress) unharmed() {
	f.t.Helper()
	lab.Eventually(f.t, 30*time.Second, "the phones have the calls that were, and no other", func() error {
		if n := f.phones.Open(); n != attackedCalls {
			return fmt.Errorf("%d calls, want %d", n, attackedCalls)
		}
		return nil
	})
	lab.Eventually(f.t, 30*time.Second, "all calls are heard", func() error {
		result, err := f.g.Run(f.ctx, load.Load{Sessions: f.sessions, Warm: 200 * time.Millisecond, Duration: time.Second})
		if err != nil {
			return err
		}
		if most := 0.5 / attackedCalls; result.Sent == 0 || result.Loss() > most { // less than one call
			return fmt.Errorf("of %d packets %d arrived", result.Sent, result.Received)
		}
		return nil
	})
	if faults := f.g.Faults(); faults != (load.Faults{}) {
		f.t.Errorf("wrong packets: %+v, the first: %v", faults, f.g.FirstFault())
	}
}

// held is what the gateway holds: its figures, and the bytes of its heap after a collection.
func (f *fortress) held() (figures map[string]int, heap int64, err error) {
	res, err := http.Get("http://127.0.0.20:9090/debug/pprof/heap?gc=1")
	if err != nil {
		return nil, 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if err != nil {
		return nil, 0, err
	}
	if figures, err = soakFigures(); err != nil {
		return nil, 0, err
	}
	res, err = http.Get("http://127.0.0.20:9090/metrics")
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	match := regexp.MustCompile(`(?m)^go_memstats_heap_alloc_bytes (\S+)$`).FindSubmatch(text)
	if err != nil || match == nil {
		return nil, 0, errors.Join(err, errors.New("no heap among the metrics"))
	}
	bytes, err := strconv.ParseFloat(string(match[1]), 64)
	return figures, int64(bytes), err
}
