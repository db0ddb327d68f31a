package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"tandem/sipside"
)

// Source names members of a pool beside those that are written: one of SRV, File and URL.
type Source struct {
	SRV   string        `yaml:"srv"`   // a name of SRV records, such as _sip._udp.pbx.example.com: weight and priority are theirs
	File  string        `yaml:"file"`  // a list as members has it, in YAML or JSON
	URL   string        `yaml:"url"`   // where GET gives such a list
	Every time.Duration `yaml:"every"` // default 30 s; SRV records are asked for sooner where their TTL says so
}

const (
	sourceEvery   = 30 * time.Second
	sourceTimeout = 5 * time.Second
	sourceLongest = 1 << 20 // bytes of a list
)

// sources asks for the members that are not written in the configuration, again and again.
type sources struct {
	// static after construction
	srv     func(ctx context.Context, name string) ([]sipside.Member, time.Duration, error)
	changed func(pool string, members []sipside.Member) error // obeys them; an error leaves those of before
	log     *slog.Logger
	ctx     context.Context // ends the asking

	// guarded by the gateway's reloading
	named map[string][]sipside.Member // by pool, as they were last good
	asked map[string]*asking          // by pool

	mu   sync.Mutex
	good map[string]bool // guarded by mu; by pool: whether its source was of use when it was asked last
}

// answered takes note of what came of asking.
func (s *sources) answered(ctx context.Context, pool string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.good[pool] = err == nil
	}
}

func (s *sources) forget(pool string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.good, pool)
}

// stats say of each pool with a source whether that was of use when it was asked last.
func (s *sources) stats() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.good)
}

// asking is one source while it is asked.
type asking struct {
	source Source
	stop   context.CancelFunc
	again  chan struct{} // ask now
}

// renew asks the sources of the pools, of new ones at once and before it returns, of known ones at once, and stops to ask the others.
// Who does not answer is asked again later.
func (s *sources) renew(pools map[string]Pool) {
	for pool, a := range s.asked {
		if to := pools[pool].Source; to == nil || *to != a.source {
			a.stop()
			delete(s.asked, pool)
			delete(s.named, pool)
			s.forget(pool)
			continue
		}
		select {
		case a.again <- struct{}{}:
		default:
		}
	}
	var first sync.WaitGroup
	answers := sync.Map{}
	for pool, p := range pools {
		if p.Source == nil || s.asked[pool] != nil {
			continue
		}
		ctx, stop := context.WithCancel(s.ctx)
		a := &asking{*p.Source, stop, make(chan struct{}, 1)}
		s.asked[pool] = a
		first.Go(func() {
			members, wait, err := s.ask(ctx, *p.Source)
			s.answered(ctx, pool, err)
			if err != nil {
				s.log.Warn("source of members", "pool", pool, "error", err)
			}
			answers.Store(pool, members)
			go s.poll(ctx, pool, a, wait)
		})
	}
	first.Wait()
	answers.Range(func(pool, members any) bool {
		s.named[pool.(string)] = members.([]sipside.Member)
		return true
	})
}

// poll asks one source until its context ends.
func (s *sources) poll(ctx context.Context, pool string, of *asking, wait time.Duration) {
	said := ""
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-of.again:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
		members, next, err := s.ask(ctx, of.source)
		wait = next
		if err == nil {
			err = s.changed(pool, members)
		}
		s.answered(ctx, pool, err)
		now := ""
		if err != nil {
			now = err.Error()
		}
		if ctx.Err() == nil && now != "" && now != said {
			s.log.Warn("source of members: those of before stay", "pool", pool, "error", err)
		}
		said = now
	}
}

// ask gives the members, and when to ask again. A source that names nobody is an error.
func (s *sources) ask(ctx context.Context, from Source) (members []sipside.Member, again time.Duration, err error) {
	again = cmp.Or(from.Every, sourceEvery)
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	switch {
	case from.SRV != "":
		var ttl time.Duration
		if members, ttl, err = s.srv(ctx, from.SRV); err == nil {
			again = min(again, max(ttl, time.Second))
		}
	case from.File != "":
		var text []byte
		if text, err = os.ReadFile(from.File); err == nil {
			members, err = parseMembers(from.File, text)
		}
	default:
		members, err = fetchMembers(ctx, from.URL)
	}
	if err == nil && len(members) == 0 {
		err = errors.New("it names nobody")
	}
	return members, again, err
}

// fetchMembers gets a list by HTTP.
func fetchMembers(ctx context.Context, url string) ([]sipside.Member, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, sourceLongest+1))
	if err == nil && len(text) > sourceLongest {
		err = fmt.Errorf("%s: more than %d bytes", url, sourceLongest)
	}
	if err != nil {
		return nil, err
	}
	return parseMembers(url, text)
}

// parseMembers reads a list as the key members has it. The environment's variables are not for whoever writes it.
func parseMembers(file string, text []byte) ([]sipside.Member, error) {
	d := decoder{
		getenv: func(string) (string, bool) { return "", false },
		source: source{file: file, at: make(map[string]position)},
	}
	var list []Member
	d.body(text, reflect.ValueOf(&list).Elem())
	if err := d.problems.err(); err != nil {
		return nil, err
	}
	v := validator{source: d.source}
	v.members("", list, []SIPListen{{Network: "udp"}}) // what is listened on the door looks at
	if err := v.problems.err(); err != nil {
		return nil, err
	}
	members := make([]sipside.Member, len(list))
	for i, m := range list {
		members[i] = m.sipside()
	}
	return members, nil
}

// set takes a pool's members where they differ; false where they are those of before. before undoes it.
func (s *sources) set(pool string, members []sipside.Member) (before []sipside.Member, differs bool) {
	before = s.named[pool]
	if s.asked[pool] == nil || slices.EqualFunc(before, members, sameMember) {
		return before, false
	}
	s.named[pool] = members
	return before, true
}

func sameMember(a, b sipside.Member) bool {
	return a.URI.String() == b.URI.String() && a.Weight == b.Weight && a.Priority == b.Priority && a.Drain == b.Drain &&
		a.MaxCalls == b.MaxCalls && a.MaxRate == b.MaxRate
}

// complete adds the members that sources named to those that are written, which win.
func (s *sources) complete(cfg sipside.Config) sipside.Config {
	cfg.Pools = slices.Clone(cfg.Pools)
	for i, p := range cfg.Pools {
		written := map[string]bool{}
		for _, m := range p.Members {
			written[m.URI.String()] = true
		}
		members := slices.Clone(p.Members)
		for _, m := range s.named[p.Name] {
			if !written[m.URI.String()] {
				members = append(members, m)
			}
		}
		cfg.Pools[i].Members = members
	}
	return cfg
}
