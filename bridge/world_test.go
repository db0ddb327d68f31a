package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/media"
	"tandem/bridge/recording"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// world is a bridge between its real doors and a real media engine, with browsers and agents around it.
type world struct {
	t        *testing.T
	bridge   *Bridge
	wss      *wss.Server
	sip      *sipside.Endpoints
	media    *media.Engine
	store    *location.Memory
	agents   []*siptest.Agent // the members of pool "pbx"
	other    *siptest.Agent   // the trunk "other", where users that begin with 7 are; nil: none
	url      string
	events   eventLog
	log      safeBuffer
	leaks    leakScan
	browsers []*wsstest.Browser
	order    func(aor string) // see registerWith
	crossing bool             // offers cross on the wire in this test: that one fault is nobody's
	steps    context.Context  // of which each step's is one; see ctx
	giveUp   context.CancelFunc
	running  sync.WaitGroup // what a test does meanwhile
}

// conditions change a world before it opens.
type conditions struct {
	members int             // default 1
	caps    []admission.Cap // of the members, in their order
	trunk   bool            // the members are the servers of a trunk "pbx" instead of a pool
	link    *lossyLink      // between the gateway and the only member
	dead    bool            // one more member, where nobody listens
	other   bool            // a trunk beside the pool
	bridge  Config
	media   media.Limits
	order   string
	probe   sipside.Probe
	timers  transaction.Config
	guard   Guard
	keeper  wss.Guard // at the browsers' door
	tolls   Tolls
	handler func(member int) func(*siptest.Incoming) bool
	record  route.Recording // of calls to the pool
	disk    recording.Disk
	routes  []route.Rule // default: everything to the other side
	gate    *identity.Gate
	store   location.Store // default: a Memory, which is world.store
}

func newWorld(t *testing.T, with conditions) *world {
	t.Helper()
	w := &world{t: t}
	w.steps, w.giveUp = context.WithCancel(context.Background())
	w.leaks.inside = with.bridge.Peerings["other"].Direct
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	loopback := netip.MustParseAddr("127.0.0.1")
	w.openSIP(with, log)
	var err error
	door := wss.Config{Guard: with.keeper, Timers: with.timers, Trace: w.leaks.look, Log: log}
	if with.gate != nil {
		door.Authenticate = func(ctx context.Context, c wss.Credentials) (any, error) { return with.gate.Token(ctx, c.Token) }
	}
	w.wss, err = wss.New(door)
	w.check(err)
	w.media, err = media.Open(media.Config{
		Listen: []netip.AddrPort{netip.AddrPortFrom(loopback, 0)}, RTP: media.RTPConfig{Address: loopback}, Limits: with.media, Log: log,
	})
	w.check(err)
	w.store = location.NewMemory(time.Now)
	with.bridge = unhurried(with.bridge)
	with.bridge.Peerings = outside(with.bridge.Peerings)
	with.bridge.Node, with.bridge.Secret, with.bridge.Log = "n1", []byte("of the tests"), log
	if with.store == nil {
		with.store = w.store
	}
	if with.routes == nil {
		with.routes = []route.Rule{
			{From: "browsers", User: regexp.MustCompile("^900"), Reject: 403},
			{From: "browsers", To: "pbx", Record: with.record},
			{From: "pbx", User: regexp.MustCompile("^trunk"), To: "pbx"},
			{From: "pbx", To: "browsers"},
		}
	}
	w.bridge = New(with.bridge, Wiring{
		Router: route.New(append(otherRoutes(with), with.routes...)), Events: &w.events, Store: with.store, Gate: with.gate,
		Nonces: identity.NewNonces(100, time.Minute, time.Now), Media: w.media,
		Browsers: w.wss, Backends: w.sip, Guard: with.guard, Tolls: with.tolls,
		Disk: with.disk,
	})
	w.serve()
	return w
}

// unhurried leaves a busy machine the time that it may need: no limit passes that a test does not wait for.
func unhurried(cfg Config) Config {
	if cfg.TryTimeout == 0 {
		cfg.TryTimeout = 15 * time.Second
	}
	return cfg
}

// settle waits for what a test does meanwhile; where the test has failed, that is given up.
func (w *world) settle() {
	if w.t.Failed() {
		w.giveUp()
	}
	w.running.Wait()
	w.giveUp()
}

// meanwhile does something beside the test, whose end waits for it.
func (w *world) meanwhile(do func()) { w.running.Go(do) }

