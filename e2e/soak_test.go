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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

const (
	soakConfig = `https: {listen: "https://127.0.0.20:8443"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
guard: off
media: {listen: "127.0.0.20:40000", rtp: {ports: 10000-29999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
  phones: {members: ["sip:127.0.0.11:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, domain: phones.example, to: phones}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
call: {flow-grace: 2s, orphan-limit: 5s}
registration: {max-expires: 20s}
admin: {listen: "127.0.0.20:9090"}
log: {level: error}
`
	soakURL     = "wss://127.0.0.20:8443/sip"
	soakAtOnce  = 16
	soakSettles = 2 * time.Minute // transactions linger 32 s, a BYE that nobody answers as long before
	soakAgain   = 10
	soakSpare   = 5 // goroutines more than before: the runtime's, a scrape's
)

// soak is calls of mixed kinds through a gateway in a process of its own.
type soak struct {
	g     *load.Generator
	users atomic.Int64
	kinds []soakKind
}

// soakKind is one way in which a call goes and ends; an error says that it went otherwise.
type soakKind struct {
	name string
	run  func(context.Context, *wsstest.Browser) error
}

// After calls of every kind nothing is left: no goroutine, call, leg, port, transaction, binding or connection, by the gateway's own
// figures and by the runtime's. SOAK says how many; make soak runs 10,000.
func TestNothingIsLeft(t *testing.T) {
	count, err := strconv.Atoi(variable("SOAK", "320"))
	must(t, err)
	pbx, err := siptest.NewPBX(siptest.PBXConfig{Listen: netip.MustParseAddrPort("127.0.0.10:5060"), AnyUser: true,
		RingTime: 50 * time.Millisecond, EarlyTime: 100 * time.Millisecond, HangupTime: 100 * time.Millisecond})
	must(t, err)
	t.Cleanup(func() { pbx.Close() })
	s := &soak{}
	s.g, err = load.New(0, nil)
	must(t, err)
	t.Cleanup(s.g.Close)
	phones, err := s.g.ListenPhones(netip.MustParseAddrPort("127.0.0.11:5060"))
	must(t, err)
	t.Cleanup(phones.Close)
	file := filepath.Join(t.TempDir(), "tandem.yaml")
	must(t, os.WriteFile(file, []byte(soakConfig), 0o644))
	lab.StartTandem(t, "run", "-config", file)
	var before map[string]int
	lab.Eventually(t, 20*time.Second, "the gateway listens", func() error {
		before, err = soakFigures()
		return errors.Join(err, lab.DialTCP("127.0.0.20:8443"))
	})
	s.run(t, count)
	lab.Eventually(t, soakSettles, "all phones have heard a BYE", func() error {
		if open := phones.Open(); open != 0 {
			return fmt.Errorf("%d have not", open)
		}
		return nil
	})
	lab.Eventually(t, soakSettles, "nothing is left", func() error { return leftOver(before) })
}

// run places the calls, the kinds in turns, each from a browser of its own.
func (s *soak) run(t *testing.T, count int) {
	s.kinds = s.allKinds()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Minute)
	defer stop()
	var next atomic.Int64
	var all sync.WaitGroup
	for range soakAtOnce {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(count) && !t.Failed(); i = next.Add(1) - 1 {
				kind := s.kinds[i%int64(len(s.kinds))]
				if err := s.one(ctx, kind); err != nil {
					t.Errorf("call %d, %s: %v", i, kind.name, err)
				}
			}
		})
	}
	all.Wait()
}

