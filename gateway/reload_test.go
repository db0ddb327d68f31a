package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// reloadable runs a gateway whose configuration is a file; write gives it another text, %s the members of its pool.
func reloadable(t *testing.T, text string) (g *Gateway, write func(text string), log *lockedBuffer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tandem.yaml")
	write = func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	cfg, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	log = &lockedBuffer{}
	g, err = New(cfg, Options{LogTo: log, Load: func() (Config, error) { return Load(file) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return g, write, log
}

type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

func reloadText(pools, routes string) string {
	return fmt.Sprintf("https: {listen: 127.0.0.1:0}\nsip: {listen: udp://127.0.0.1:0}\nmedia: {listen: 127.0.0.1:0}\n"+
		"admin: {listen: 127.0.0.1:0}\npools: {%s}\nroutes: [%s]\n", pools, routes)
}

const (
	onePool  = `pbx: {members: [sip:127.0.0.2:5060, sip:127.0.0.3:5060], probe: off}`
	oneRoute = `{from: browsers, to: pbx}, {from: pbx, to: browsers}`
)

func names(g *Gateway) string {
	var all []string
	for _, b := range g.Backends() {
		all = append(all, fmt.Sprintf("%s*%d", b.Name, b.Weight))
	}
	return strings.Join(all, " ")
}

// eventuallyIs polls for what happens beside.
func eventuallyIs(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	g, write, _ := reloadable(t, reloadText(onePool, oneRoute))
	kept := g.sip.Backend("pbx/127.0.0.2:5060")
	write(reloadText(`pbx: {order: weighted, members: [{uri: "sip:127.0.0.2:5060", weight: 7}, sip:127.0.0.4:5060], probe: off}, other: {members: sip:127.0.0.5, probe: off}`,
		oneRoute+`, {from: other, to: browsers}`))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	const after = "other/127.0.0.5:5060*1 pbx/127.0.0.2:5060*7 pbx/127.0.0.4:5060*1"
	eventuallyIs(t, "the member that is gone has left", func() bool { return names(g) == after })
	if g.sip.Backend("pbx/127.0.0.2:5060") != kept {
		t.Error("a member that stayed is another one")
	}
	for _, wrong := range []struct{ text, want string }{
		{reloadText(`pbx: {order: alphabetic, members: sip:127.0.0.9}`, oneRoute), "alphabetic"},
		{reloadText(onePool, `{from: browsers, to: nowhere}`), "nowhere"},
		{"pools: [", ""},
		{strings.Replace(reloadText(onePool, oneRoute), "media: {", "media: {workers: 3, ", 1), "3:1: media: has changed, and that wants a restart"},
	} {
		write(wrong.text)
		if err := g.Reload(); err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s\nerror %v", wrong.text, err)
		}
		if names(g) != after {
			t.Errorf("a wrong configuration changed the members: %s", names(g))
		}
	}
}

// What became of the file is told to whoever looks later, too; the log's level changes with it.
func TestReloadIsTold(t *testing.T) {
	t.Parallel()
	g, write, log := reloadable(t, reloadText(onePool, oneRoute))
	told := func() loadedStats { return g.figures().Loaded }
	if s := told(); s.At != g.started.Unix() || s.Refused != "" {
		t.Errorf("at the start: %+v", s)
	}
	const one = "log: {level: "
	for _, step := range []struct{ text, refused string }{
		{"pools: 1", "pools"},
		{reloadText(onePool, oneRoute) + one + "info, format: json}\n", "log: has changed, and that wants a restart; a reload changes pools, trunks, routes, guard, limits, fraud and log.level"},
		{reloadText(onePool, oneRoute) + one + "debug}\n", ""},
	} {
		write(step.text)
		err := g.Reload()
		if s := told(); (err != nil) != (step.refused != "") || !strings.Contains(s.Refused, step.refused) || (s.Refused == "") != (err == nil) {
			t.Errorf("%s\n%v, told %+v", step.text, err, s)
		}
	}
	g.log.Debug("a word in private")
	if !strings.Contains(log.String(), "a word in private") {
		t.Error("the level of the log is that of before")
	}
}

func TestOperatorDrainsAndReloads(t *testing.T) {
	t.Parallel()
	g, write, log := reloadable(t, reloadText(onePool, oneRoute))
	eventuallyIs(t, "ready", g.isReady)
	post := func(path string, headers ...string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, g.AdminURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(headers) > 0 {
			req.Header.Set(headers[0], headers[1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body) // an empty one fails the test below
		return res.StatusCode, string(text)
	}
	if status, text := post("/api/drain?member=pbx/127.0.0.3:5060"); status != 200 || !strings.Contains(text, `"state":"drained"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := post("/api/drain?member=pbx"); status != 404 || !strings.Contains(text, "pbx/127.0.0.2:5060, pbx/127.0.0.3:5060") {
		t.Errorf("draining nobody: %d %s", status, text)
	}
	if status, text := post("/api/resume?member=pbx/127.0.0.3:5060"); status != 200 || strings.Contains(text, "drained") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := post("/api/drain"); status != 200 || !strings.Contains(text, `"draining":true`) || g.isReady() {
		t.Errorf("%d %s", status, text)
	}
	if !strings.Contains(log.String(), `msg="backend takes no new calls" backend=pbx/127.0.0.3:5060`) || !strings.Contains(log.String(), `msg="gateway takes no new calls"`) {
		t.Errorf("the log does not tell who drains:\n%s", log)
	}
	eventuallyIs(t, "it tells that it is empty", func() bool { return strings.Contains(log.String(), "gateway is drained") })
	if status, _ := post("/api/resume"); status != 200 || !g.isReady() {
		t.Errorf("resume: %d, ready %v", status, g.isReady())
	}
	if status, _ := post("/api/drain", "Sec-Fetch-Site", "cross-site"); status != 403 || !g.isReady() {
		t.Errorf("a page of another site drains the gateway: %d", status)
	}
	if status, _ := post("/api/reload"); status != 204 {
		t.Errorf("reload: %d", status)
	}
	write("pools: 1")
	if status, text := post("/api/reload"); status != 422 || !strings.Contains(text, "pools") {
		t.Errorf("a wrong file: %d %s", status, text)
	}
}

// Members by a file and by HTTP follow what these say; where they say nothing good, those of before stay.
func TestMembersBySource(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	said := `[sip:127.0.0.6:5060]`
	say := func(text string) { mu.Lock(); said = text; mu.Unlock() }
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		io.WriteString(w, said)
	}))
	defer web.Close()
	list := filepath.Join(t.TempDir(), "members.yaml")
	if err := os.WriteFile(list, []byte("- sip:127.0.0.7:5060\n- {uri: \"sip:127.0.0.8:5060\", weight: 3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, _, log := reloadable(t, reloadText(
		`web: {source: {url: "`+web.URL+`", every: 10ms}, probe: off}, file: {members: sip:127.0.0.2, source: {file: `+list+`, every: 10ms}, probe: off}`,
		`{from: browsers, to: web}, {from: browsers, to: file}`))
	const file = "file/127.0.0.2:5060*1 file/127.0.0.7:5060*1 file/127.0.0.8:5060*3 "
	if got := names(g); got != file+"web/127.0.0.6:5060*1" {
		t.Errorf("at the start: %s", got)
	}
	say(`["sip:127.0.0.6:5060", {"uri": "sip:127.0.0.9:5060", "weight": 5}]`)
	eventuallyIs(t, "a member is added", func() bool { return names(g) == file+"web/127.0.0.6:5060*1 web/127.0.0.9:5060*5" })
	for _, wrong := range []string{`[]`, `nonsense`, `["sip:127.0.0.6", {"uri": "sip:127.0.0.9", "weight": 500}]`} {
		before := strings.Count(log.String(), "those of before stay")
		say(wrong)
		eventuallyIs(t, wrong+" is complained of", func() bool { return strings.Count(log.String(), "those of before stay") > before })
		if got := names(g); got != file+"web/127.0.0.6:5060*1 web/127.0.0.9:5060*5" {
			t.Errorf("%s changed the members: %s", wrong, got)
		}
		say(`["sip:127.0.0.6:5060", {"uri": "sip:127.0.0.9:5060", "weight": 5}]`)
	}
	say(`["sip:127.0.0.9:5060"]`)
	eventuallyIs(t, "a member leaves", func() bool { return names(g) == file+"web/127.0.0.9:5060*1" })
}

// A reload asks the sources, too, and the figures say of which use they are.
func TestReloadAsksSources(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "members.yaml")
	say := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	say("[sip:127.0.0.7:5060]")
	g, write, _ := reloadable(t, reloadText(`pbx: {members: sip:127.0.0.2:5060, source: {file: `+list+`, every: 1h}, probe: off}`, oneRoute))
	reload := func() {
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	good := func() string { return fmt.Sprint(g.figures().Sources) }
	if got := good(); got != "map[pbx:true]" {
		t.Errorf("at the start: %s", got)
	}
	say("[sip:127.0.0.8:5060]")
	reload()
	eventuallyIs(t, "the members are those of the file", func() bool { return names(g) == "pbx/127.0.0.2:5060*1 pbx/127.0.0.8:5060*1" })
	say("nonsense")
	reload()
	eventuallyIs(t, "the source is of no use", func() bool { return good() == "map[pbx:false]" })
	write(reloadText(onePool, oneRoute))
	reload()
	if got := good(); got != "map[]" {
		t.Errorf("without a source: %s", got)
	}
}
