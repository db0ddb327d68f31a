package bridge

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/location"
	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// localWorld is a gateway that is the registrar of example.com, of browsers and of the phones behind the pool.
func localWorld(t *testing.T, with conditions) *world {
	t.Helper()
	with.routes = []route.Rule{
		{From: "browsers", Domain: "example.com", To: "browsers", Register: route.Local},
		{From: "pbx", To: "browsers", Register: route.Local},
	}
	with.gate = newGate(t)
	with.bridge.Domains = []string{"example.com"}
	return newWorld(t, with)
}

// joins opens a browser and registers alice at the gateway.
func (w *world) joins(opt wsstest.Options) (*wsstest.Browser, *sip.Response) {
	w.t.Helper()
	b := w.browser(opt)
	res, err := b.Register(w.ctx(), "alice", "secret")
	w.check(err)
	return b, res
}

// rings takes the call that a browser gets.
func (w *world) rings(b *wsstest.Browser) *wsstest.Call {
	w.t.Helper()
	call, err := b.NextCall(w.ctx())
	w.check(err)
	return call
}

// dial starts a call of the pool's agent with media.
func (w *world) dial(to string) *siptest.Outgoing {
	w.t.Helper()
	var uri sip.Uri
	w.check(sip.ParseUri(to, &uri))
	offer := w.rtp().Offer("sendrecv")
	out, err := w.agents[0].Invite(siptest.Call{To: uri, Target: w.sip.Addrs()[0], SDP: offer})
	w.check(err)
	return out
}

