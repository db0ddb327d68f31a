package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
	"tandem/wss/wsstest"
)

const (
	setupRate    = 50  // calls a second while latency and whole calls are measured
	overloadRate = 400 // calls a second that nothing here can serve
	patienceFor  = 10 * time.Second
)

// offering is what became of calls that were offered at a rate.
type offering struct {
	offered, done int
	refused       map[int]int // by status
	failed        []error
	setups        []float64 // ms, of those that were done: INVITE to the end
}

// offer places calls at a rate, whether or not earlier ones are through, and waits for all.
func offer(ctx context.Context, rate int, span time.Duration, once func(context.Context) error) *offering {
	o := &offering{refused: map[int]int{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for range int(span.Seconds() * float64(rate)) {
		<-ticker.C
		o.offered++
		all.Go(func() {
			ctx, stop := context.WithTimeout(ctx, patienceFor)
			defer stop()
			began := time.Now()
			err := once(ctx)
			took := milliseconds(time.Since(began))
			mu.Lock()
			defer mu.Unlock()
			var status *wsstest.StatusError
			switch {
			case err == nil:
				o.done++
				o.setups = append(o.setups, took)
			case errors.As(err, &status):
				o.refused[status.Response.StatusCode]++
			default:
				o.failed = append(o.failed, err)
			}
		})
	}
	all.Wait()
	return o
}

// latencyCalls is the number of calls at which latency is measured beside set-ups: 500, or the most there are below.
func (m *mediaBench) latencyCalls() int {
	best := m.calls[0]
	for _, n := range m.calls {
		if n <= 500 {
			best = n
		}
	}
	return best
}

// whileSettingUp measures latency while calls are set up and ended on the same cores.
func (m *mediaBench) whileSettingUp(relays []*relay, calls int) {
	for _, r := range relays {
		if r.once == nil {
			continue
		}
		span := 2 * m.seconds
		set := make(chan *offering, 1)
		go func() { set <- offer(m.ctx, setupRate, span+300*time.Millisecond, r.once) }()
		s, err := r.measure(m.ctx, m.g, load.Load{Sessions: r.sessions[:calls], Warm: 300 * time.Millisecond, Duration: span})
		m.must(err)
		o := <-set
		fmt.Printf("%-12s %6d  while %d calls a second are set up: p50 %.3f ms, p99 %.3f ms, loss %.3f %%; %d of %d calls done\n",
			r.name, calls, setupRate, s.p50, s.p99, 100*s.loss, o.done, o.offered)
		for _, err := range o.failed[:min(3, len(o.failed))] {
			fmt.Printf("%-12s a call failed: %v\n", r.name, err)
		}
		if r.name == "tandem" {
			m.figure("latency-p99-ms-during-setup", s.p99, "5.0")
		}
	}
}

// deployment is a whole gateway: its processes and how a call is placed.
type deployment struct {
	name string
	pids []int
	once func(context.Context) error
	cost []float64 // ms of CPU a call
}

// wholeCalls measures calls from INVITE to BYE, the media's set-up among it, beside Kamailio + rtpengine.
func (m *mediaBench) wholeCalls() {
	const browsers = 100
	tandem, reference := startGateway(m.b, mediaHost, adaptive, m.shared), lab.StartReference(m.b)
	both := []*deployment{
		{name: "tandem", pids: []int{tandem.Pid()}, once: once(m.browsers(mediaURL, browsers), load.GCM)},
		{name: "reference", pids: []int{reference.Pid("kamailio"), reference.Pid("rtpengine")},
			once: once(m.browsers(reference.URL, browsers), load.GCM)},
	}
	fmt.Printf("\nwhole calls: SIP over WSS, ICE, DTLS, SIP to the phone, BYE; %d a second from %d browsers\n", setupRate, browsers)
	for range m.runs {
		for _, d := range both {
			before, err := lab.CPUOf(d.pids...)
			m.must(err)
			o := offer(m.ctx, setupRate, 2*m.seconds, d.once)
			after, err := lab.CPUOf(d.pids...)
			m.must(err)
			if o.done == 0 {
				m.b.Fatalf("%s: none of %d calls was done; refused %v, failed %v", d.name, o.offered, o.refused, o.failed)
			}
			cost := milliseconds(after.Since(before).Total) / float64(o.done)
			d.cost = append(d.cost, cost)
			fmt.Printf("%-12s %4d of %4d calls done, %6.2f ms of CPU a call, %4.0f calls per CPU second; call's median %.1f ms\n",
				d.name, o.done, o.offered, cost, 1000/cost, median(o.setups))
			for _, err := range o.failed[:min(2, len(o.failed))] {
				fmt.Printf("%-12s a call failed: %v\n", d.name, err)
			}
		}
	}
	m.figure("calls-per-cpu-second-vs-reference", median(both[1].cost)/median(both[0].cost), "1.50")
}

// overload offers more calls than there is CPU for: the gateway is to refuse at once, and to leave no call half up.
func (m *mediaBench) overload() {
	startGateway(m.b, mediaHost, adaptive, m.shared)
	o := offer(m.ctx, overloadRate, 4*m.seconds, once(m.browsers(mediaURL, 200), load.GCM))
	fmt.Printf("\noverload: %d calls a second: %d offered, %d done, refused %v, %d failed; call's median %.1f ms\n",
		overloadRate, o.offered, o.done, o.refused, len(o.failed), median(append(o.setups, 0)))
	for _, err := range o.failed[:min(3, len(o.failed))] {
		fmt.Printf("a call failed: %v\n", err)
	}
	half, deadline := 0, time.Now().Add(15*time.Second)
	for {
		running, err := gatewayCalls(m.ctx)
		m.must(err)
		if half = max(running, m.phones.Open()); half == 0 || time.Now().After(deadline) {
			break
		}
		<-time.After(250 * time.Millisecond)
	}
	m.figure("half-open-calls-after-overload", float64(half), "0")
}

// gatewayCalls is how many calls the gateway says that it has.
func gatewayCalls(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+mediaHost+":9090/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	match := regexp.MustCompile(`(?m)^tandem_calls (\d+)$`).FindSubmatch(text)
	if match == nil {
		return 0, errors.New("no tandem_calls among the metrics")
	}
	return strconv.Atoi(string(match[1]))
}