func (w *world) openSIP(with conditions, log *slog.Logger) {
	w.t.Helper()
	pool := sipside.PoolConfig{Name: "pbx", Order: with.order, Probe: with.probe}
	for i := range max(with.members, 1) {
		cfg := siptest.AgentConfig{Listen: memberHost(i), Timers: with.timers}
		handler := acceptRegister
		if with.handler != nil {
			handler = either(with.handler(i), acceptRegister)
		}
		cfg.Handler = handler
		agent, err := siptest.NewAgent(cfg)
		w.check(err)
		w.agents = append(w.agents, agent)
		w.t.Cleanup(func() { agent.Close() })
		uri := agent.URI("")
		if with.link != nil {
			uri = with.link.between(w.t, uri)
		}
		m := sipside.Member{URI: uri}
		if i < len(with.caps) {
			m.MaxCalls, m.MaxRate = with.caps[i].Calls, with.caps[i].Rate
		}
		pool.Members = append(pool.Members, m)
	}
	if with.dead {
		pool.Members = append(pool.Members, sipside.Member{URI: closedPort(w.t)})
	}
	listen := netip.MustParseAddrPort("127.0.0.1:0")
	var err error
	cfg := sipside.Config{
		Listen: []sipside.Listen{{Network: "udp", Addr: listen}, {Network: "tcp", Addr: listen}},
		Pools:  append([]sipside.PoolConfig{pool}, w.trunk(with)...), Timers: with.timers, Trace: w.leaks.look, Log: log,
	}
	if with.trunk {
		cfg.Pools, cfg.Trunks = cfg.Pools[1:], []sipside.TrunkConfig{{Name: pool.Name, URI: pool.Members[0].URI}}
		for _, m := range pool.Members[1:] {
			cfg.Trunks[0].More = append(cfg.Trunks[0].More, m.URI)
		}
	}
	w.sip, err = sipside.Open(cfg)
	w.check(err)
}

// otherRoutes are those of the trunk beside the pool, where the world's do not name it.
func otherRoutes(with conditions) []route.Rule {
	if !with.other || slices.ContainsFunc(with.routes, func(r route.Rule) bool { return r.From == "other" }) {
		return nil
	}
	return []route.Rule{{From: "other", To: "browsers"}, {User: regexp.MustCompile("^7"), To: "other"}}
}

// trunk opens the trunk beside the pool.
func (w *world) trunk(with conditions) []sipside.PoolConfig {
	if !with.other {
		return nil
	}
	agent, err := siptest.NewAgent(siptest.AgentConfig{Listen: netip.AddrPortFrom(netip.MustParseAddr(trunkHost), 0), Timers: with.timers})
	w.check(err)
	w.other = agent
	w.t.Cleanup(func() { agent.Close() })
	return []sipside.PoolConfig{{Name: "other", Members: []sipside.Member{{URI: agent.URI("")}}}}
}

func (w *world) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.sip.Serve(ctx, w.bridge) }()
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.wss.Serve(rw, r, w.bridge) }))
	w.url = "ws" + strings.TrimPrefix(web.URL, "http") + "/sip"
	w.t.Cleanup(func() {
		w.settle()
		w.diagnose()
		for _, b := range w.browsers {
			b.Close()
			b.CloseCalls()
		}
		ended, stop := context.WithCancel(context.Background())
		stop()
		w.bridge.Shutdown(ended)
		closing, over := context.WithTimeout(context.Background(), time.Minute)
		defer over()
		w.wss.Shutdown(closing)
		web.Close()
		cancel()
		w.sip.Close()
		<-done
		w.media.Close(closing)
	})
}

// diagnose prints the ladders of a failed test, and finds what JsSIP would have stumbled over in any.
func (w *world) diagnose() {
	for _, b := range w.browsers {
		for _, fault := range b.Faults() {
			if w.crossing && glare(fault) {
				continue
			}
			w.t.Errorf("the browser would have stumbled: %s", fault)
		}
	}
	for _, fault := range w.leaks.found() {
		w.t.Errorf("a leak: %s", fault)
	}
	if !w.t.Failed() {
		return
	}
	for i, b := range w.browsers {
		w.t.Logf("browser %d\n%s", i, b.Ladder())
	}
	for i, a := range append(w.agents, w.other) {
		if a == nil {
			continue
		}
		w.t.Logf("agent %d\n%s", i, a.Ladder())
	}
	w.t.Logf("log\n%s", w.log.String())
}

// glare says whether a browser stumbled over our offer because its own was under way: on the wire, or still in the page.
func glare(fault string) bool {
	return strings.HasPrefix(fault, "an offer by INVITE while ours is pending") ||
		strings.HasPrefix(fault, "the offer of a re-INVITE cannot be taken") && strings.Contains(fault, "have-local-offer->SetRemote(offer)")
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// ctx bounds one step of a test.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.steps, 60*time.Second)
	context.AfterFunc(w.steps, cancel)
	return ctx
}