// All contacts of a user ring; who answers has the call.
func TestLocalUsersAreCalled(t *testing.T) {
	t.Parallel()
	w := localWorld(t, conditions{})
	one, _ := w.joins(wsstest.Options{})
	two, res := w.joins(wsstest.Options{})
	if n := len(res.GetHeaders("Contact")); n != 2 {
		t.Errorf("%d contacts are shown: %v", n, res.GetHeaders("Contact"))
	}
	bob := w.browser(wsstest.Options{})
	_, err := bob.Register(w.ctx(), "bob", "secret2")
	w.check(err)
	call, err := bob.Invite(w.ctx(), "alice", wsstest.InviteOptions{})
	w.check(err)
	first, second := w.rings(one), w.rings(two)
	w.check(second.Ring())
	w.check(first.Answer(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(second.Wait(w.ctx(), wsstest.Ended))
	w.check(call.Media().WaitTone(w.ctx(), 440))
	w.check(call.Bye(w.ctx()))
	w.check(first.Wait(w.ctx(), wsstest.Ended))

	// A PBX dials the gateway's own address.
	out := w.dial("sip:bob@" + w.sip.Addrs()[0].String())
	w.check(w.rings(bob).Reject(486, "Busy Here"))
	final, err := out.Final(w.ctx())
	w.check(err)
	if final.StatusCode != 486 {
		t.Errorf("the PBX heard %d", final.StatusCode)
	}
}

func TestLocalExpiry(t *testing.T) {
	t.Parallel()
	w := localWorld(t, conditions{bridge: Config{MinExpires: 30 * time.Second, MaxExpires: time.Minute}})
	for _, tt := range []struct {
		asked, status int
		granted, min  string
	}{{600, 200, "60", ""}, {30, 200, "30", ""}, {29, 423, "", "30"}, {1, 423, "", "30"}} {
		b := w.browser(wsstest.Options{Expires: tt.asked})
		res, err := b.Register(w.ctx(), "alice", "secret")
		if tt.status != 200 {
			if status := statusError(t, err); status != tt.status || header(res, "Min-Expires") != tt.min {
				t.Errorf("%d s: %d, Min-Expires %q", tt.asked, status, header(res, "Min-Expires"))
			}
			continue
		}
		w.check(err)
		if got := header(res, "Expires"); got != tt.granted {
			t.Errorf("%d s: granted %s", tt.asked, got)
		}
		if got := header(res, "Require"); got != "outbound" {
			t.Errorf("Require: %q", got)
		}
	}
}

func TestLocalRemovalAndQuery(t *testing.T) {
	t.Parallel()
	w := localWorld(t, conditions{})
	one, _ := w.joins(wsstest.Options{})
	two, _ := w.joins(wsstest.Options{})
	ask := func(b *wsstest.Browser, headers ...sip.Header) *sip.Response {
		req := b.NewRequest(sip.REGISTER, "sip:example.com")
		req.To().Address.User = "alice"
		for _, h := range headers {
			req.AppendHeader(h)
		}
		res, err := b.Do(w.ctx(), req)
		w.check(err)
		return res
	}
	if n := len(ask(one).GetHeaders("Contact")); n != 2 {
		t.Errorf("a query shows %d contacts", n)
	}
	_, err := two.Unregister(w.ctx())
	w.check(err)
	if n := len(ask(one).GetHeaders("Contact")); n != 1 {
		t.Errorf("after one left, %d contacts", n)
	}
	if res := ask(one, sip.NewHeader("Contact", "*"), sip.NewHeader("Expires", "60")); res.StatusCode != 400 {
		t.Errorf("a wildcard that does not remove: %d", res.StatusCode)
	}
	if res := ask(one, sip.NewHeader("Contact", "*"), sip.NewHeader("Expires", "0")); res.StatusCode != 200 || w.store.Len() != 0 {
		t.Errorf("after all left: %d, %d bindings", res.StatusCode, w.store.Len())
	}
}

// A page that comes back over another flow replaces its binding; one that is reloaded for ever fills nothing.
func TestLocalFlows(t *testing.T) {
	t.Parallel()
	w := localWorld(t, conditions{})
	old, _ := w.joins(wsstest.Options{Instance: "urn:uuid:00000000-0000-0000-0000-00000000000a"})
	old.Drop()
	again, res := w.joins(wsstest.Options{Instance: "urn:uuid:00000000-0000-0000-0000-00000000000a"})
	if n := len(res.GetHeaders("Contact")); n != 1 {
		t.Errorf("%d contacts", n)
	}
	for range maxBindings + 3 {
		page, _ := w.joins(wsstest.Options{})
		page.Drop()
		w.until("the page's connection is gone", func() bool { return w.wss.Stats().Connections == 1 })
	}
	if n := w.store.Len(); n > maxBindings {
		t.Errorf("%d bindings", n)
	}
	w.dial("sip:alice@example.com")
	w.check(w.rings(again).Reject(486, "Busy Here"))
}

// A GRUU rings its instance alone (RFC 5627); a temporary one says nothing of it.
func TestLocalGRUU(t *testing.T) {
	t.Parallel()
	w := localWorld(t, conditions{})
	one, _ := w.joins(wsstest.Options{Instance: "urn:uuid:00000000-0000-0000-0000-00000000000a"})
	two, res := w.joins(wsstest.Options{})
	own := ""
	for _, h := range res.GetHeaders("Contact") {
		if strings.Contains(h.Value(), "00000000000a") {
			own = h.Value()
		}
	}
	quoted := func(name string) string {
		_, rest, _ := strings.Cut(own, name+`="`)
		uri, _, _ := strings.Cut(rest, `"`)
		return uri
	}
	public, temporary := quoted("pub-gruu"), quoted("temp-gruu")
	if public != "sip:alice@example.com;gr=urn:uuid:00000000-0000-0000-0000-00000000000a" {
		t.Errorf("pub-gruu %q in %s", public, own)
	}
	if !strings.HasSuffix(temporary, "@example.com;gr") || strings.Contains(temporary, "alice") {
		t.Errorf("temp-gruu %q", temporary)
	}
	for _, uri := range []string{public, temporary} {
		out := w.dial(uri)
		w.check(w.rings(one).Reject(486, "Busy Here"))
		_, err := out.Final(w.ctx())
		w.check(err)
	}
	for _, uri := range []string{"sip:tgruu.aaaa@example.com;gr", "sip:alice@example.com;gr=urn:uuid:b"} {
		final, err := w.dial(uri).Final(w.ctx())
		w.check(err)
		if final.StatusCode != 404 {
			t.Errorf("%s: %d", uri, final.StatusCode)
		}
	}
	if strings.Contains(two.Ladder(), "INVITE") {
		t.Error("the other instance rang")
	}
}

// A phone behind the pool registers with a Path, and is called along it.
func TestLocalPhoneBehindAPool(t *testing.T) {
	t.Parallel()
	w := localWorld(t, conditions{})
	edge := w.agents[0].URI("")
	var domain sip.Uri
	w.check(sip.ParseUri("sip:example.com", &domain))
	var alice sip.ToHeader
	w.check(sip.ParseUri("sip:alice@example.com", &alice.Address))
	path := "<" + edge.String() + ";lr>, <sip:inner.example.com;lr>"
	out, err := w.agents[0].Start(sip.REGISTER, siptest.Call{
		To: domain, Target: w.sip.Addrs()[0], ToHeader: &alice, Headers: []sip.Header{
			sip.NewHeader("Contact", "<sip:alice@10.9.8.7:5062>"), sip.NewHeader("Path", path), sip.NewHeader("Supported", "path"),
			sip.NewHeader("Expires", "60"),
		},
	})
	w.check(err)
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 200 || header(res, "Path") == "" || header(res, "Contact") != "<sip:alice@10.9.8.7:5062>;expires=60" {
		t.Fatalf("%d, Path %q, Contact %q", res.StatusCode, header(res, "Path"), header(res, "Contact"))
	}
	browser, _ := w.joins(wsstest.Options{})
	bob := w.browser(wsstest.Options{})
	_, err = bob.Register(w.ctx(), "bob", "secret2")
	w.check(err)
	call, err := bob.Invite(w.ctx(), "alice", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	if uri := in.Request().Recipient.String(); uri != "sip:alice@10.9.8.7:5062" {
		t.Errorf("Request-URI %s", uri)
	}
	routes := in.Request().GetHeaders("Route")
	if len(routes) != 2 || !strings.Contains(routes[1].Value(), "inner.example.com") {
		t.Errorf("Route: %v", routes)
	}
	ringing := w.rings(browser) // both ring
	w.check(in.Respond(siptest.Reply{Status: 486}))
	w.check(ringing.Reject(486, "Busy Here"))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// What was registered is known after a restart, and a page that comes back replaces what it had.
func TestLocalSurvivesARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bindings.db")
	open := func() *location.File {
		f, err := location.OpenFile(path, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		return f
	}
	before := open()
	w := localWorld(t, conditions{store: before})
	w.joins(wsstest.Options{Instance: "urn:uuid:00000000-0000-0000-0000-00000000000a"})
	before.Close()

	after := open()
	w = localWorld(t, conditions{store: after})
	final, err := w.dial("sip:alice@example.com").Final(w.ctx())
	w.check(err)
	if final.StatusCode != 480 { // known, and not there
		t.Errorf("after the restart: %d", final.StatusCode)
	}
	b, res := w.joins(wsstest.Options{Instance: "urn:uuid:00000000-0000-0000-0000-00000000000a"})
	if n := len(res.GetHeaders("Contact")); n != 1 {
		t.Errorf("%d contacts", n)
	}
	w.dial("sip:alice@example.com")
	w.check(w.rings(b).Reject(486, "Busy Here"))
}
