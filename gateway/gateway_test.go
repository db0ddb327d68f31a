package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/bridge"
	"tandem/wss/wsstest"
)

// logLines is a log that several goroutines write.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// run starts what a test looks at and gives its end: Run's error. The gateway ends with the test at the latest.
func running(t *testing.T, g interface {
	Run(context.Context) error
	Close()
}) (drain context.CancelFunc, ended chan error) {
	t.Helper()
	ctx, drain := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		drain()
		g.Close()
	})
	return drain, ended
}

func inTime(t *testing.T, ended chan error, what string) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("%s: Run has not returned", what)
		return nil
	}
}

// answer is the status of a GET, 0 where nobody answers.
func answer(url string) int {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

const small = least + "admin: {listen: 127.0.0.1:0}\nmedia: {listen: 127.0.0.1:0, rtp: {ports: 42000-42099}}\n"

func TestRunServesAndEnds(t *testing.T) {
	cfg, err := parse(t, strings.Replace(small, "listen: 127.0.0.1:0", "listen: http://127.0.0.1:0", 1))
	if err != nil {
		t.Fatal(err)
	}
	log := &logLines{}
	g, err := New(cfg, Options{LogTo: log})
	if err != nil {
		t.Fatal(err)
	}
	drain, ended := running(t, g)
	until(t, "ready", func() bool { return answer(g.AdminURL()+"/readyz") == http.StatusOK })
	for _, url := range []string{g.URLs()[0] + "/", g.URLs()[0] + "/ice.json", g.AdminURL() + "/healthz", g.AdminURL() + "/metrics", g.AdminURL() + "/api/status"} {
		if got := answer(url); got != http.StatusOK {
			t.Errorf("%s: %d", url, got)
		}
	}
	if got := answer(g.URLs()[0] + "/sip"); got != http.StatusUpgradeRequired && got != http.StatusBadRequest {
		t.Errorf("/sip without a handshake: %d", got)
	}
	if g.SIPAddrs()[0].Port() == 0 || g.MediaAddrs()[0].Port() == 0 || len(g.Backends()) != 1 {
		t.Errorf("%v, %v, %v", g.SIPAddrs(), g.MediaAddrs(), g.Backends())
	}
	if err := g.Run(context.Background()); err == nil {
		t.Error("Run was taken twice")
	}
	drain()
	if err := inTime(t, ended, "idle"); err != nil {
		t.Error(err)
	}
	if answer(g.URLs()[0]+"/") != 0 || answer(g.AdminURL()+"/healthz") != 0 {
		t.Error("a listener is still open")
	}
	for _, word := range []string{"serving", "draining", "ended"} {
		if !strings.Contains(log.String(), "msg="+word) {
			t.Errorf("%q is not in the log:\n%s", word, log)
		}
	}
}

func TestCloseBeforeRun(t *testing.T) {
	cfg, err := parse(t, small)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, Options{LogTo: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	g.Close()
	if err := g.Run(context.Background()); err == nil {
		t.Error("Run after Close")
	}
	if answer(g.AdminURL()+"/healthz") != 0 {
		t.Error("still open")
	}
}

// What was opened is closed when a later part cannot be: the admin listener is the last to open.
func TestNewClosesWhatItOpened(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.88:0") // nobody else is at this address: the port stays free
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	text := strings.Replace(small, "admin: {listen: 127.0.0.1:0}", "admin: {listen: "+taken.Addr().String()+"}", 1)
	cfg, err := parse(t, strings.Replace(text, "https: {listen: 127.0.0.1:0}", "https: {listen: "+free.Addr().String()+"}", 1))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second would fail on the https listener if the first had left it open
		if _, err := New(cfg, Options{LogTo: io.Discard}); err == nil || !strings.Contains(err.Error(), "admin.listen") {
			t.Errorf("%v", err)
		}
	}
}

func TestRunEndsWhenAListenerFails(t *testing.T) {
	cfg, err := parse(t, small)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, Options{LogTo: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	_, ended := running(t, g)
	until(t, "ready", g.isReady)
	g.web.listeners[0].Close()
	if err := inTime(t, ended, "failed listener"); err == nil {
		t.Error("no error")
	}
}

// events keeps the events of calls.
type events struct {
	mu  sync.Mutex
	all []bridge.Event
}

func (e *events) CallEvent(ev bridge.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// talking is a demo with a browser that talks to the echo.
type talking struct {
	*Demo
	url    string // of the WebSockets
	drain  context.CancelFunc
	ended  chan error
	events *events
	log    *logLines
	call   *wsstest.Call
	ctx    context.Context
}

func talk(t *testing.T) *talking {
	t.Helper()
	x := &talking{events: &events{}, log: &logLines{}}
	var out bytes.Buffer
	var err error
	x.Demo, err = NewDemo(DemoOptions{Port0: true, Out: &out, Options: Options{LogTo: x.log, Events: x.events}})
	if err != nil {
		t.Fatal(err)
	}
	x.drain, x.ended = running(t, x.Demo)
	if !strings.Contains(out.String(), x.URLs()[0]) || !strings.Contains(out.String(), "600") {
		t.Errorf("what a newcomer reads:\n%s", out.String())
	}
	x.url = "ws" + strings.TrimPrefix(x.URLs()[0], "http") + "/sip"
	var stop context.CancelFunc
	x.ctx, stop = context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(stop)
	b := x.browser(t)
	if _, err := b.Register(x.ctx, "alice", "whatever"); err != nil {
		t.Fatalf("%v\n%s", err, x.log)
	}
	if x.call, err = b.Invite(x.ctx, "600", wsstest.InviteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := x.call.Wait(x.ctx, wsstest.Confirmed); err != nil {
		t.Fatalf("%v\n%s", err, x.log)
	}
	if err := x.call.Media().WaitTone(x.ctx, 440); err != nil {
		t.Fatalf("the echo: %v\n%s", err, x.log)
	}
	t.Cleanup(func() {
		for _, fault := range b.Faults() {
			t.Error(fault)
		}
		if t.Failed() {
			t.Logf("%s\n%s", b.Ladder(), x.log)
		}
	})
	return x
}

func (x *talking) browser(t *testing.T) *wsstest.Browser {
	t.Helper()
	b, err := wsstest.Dial(x.ctx, x.url, wsstest.Options{NewSession: func() (wsstest.Session, error) {
		return wsstest.NewMedia(wsstest.MediaOptions{Codecs: []string{"PCMU"}})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// record is the record of the only call.
func (x *talking) record(t *testing.T) bridge.Record {
	t.Helper()
	x.events.mu.Lock()
	defer x.events.mu.Unlock()
	for _, e := range x.events.all {
		if e.Record != nil {
			return *e.Record
		}
	}
	t.Fatalf("no record among %d events", len(x.events.all))
	return bridge.Record{}
}

// SIGTERM's first half: not ready, no new calls, the running one goes on until it ends, and with it the process.
func TestDrainLetsCallsEnd(t *testing.T) {
	x := talk(t)
	x.drain()
	until(t, "not ready", func() bool { return answer(x.AdminURL()+"/readyz") == http.StatusServiceUnavailable })
	late := x.browser(t)
	call, err := late.Invite(x.ctx, "600", wsstest.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var refused *wsstest.StatusError
	if err := call.Wait(x.ctx, wsstest.Confirmed); !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new call while draining: %v", err)
	}
	res, err := http.Get(x.AdminURL() + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s status
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil || s.Ready || !s.Draining || s.Calls != 1 {
		t.Errorf("status: %+v, %v", s, err)
	}
	heard := x.call.Media().Received()
	if err := x.call.Media().WaitReceived(x.ctx, heard+10); err != nil {
		t.Errorf("the running call: %v", err)
	}
	if err := x.call.Bye(x.ctx); err != nil {
		t.Error(err)
	}
	if err := inTime(t, x.ended, "after the last call"); err != nil {
		t.Error(err)
	}
	if r := x.record(t); r.By != "caller" || r.Status != 200 {
		t.Errorf("record: %+v", r)
	}
}

// A call that does not end by itself gets its BYE when shutdown-timeout has passed.
func TestDrainEndsCallsAfterTheLimit(t *testing.T) {
	x := talk(t)
	x.Gateway.cfg.ShutdownTimeout = 300 * time.Millisecond // nobody reads it before drain
	start := time.Now()
	x.drain()
	if _, err := x.call.WaitReceived(x.ctx, wsstest.Request("BYE")); err != nil {
		t.Error(err)
	}
	if err := inTime(t, x.ended, "after the limit"); err != nil || time.Since(start) < 300*time.Millisecond {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if r := x.record(t); r.By != "gateway" {
		t.Errorf("record: %+v", r)
	}
}

// SIGTERM twice: both legs get their BYE, and the process ends.
func TestCloseEndsCalls(t *testing.T) {
	x := talk(t)
	x.drain()
	until(t, "not ready", func() bool { return !x.isReady() })
	closed := make(chan struct{})
	go func() {
		x.Close()
		close(closed)
	}()
	if _, err := x.call.WaitReceived(x.ctx, wsstest.Request("BYE")); err != nil {
		t.Error(err)
	}
	if err := inTime(t, x.ended, "Close"); err != nil {
		t.Error(err)
	}
	<-closed
	if r := x.record(t); r.By != "gateway" {
		t.Errorf("record: %+v", r)
	}
}