// one places a call, and places it again where the gateway says that it has no processor left for it (503): that is no fault.
func (s *soak) one(ctx context.Context, kind soakKind) error {
	for again := 0; ; again++ {
		err := s.once(ctx, kind)
		if err == nil || again == soakAgain || !strings.Contains(err.Error(), "503") {
			return err
		}
		select {
		case <-time.After(time.Second): // a moment without load
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *soak) once(ctx context.Context, kind soakKind) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	b, err := s.browser(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return kind.run(ctx, b)
}

// browser dials as a user of its own and registers.
func (s *soak) browser(ctx context.Context) (*wsstest.Browser, error) {
	b, err := wsstest.Dial(ctx, soakURL, wsstest.Options{NewSession: func() (wsstest.Session, error) { return wsstest.FixedAudio(), nil }})
	if err != nil {
		return nil, err
	}
	if _, err = b.Register(ctx, fmt.Sprintf("u%d", s.users.Add(1)), ""); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (s *soak) allKinds() []soakKind {
	return []soakKind{
		{"the browser hangs up", func(ctx context.Context, b *wsstest.Browser) error {
			return answered(ctx, b, "600", (*wsstest.Call).Bye)
		}},
		{"the PBX hangs up", func(ctx context.Context, b *wsstest.Browser) error {
			return answered(ctx, b, "606", func(c *wsstest.Call, ctx context.Context) error { return c.Wait(ctx, wsstest.Ended) })
		}},
		{"early media", func(ctx context.Context, b *wsstest.Browser) error {
			return answered(ctx, b, "604", (*wsstest.Call).Bye)
		}},
		{"held and resumed", func(ctx context.Context, b *wsstest.Browser) error {
			return answered(ctx, b, "600", func(c *wsstest.Call, ctx context.Context) error {
				return errors.Join(c.Hold(ctx), c.Resume(ctx), c.Bye(ctx))
			})
		}},
		{"busy", refused("607", 486)},
		{"a failed PBX", refused("608", 480)},
		{"cancelled", cancelledCall},
		{"the browser is gone", func(ctx context.Context, b *wsstest.Browser) error {
			return answered(ctx, b, "600", func(*wsstest.Call, context.Context) error { b.Drop(); return nil })
		}},
		{"the browser is gone while it rings", func(ctx context.Context, b *wsstest.Browser) error {
			c, err := b.Invite(ctx, "609", wsstest.InviteOptions{})
			if err == nil {
				err = c.Wait(ctx, wsstest.Ringing)
			}
			b.Drop()
			return err
		}},
		{"browser to browser", s.between},
		{"with media", s.withMedia},
		{"an offer without media that we know", func(ctx context.Context, b *wsstest.Browser) error {
			c, err := b.Invite(ctx, "600", wsstest.InviteOptions{Session: wsstest.Fixed("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=text 9 RTP/AVP 98\r\n")})
			if err != nil {
				return err
			}
			return refusedWith(ctx, c, 488)
		}},
	}
}

// answered has a call answered and ended in some way.
func answered(ctx context.Context, b *wsstest.Browser, target string, end func(*wsstest.Call, context.Context) error) error {
	c, err := b.Invite(ctx, target, wsstest.InviteOptions{})
	if err != nil {
		return err
	}
	if err := c.Wait(ctx, wsstest.Confirmed); err != nil {
		return err
	}
	return end(c, ctx)
}

func refused(target string, status int) func(context.Context, *wsstest.Browser) error {
	return func(ctx context.Context, b *wsstest.Browser) error {
		c, err := b.Invite(ctx, target, wsstest.InviteOptions{})
		if err != nil {
			return err
		}
		return refusedWith(ctx, c, status)
	}
}

func refusedWith(ctx context.Context, c *wsstest.Call, status int) error {
	if err := c.Wait(ctx, wsstest.Ended); err != nil {
		return err
	}
	if c.Status() != status {
		return fmt.Errorf("refused with %d, want %d", c.Status(), status)
	}
	return nil
}

func cancelledCall(ctx context.Context, b *wsstest.Browser) error {
	c, err := b.Invite(ctx, "609", wsstest.InviteOptions{})
	if err != nil {
		return err
	}
	if err := c.Wait(ctx, wsstest.Ringing); err != nil {
		return err
	}
	if err := c.Cancel(ctx); err != nil {
		return err
	}
	return refusedWith(ctx, c, 487)
}

// between calls another browser through the PBX, which makes two calls of the gateway's; the callee hangs up.
func (s *soak) between(ctx context.Context, b *wsstest.Browser) error {
	callee, err := s.browser(ctx)
	if err != nil {
		return err
	}
	defer callee.Close()
	c, err := b.Invite(ctx, callee.User(), wsstest.InviteOptions{})
	if err != nil {
		return err
	}
	in, err := callee.NextCall(ctx)
	if err != nil {
		return err
	}
	return errors.Join(in.Answer(ctx), c.Wait(ctx, wsstest.Confirmed), in.Bye(ctx), c.Wait(ctx, wsstest.Ended))
}

// withMedia does ICE and DTLS, too, and speaks for a moment.
func (s *soak) withMedia(ctx context.Context, _ *wsstest.Browser) error {
	b, err := s.g.DialBrowser(ctx, soakURL, "phones.example")
	if err != nil {
		return err
	}
	defer b.Close()
	c, err := b.Call(ctx, load.Both(load.PCMU), load.GCM)
	if err != nil {
		return err
	}
	_, err = s.g.Run(ctx, load.Load{Sessions: []*load.Session{c.Session}, Duration: 100 * time.Millisecond})
	return errors.Join(err, c.Bye(ctx))
}

// soakNames are the metrics that come back to what they were.
var soakNames = [...]string{`go_goroutines`, `tandem_calls`, `tandem_registrations`, `tandem_browser_connections`, `tandem_media_legs`,
	`tandem_media_relays`, `tandem_media_converters`, `tandem_media_tcp_connections`, `tandem_media_ports{state="used"}`,
	`tandem_transactions{door="browsers",side="client"}`, `tandem_transactions{door="browsers",side="server"}`,
	`tandem_transactions{door="backends",side="client"}`, `tandem_transactions{door="backends",side="server"}`}

func soakFigures() (map[string]int, error) { return metrics("http://127.0.0.20:9090", soakNames[:]...) }

// metrics asks an operator's listener for whole numbers by their names, with labels.
func metrics(admin string, names ...string) (map[string]int, error) {
	res, err := http.Get(admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	figures := map[string]int{}
	for _, name := range names {
		match := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\d+)$`).FindSubmatch(text)
		if match == nil {
			return nil, fmt.Errorf("no %s among the metrics", name)
		}
		figures[name], _ = strconv.Atoi(string(match[1]))
	}
	return figures, nil
}

// leftOver says what is more than before.
func leftOver(before map[string]int) error {
	now, err := soakFigures()
	if err != nil {
		return err
	}
	var left []error
	for _, name := range soakNames {
		spare := 0
		if name == "go_goroutines" {
			spare = soakSpare
		}
		if now[name] > before[name]+spare {
			left = append(left, fmt.Errorf("%s was %d and is %d", name, before[name], now[name]))
		}
	}
	return errors.Join(left...)
}