// browser opens a browser.
func (w *world) browser(opt wsstest.Options) *wsstest.Browser {
	w.t.Helper()
	b, err := wsstest.Dial(w.ctx(), w.url, opt)
	w.check(err)
	w.browsers = append(w.browsers, b)
	return b
}

// registered opens a browser and registers it; the agents accept any REGISTER.
func (w *world) registered(user string, opt wsstest.Options) *wsstest.Browser {
	w.t.Helper()
	b := w.browser(opt)
	_, err := b.Register(w.ctx(), user, "")
	w.check(err)
	if w.order != nil {
		w.order("sip:" + user + "@example.com")
	}
	return b
}

// toBrowser is the URI by which a backend calls a registered user: the Contact that the registrar was given.
func (w *world) toBrowser(user string) sip.Uri {
	w.t.Helper()
	bindings := w.store.ByAOR("sip:" + user + "@example.com")
	if len(bindings) != 1 {
		w.t.Fatalf("%d bindings of %s", len(bindings), user)
	}
	at := w.sip.Addrs()[0]
	return sip.Uri{Scheme: "sip", User: bindings[0].Token, Host: at.Addr().String(), Port: int(at.Port())}
}

// rtp opens an agent's media.
func (w *world) rtp() *siptest.Media {
	w.t.Helper()
	return openMedia(w.t)
}

func openMedia(t *testing.T) *siptest.Media {
	t.Helper()
	m, err := siptest.NewMedia(netip.MustParseAddr(mediaHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// answered accepts the next INVITE of an agent with media that sends a tone.
func (w *world) answered(agent *siptest.Agent, m *siptest.Media, tone float64) *siptest.Dialog {
	w.t.Helper()
	in, err := agent.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(tone)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	return d
}

// record waits for the record of the only call.
func (w *world) record() Record {
	w.t.Helper()
	var r *Record
	w.until("the record of the call", func() bool { r = w.events.record(); return r != nil })
	return *r
}

// until polls for a condition, with a reason.
func (w *world) until(reason string, ok func() bool) {
	w.t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("in vain waited for %s", reason)
		}
	}
}

// either tries handlers in turn.
func either(handlers ...func(*siptest.Incoming) bool) func(*siptest.Incoming) bool {
	return func(in *siptest.Incoming) bool {
		return slices.ContainsFunc(handlers, func(h func(*siptest.Incoming) bool) bool { return h != nil && h(in) })
	}
}

// acceptRegister is a registrar that trusts everybody: the Contact comes back with its expiry. It answers probes, too.
func acceptRegister(in *siptest.Incoming) bool {
	if in.Request().Method == sip.OPTIONS && tagOf(in.Request().To().Params) == "" {
		return in.Respond(siptest.Reply{Status: 200}) == nil
	}
	if in.Request().Method != sip.REGISTER {
		return false
	}
	var headers []sip.Header
	for _, h := range in.Request().GetHeaders("Contact") {
		contact := h.(*sip.ContactHeader).Clone()
		if !contact.Params.Has("expires") {
			contact.Params.Add("expires", "120")
		}
		headers = append(headers, contact)
	}
	in.Respond(siptest.Reply{Status: 200, Headers: headers})
	return true
}

// eventLog keeps the events of a bridge.
type eventLog struct {
	mu  sync.Mutex
	all []Event
}

func (l *eventLog) CallEvent(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

// record is the newest record, nil before one.
func (l *eventLog) record() *Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.all) - 1; i >= 0; i-- {
		if l.all[i].Record != nil {
			return l.all[i].Record
		}
	}
	return nil
}

// call is the id of the newest call.
func (l *eventLog) call() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return ""
	}
	return l.all[len(l.all)-1].Call
}

// safeBuffer is a log that a test may read while it is written.
type safeBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// header is a header's value, "" where it is missing.
func header(msg interface{ Headers() []sip.Header }, name string) string {
	return headerValue(msg, name)
}

func tagOf(params sip.HeaderParams) string { return params.GetOr("tag", "") }

// closedPort is an address where nobody listens: one of its own, so that no other test takes the port.
func closedPort(t *testing.T) sip.Uri {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.99:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr)
	l.Close()
	var uri sip.Uri
	if err := sip.ParseUri(fmt.Sprintf("sip:127.0.0.99:%d;transport=tcp", at.Port), &uri); err != nil {
		t.Fatal(err)
	}
	return uri
}
