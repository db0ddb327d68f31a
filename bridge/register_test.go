package bridge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// A rig's TryTimeout: no busy machine takes so long to answer, but where a test waits for it, it is shorter.
const (
	rigTryTimeout = 15 * time.Second
	rigImpatient  = 4 * time.Second
	rigT1         = 500 * time.Millisecond
)

// registerRig is a bridge between a WebSocket server and a pool of scripted registrars.
type registerRig struct {
	t      *testing.T
	ctx    context.Context
	bridge *Bridge
	store  *location.Memory
	url    string
	log    *lockedBuffer

	browsers *wss.Server
	backends *sipside.Endpoints
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// guardFunc is a Guard.
type guardFunc func(origin, aor string, method sip.RequestMethod) error

func (f guardFunc) Admit(origin, aor string, method sip.RequestMethod) error {
	return f(origin, aor, method)
}

func newRegisterRig(t *testing.T, doubles ...*registrarDouble) *registerRig {
	return newGuardedRig(t, nil, doubles...)
}

func newGuardedRig(t *testing.T, guard Guard, doubles ...*registrarDouble) *registerRig {
	t.Helper()
	return newTimedRig(t, guard, poolOfDoubles(doubles), rigTryTimeout)
}

func poolOfDoubles(doubles []*registrarDouble) sipside.PoolConfig {
	pool := sipside.PoolConfig{Name: "pbx"}
	for _, d := range doubles {
		pool.Members = append(pool.Members, d.member())
	}
	return pool
}

// newImpatientRig has a pool of members of which one is silent.
func newImpatientRig(t *testing.T, patience time.Duration, doubles ...*registrarDouble) *registerRig {
	t.Helper()
	return newTimedRig(t, nil, poolOfDoubles(doubles), patience)
}

func newTimedRig(t *testing.T, guard Guard, pool sipside.PoolConfig, tryTimeout time.Duration) *registerRig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	backends, err := sipside.Open(sipside.Config{
		Listen: []sipside.Listen{{Network: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Pools:  []sipside.PoolConfig{pool},
		Timers: transaction.Config{T1: rigT1},
	})
	if err != nil {
		t.Fatal(err)
	}
	browsers, err := wss.New(wss.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rig := &registerRig{
		t: t, ctx: ctx, store: location.NewMemory(time.Now), log: &lockedBuffer{}, browsers: browsers, backends: backends,
	}
	rig.bridge = New(Config{
		Node: "n1", Secret: []byte("secret"), TryTimeout: tryTimeout,
		Log: slog.New(slog.NewTextHandler(rig.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, Wiring{
		Router: route.New([]route.Rule{
			{Domain: "rejected.example", Reject: 403},
			{Domain: "vouched.example", To: "pbx", Register: route.Vouch},
			{Domain: "nowhere.example", To: "unknown"},
			{Domain: "browsers.example", To: route.Browsers},
			{From: route.Browsers, Domain: "example.com", To: "pbx", Tenant: "acme"},
		}),
		Guard: guard, Store: rig.store, Nonces: identity.NewNonces(1000, time.Minute, time.Now), Browsers: browsers, Backends: backends,
	})
	served := make(chan error, 1)
	go func() { served <- backends.Serve(ctx, rig.bridge) }()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { browsers.Serve(w, r, rig.bridge) }))
	rig.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(func() {
		_ = browsers.Shutdown(ctx)
		server.Close()
		_ = backends.Close()
		<-served
	})
	return rig
}

// dial opens a browser; what JsSIP would stumble over fails the test.
func (rig *registerRig) dial(opt wsstest.Options) *wsstest.Browser {
	rig.t.Helper()
	b, err := wsstest.Dial(rig.ctx, rig.url, opt)
	if err != nil {
		rig.t.Fatal(err)
	}
	rig.t.Cleanup(func() {
		b.Close()
		if faults := b.Faults(); len(faults) > 0 {
			rig.t.Errorf("faults: %q\n%s", faults, b.Ladder())
		}
	})
	return b
}

// register registers and fails the test if that does not work.
func (rig *registerRig) register(b *wsstest.Browser, user, password string) *sip.Response {
	rig.t.Helper()
	res, err := b.Register(rig.ctx, user, password)
	if err != nil {
		rig.t.Fatalf("%v\n%s", err, b.Ladder())
	}
	return res
}

// refused registers and gives the refusal.
func (rig *registerRig) refused(b *wsstest.Browser, user, password string) *sip.Response {
	rig.t.Helper()
	res, err := b.Register(rig.ctx, user, password)
	var status *wsstest.StatusError
	if !errors.As(err, &status) {
		rig.t.Fatalf("not refused: %v\n%s", err, b.Ladder())
	}
	return res
}

// until polls.
func (rig *registerRig) until(what string, ok func() bool) {
	rig.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-rig.ctx.Done():
			rig.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func (rig *registerRig) only() location.Binding {
	rig.t.Helper()
	all := rig.store.ByAOR("sip:alice@example.com")
	if len(all) != 1 {
		rig.t.Fatalf("%d bindings of alice: %v", len(all), all)
	}
	return all[0]
}

func TestRegisterCrosses(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	b := rig.dial(wsstest.Options{Instance: "urn:uuid:A1"})
	res := rig.register(b, "alice", "secret")

	contacts := res.GetHeaders("Contact")
	if len(contacts) != 1 || !strings.HasSuffix(contacts[0].Value(), `;reg-id=1;+sip.instance="<urn:uuid:A1>";+sip.ice;expires=120`) {
		t.Errorf("Contact: %q", lines(contacts))
	}
	for name, want := range map[string]string{
		"Expires": "120", "Require": "outbound", "Service-Route": "", "Server": "", "P-Associated-URI": "<sip:alice@example.com>",
	} {
		if got := headerValue(res, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	binding, uri := rig.only(), b.Contact()
	if binding.Contact != uri.String() || binding.Backend != pbx.name() || binding.Tenant != "acme" || binding.Flow == "" ||
		binding.Instance != "urn:uuid:a1" || binding.RegID != "1" || len(rig.store.ByFlow(binding.Flow)) != 1 {
		t.Errorf("binding: %+v", binding)
	}
	if left := time.Until(binding.Expires); left > 120*time.Second || left < 110*time.Second {
		t.Errorf("expires in %v", left)
	}

	seen := pbx.requests()
	if len(seen) != 2 {
		t.Fatalf("the backend saw %d requests", len(seen))
	}
	first, second := seen[0].Message.(*sip.Request), seen[1].Message.(*sip.Request)
	if a, b := first.CallID().Value(), second.CallID().Value(); a != b || !strings.HasPrefix(a, "Tn1") {
		t.Errorf("Call-ID %q, then %q", a, b)
	}
	if second.CSeq().SeqNo != first.CSeq().SeqNo+1 {
		t.Errorf("CSeq %d, then %d", first.CSeq().SeqNo, second.CSeq().SeqNo)
	}
	if a, b := first.From().Params.GetOr("tag", ""), second.From().Params.GetOr("tag", ""); a != b || a == "" {
		t.Errorf("From tag %q, then %q", a, b)
	}
	contact := second.Contact()
	if contact.Address.User != binding.Token || contact.Address.User != alphanumeric(binding.Token) || !strings.HasSuffix(binding.Token, "n1") {
		t.Errorf("token: %q in %s", binding.Token, contact.Value())
	}
	if value := contact.Value(); strings.Contains(value, "ws") || strings.Contains(value, "instance") || strings.Contains(value, "invalid") {
		t.Errorf("a browser's Contact reached the backend: %s", value)
	}
	if got := headerValue(second, "Max-Forwards"); got != "68" {
		t.Errorf("Max-Forwards: %s", got)
	}
	stats := rig.bridge.Stats()
	if stats.Registrations != 1 || stats.Registers[registerAccepted] != 1 || stats.Registers[registerChallenged] != 1 {
		t.Errorf("stats: %+v", stats)
	}
}

func TestRefreshKeepsLegAndBinding(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	b := rig.dial(wsstest.Options{})
	rig.register(b, "alice", "secret")
	before := rig.only()
	rig.register(b, "alice", "secret")
	if after := rig.only(); after.Token != before.Token || after.Flow != before.Flow || after.CSeq <= before.CSeq {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	seen, last := pbx.requests(), uint32(0)
	for _, msg := range seen {
		req := msg.Message.(*sip.Request)
		if req.CallID().Value() != seen[0].Message.(*sip.Request).CallID().Value() || req.CSeq().SeqNo <= last {
			t.Errorf("Call-ID %s, CSeq %d after %d", req.CallID().Value(), req.CSeq().SeqNo, last)
		}
		last = req.CSeq().SeqNo
	}
	if len(pbx.contacts()) != 1 {
		t.Errorf("bindings upstream: %v", pbx.contacts())
	}
}

// SIP.js gives no instance: its Contact's user part stands for it.
func TestRegisterWithoutInstance(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	res := rig.register(rig.dial(wsstest.Options{NoInstance: true, ContactUser: "page1"}), "alice", "secret")
	if headerValue(res, "Require") != "" {
		t.Error("outbound was not asked for")
	}
	token := rig.only().Token
	rig.register(rig.dial(wsstest.Options{NoInstance: true, ContactUser: "page1"}), "alice", "secret")
	if rig.only().Token != token {
		t.Error("the same page again got another token")
	}
	rig.register(rig.dial(wsstest.Options{NoInstance: true, ContactUser: "page2"}), "alice", "secret")
	if n := len(rig.store.ByAOR("sip:alice@example.com")); n != 2 || len(pbx.contacts()) != 2 {
		t.Errorf("two pages, %d bindings", n)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	res := rig.refused(rig.dial(wsstest.Options{}), "alice", "wrong")
	if res.StatusCode != 401 || strings.Contains(headerValue(res, "WWW-Authenticate"), "stale") {
		t.Errorf("%d %s", res.StatusCode, headerValue(res, "WWW-Authenticate"))
	}
	if rig.store.Len() != 0 || len(pbx.contacts()) != 0 {
		t.Error("there is a binding")
	}
}

func TestReconnectReplacesItsOwnBinding(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	first := rig.dial(wsstest.Options{Instance: "urn:uuid:a", ContactUser: "u1"})
	rig.register(first, "alice", "secret")
	before := rig.only()
	first.Drop()
	rig.until("the binding is dormant", func() bool { return rig.only().Flow == "" })
	if b := rig.only(); b.LastFlow != before.Flow || b.Token != before.Token {
		t.Errorf("dormant: %+v", b)
	}
	if rig.bridge.Stats().Registrations != 1 {
		t.Error("a dormant binding is not counted")
	}
	rig.register(rig.dial(wsstest.Options{Instance: "urn:uuid:a", ContactUser: "u2"}), "alice", "secret")
	after := rig.only()
	if after.Token != before.Token || after.Flow == "" || after.Flow == before.Flow || after.LastFlow != "" || !strings.Contains(after.Contact, "u2@") {
		t.Errorf("after: %+v", after)
	}
	if len(pbx.contacts()) != 1 {
		t.Errorf("bindings pile up upstream: %v", pbx.contacts())
	}
}

// The page is closed while its REGISTER is on the way: the backend has a binding, so it is known here, but as dormant.
func TestAcceptedAfterTheFlowIsGone(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "")
	rig := newRegisterRig(t, pbx)
	pbx.set(func() { pbx.deaf = true })
	page := rig.dial(wsstest.Options{})
	req := page.NewRequest(sip.REGISTER, "sip:example.com")
	req.To().Address.User = "alice"
	req.AppendHeader(&sip.ContactHeader{Address: page.Contact()})
	if err := page.Send(req); err != nil {
		t.Fatal(err)
	}
	rig.until("the REGISTER is on the way", func() bool { return rig.backends.Stats().Transactions.Clients > 0 })
	page.Drop()
	rig.until("the connection is gone", func() bool { return rig.browsers.Stats().Connections == 0 })
	pbx.set(func() { pbx.deaf = false })
	rig.until("there is a binding", func() bool { return rig.store.Len() == 1 })
	rig.until("it is dormant", func() bool { return rig.only().Flow == "" })
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	one, other := rig.dial(wsstest.Options{}), rig.dial(wsstest.Options{})
	rig.register(one, "alice", "secret")
	rig.register(other, "alice", "secret")
	res, err := one.Unregister(rig.ctx)
	if err != nil || res.StatusCode != 200 || res.Contact() != nil {
		t.Fatalf("%v, %v", res, err)
	}
	rig.only()
	if len(pbx.contacts()) != 1 {
		t.Errorf("upstream: %v", pbx.contacts())
	}
	all := other.NewRequest(sip.REGISTER, "sip:example.com")
	all.To().Address = sip.Uri{Scheme: "sip", User: "alice", Host: "example.com"}
	all.AppendHeader(sip.NewHeader("Contact", "*"))
	all.AppendHeader(sip.NewHeader("Expires", "0"))
	if res, err := other.Do(rig.ctx, all); err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	if rig.store.Len() != 0 || len(pbx.contacts()) != 0 {
		t.Errorf("left: %d here, %v upstream", rig.store.Len(), pbx.contacts())
	}
	if n := rig.bridge.Stats().Registers[registerRemoved]; n != 2 {
		t.Errorf("%d removals", n)
	}
}

func TestQueryShowsOwnBindingOnly(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "")
	rig := newRegisterRig(t, pbx)
	one, other := rig.dial(wsstest.Options{}), rig.dial(wsstest.Options{})
	rig.register(one, "alice", "")
	rig.register(other, "alice", "")
	query := one.NewRequest(sip.REGISTER, "sip:example.com")
	query.To().Address = sip.Uri{Scheme: "sip", User: "alice", Host: "example.com"}
	res, err := one.Do(rig.ctx, query)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	if got := lines(res.GetHeaders("Contact")); len(got) != 1 || res.Contact().Address.User != one.Contact().User {
		t.Errorf("shown: %q", got)
	}
	if rig.store.Len() != 2 {
		t.Error("a query changed bindings")
	}
}
