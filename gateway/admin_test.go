package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tandem/bridge"
	"tandem/sipside"
	"tandem/turn"
	"tandem/wss"
)

type fixed struct {
	ready bool
	f     figures

	running []bridge.CallStatus
}

func (x *fixed) figures() figures                   { return x.f }
func (x *fixed) calls(most int) []bridge.CallStatus { return x.running[:min(most, len(x.running))] }
func (x *fixed) relayUsers() map[string]turn.UserStats {
	return map[string]turn.UserStats{"alice": {Allocations: 2, Packets: 3, Bytes: 4}}
}
func (x *fixed) histograms() []prometheus.Collector { return nil }
func (x *fixed) isReady() bool                      { return x.ready }
func (x *fixed) about() about                       { return about{Version: "v1", Node: 3, Started: time.Unix(9, 0).UTC()} }

func get(t *testing.T, of observed, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	adminPages(of).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestHealthAndReadiness(t *testing.T) {
	x := &fixed{}
	for _, ready := range []bool{false, true, false} {
		x.ready = ready
		want := http.StatusServiceUnavailable
		if ready {
			want = http.StatusOK
		}
		if code, _ := get(t, x, "/readyz"); code != want {
			t.Errorf("ready %v: %d", ready, code)
		}
		if code, _ := get(t, x, "/healthz"); code != http.StatusOK {
			t.Errorf("healthz: %d", code)
		}
	}
	if code, _ := get(t, x, "/api/nothing"); code != http.StatusNotFound {
		t.Errorf("unknown path: %d", code)
	}
}

func TestStatus(t *testing.T) {
	x := &fixed{ready: true, f: figures{
		Loaded: loadedStats{At: 8, Refused: "3:1: media"},
		WSS:    wss.Stats{Connections: 4},
		Bridge: bridge.Stats{Calls: 2, Registrations: 3},
		SIP:    sipside.Stats{Backends: []sipside.BackendStats{{Name: "pbx/a:5060", Pool: "pbx", Alive: true, Latency: 1500 * time.Microsecond}, {Reason: "no answers"}}},
	}}
	_, body := get(t, x, "/api/status")
	var got status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := status{Version: "v1", Node: 3, Started: time.Unix(9, 0).UTC(), Ready: true, Browsers: 4, Registrations: 3, Calls: 2,
		Loaded:   loadedStatus{Read: time.Unix(8, 0).UTC(), Refused: "3:1: media"},
		Limits:   limitsStatus{Refused: map[string]uint64{"overload": 0}},
		Backends: []backendStatus{{Name: "pbx/a:5060", Pool: "pbx", Alive: true, LatencyMS: 1.5}, {Reason: "no answers"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// fill sets every number and flag to another value, every map to one entry and every slice to one element.
func fill(v reflect.Value, next *uint64) {
	*next++
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*next))
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(*next)
	case reflect.Float64:
		v.SetFloat(float64(*next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("word")
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), next)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		item := reflect.New(v.Type().Elem()).Elem()
		fill(item, next)
		v.SetMapIndex(reflect.ValueOf("why"), item)
	default:
		panic("fill: " + v.Type().String())
	}
}

// Every figure of every package's Stats reaches /metrics: a counter that is added there and not here fails this test.
func TestEveryFigureIsAMetric(t *testing.T) {
	x := &fixed{}
	_, idle := get(t, x, "/metrics")
	if !strings.Contains(idle, `tandem_build_info{version="v1"} 1`) || !strings.Contains(idle, "tandem_calls 0") ||
		!strings.Contains(idle, "process_open_fds") || !strings.Contains(idle, "go_goroutines") {
		t.Errorf("idle:\n%s", idle)
	}
	for _, line := range []string{"tandem_config_last_reload_successful 1", "tandem_config_last_reload_success_timestamp_seconds 0"} {
		if !strings.Contains(idle, line) {
			t.Errorf("idle, %s is missing", line)
		}
	}
	next := uint64(7_000_000) // apart from every other number on the page
	fill(reflect.ValueOf(&x.f).Elem(), &next)
	code, page := get(t, x, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, page)
	}
	faults, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("%s: %s", f.Metric, f.Text)
	}
	var missing func(path string, v reflect.Value)
	missing = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				missing(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			missing(path+"[0]", v.Index(0))
		case reflect.Map:
			missing(path+"[why]", v.MapIndex(reflect.ValueOf("why")))
		case reflect.Int, reflect.Uint64, reflect.Float64:
			number := v.Convert(reflect.TypeFor[uint64]()).Uint()
			text, _ := json.Marshal(float64(number) / 1e6)
			if !strings.Contains(page, strings.TrimSuffix(string(text), "0")+"e+06") {
				t.Errorf("figures%s = %d is not on /metrics", path, number)
			}
		}
	}
	missing("", reflect.ValueOf(x.f))
	for _, line := range []string{"tandem_draining 1", "tandem_config_last_reload_successful 0", `tandem_backend_state{backend="word",pool="word",state="drained"} 0`, `tandem_pool_source_up{pool="why"} 1`,
		`tandem_calls_ended_total{reason="why"}`, `tandem_media_drops_total{reason="why"}`,
		`tandem_backend_up{backend="word",pool="word"} 1`, `tandem_sip_messages_total{direction="in",door="browsers"}`} {
		if !strings.Contains(page, line) {
			t.Errorf("%s is missing", line)
		}
	}
}

func TestLogger(t *testing.T) {
	for _, c := range []struct {
		cfg  Log
		want string
	}{
		{Log{}, "level=INFO msg=info call=1\n"},
		{Log{Level: "debug"}, "level=DEBUG msg=debug call=1\n"},
		{Log{Level: "warn"}, ""},
		{Log{Level: "error", Format: "json"}, ""},
		{Log{Format: "json"}, `"level":"INFO","msg":"info","call":"1"`},
	} {
		var out bytes.Buffer
		log := newLogger(c.cfg, c.cfg.level(), &out)
		log.Debug("debug", "call", "1")
		log.Info("info", "call", "1")
		if got := out.String(); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%+v: %q", c.cfg, got)
		}
	}
}

// The runtime raises the soft limit of open files to the hard one by itself (os, since Go 1.19); the gateway relies on that.
func TestOpenFilesLimitIsRaised(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur+1 < limit.Max {
		t.Errorf("%d of %d", limit.Cur, limit.Max)
	}
}
