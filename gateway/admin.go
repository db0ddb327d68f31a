package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem/bridge"
	"tandem/sipside"
	"tandem/turn"
)

// observed is what the operator's listener tells of.
type observed interface {
	figures() figures
	isReady() bool
	about() about
	calls(most int) []bridge.CallStatus
	relayUsers() map[string]turn.UserStats
	histograms() []prometheus.Collector
}

// about is what does not change while the process runs.
type about struct {
	Version string
	Node    uint16
	Started time.Time
}

func (g *Gateway) calls(most int) []bridge.CallStatus { return g.bridge.Calls(most) }
func (g *Gateway) histograms() []prometheus.Collector { return g.qualities.collectors() }
func (g *Gateway) isReady() bool                      { return g.ready.Load() }
func (g *Gateway) about() about {
	return about{Version: Version(), Node: g.cfg.node(), Started: g.started}
}

// adminServer is the operator's listener.
type adminServer struct {
	server   *http.Server
	listener net.Listener
	url      string
}

func openAdmin(listen netip.AddrPort, of observed, log *slog.Logger) (*adminServer, error) {
	listener, err := net.Listen("tcp", listen.String())
	if err != nil {
		return nil, fmt.Errorf("gateway: admin.listen: %w", err)
	}
	if !listen.Addr().IsLoopback() {
		log.Warn("the operator's listener asks nobody who they are; keep it away from strangers", "listen", listener.Addr().String())
	}
	return &adminServer{
		server:   newHTTPServer(adminPages(of), log),
		listener: listener,
		url:      "http://" + listener.Addr().String(),
	}, nil
}

func (a *adminServer) serve() error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("gateway: admin listener: %w", err)
	}
	return nil
}

// close ends it at once: what it would still tell is over. Safe to call twice.
func (a *adminServer) close() {
	a.server.Close()
	a.listener.Close() // where it was never served
}

// adminPages: /healthz is 200 while the process lives, /readyz while it takes new calls (503 before and after), /metrics is
// Prometheus', /api/status the same at a glance, /api/calls the running calls with their quality (?limit=, 1000 by default), /api/turn
// the relay and its users, /api/bans whom the guard keeps out, /api/alarms those of toll fraud, /debug/pprof/ the profiles of Go's
// runtime.
func adminPages(of observed) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !of.isReady() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(of), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(newStatus(of))
	})
	mux.HandleFunc("GET /api/turn", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(newRelayStatus(of))
	})
	mux.HandleFunc("GET /api/calls", func(w http.ResponseWriter, r *http.Request) { serveCalls(w, r, of) })
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if op, ok := of.(operated); ok {
		operate(mux, of, op)
		serveBans(mux, op.banning())
	}
	if alarms, ok := of.(alarmed); ok {
		alarmPages(mux, alarms)
	}
	return mux
}

const callsShown = 1000

func serveCalls(w http.ResponseWriter, r *http.Request, of observed) {
	most := callsShown
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			http.Error(w, "limit is not a number above 0", http.StatusBadRequest)
			return
		}
		most = n
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(of.calls(most))
}

// status is the answer of /api/status.
type status struct {
	Version       string          `json:"version"`
	Node          uint16          `json:"node"`
	Started       time.Time       `json:"started"`
	Ready         bool            `json:"ready"`
	Draining      bool            `json:"draining"`
	Loaded        loadedStatus    `json:"configuration"`
	Browsers      int             `json:"browsers"` // connections
	Registrations int             `json:"registrations"`
	Calls         int             `json:"calls"` // running
	Allocations   int             `json:"turn_allocations"`
	Refused       refusedStatus   `json:"refused"`
	Limits        limitsStatus    `json:"limits"`
	Backends      []backendStatus `json:"backends"`
}

type loadedStatus struct {
	Read    time.Time `json:"read"`              // when the one that is obeyed was
	Refused string    `json:"refused,omitempty"` // why one that was read later is not obeyed
}

type limitsStatus struct {
	Calls   int               `json:"calls"`   // that count against the process's
	Users   int               `json:"users"`   // that are counted
	Sources int               `json:"sources"` //
	CPU     float64           `json:"cpu"`     // shares of 1, when a new call made the limits look
	Memory  float64           `json:"memory"`
	Ports   float64           `json:"ports"`
	Refused map[string]uint64 `json:"refused"` // calls, by limit; those of pools, trunks and members stand there
}

func newLimitsStatus(b bridge.Stats) limitsStatus {
	a := b.Admission
	s := limitsStatus{
		Calls: a.Calls, Users: a.Users, Sources: a.Sources, CPU: a.Load.CPU, Memory: a.Load.Memory, Ports: a.Load.Ports,
		Refused: map[string]uint64{"overload": b.Overloads},
	}
	for limit, n := range a.Refused {
		s.Refused[limit] = n
	}
	return s
}

// refusedStatus is who was not let in, or let go, on the browsers' side, by why; as in /metrics.
type refusedStatus struct {
	Connections map[string]uint64 `json:"connections"` // closed unheard
	Handshakes  map[string]uint64 `json:"handshakes"`  // of WebSockets
	Closed      map[string]uint64 `json:"closed"`      // WebSockets, also those that ended well
}

type backendStatus struct {
	Name      string  `json:"name"`
	Pool      string  `json:"pool"`
	State     string  `json:"state"` // "up", "starting", "resting", "down", "draining", "drained"
	Alive     bool    `json:"alive"`
	Reason    string  `json:"reason,omitempty"` // why it is not
	LatencyMS float64 `json:"latency_ms"`       // of answered probes, moving average
	Calls     int     `json:"calls"`            // that have a leg there
	Weight    int     `json:"weight"`
	Priority  int     `json:"priority"`

	Refused map[string]uint64 `json:"refused,omitempty"` // new calls, by limit: the member's own, and "pool-" its pool's or trunk's

	Registration *registrationStatus `json:"registration,omitempty"` // of trunks that are registered at
}

type registrationStatus struct {
	Registered bool `json:"registered"`
	Status     int  `json:"status"` // of the last final response to a REGISTER; 0: none came
}

// registrationOf is nil for a backend that is not registered at.
func registrationOf(b sipside.BackendStats) *registrationStatus {
	if !b.Registers {
		return nil
	}
	return &registrationStatus{b.Registered, b.RegisterStatus}
}

func newStatus(of observed) status {
	a, f := of.about(), of.figures()
	s := status{
		Version: a.Version, Node: a.Node, Started: a.Started,
		Ready: of.isReady(), Draining: f.Draining,
		Loaded:   loadedStatus{time.Unix(f.Loaded.At, 0).UTC(), f.Loaded.Refused},
		Browsers: f.WSS.Connections, Registrations: f.Bridge.Registrations, Calls: f.Bridge.Calls, Allocations: f.TURN.Allocations,
		Refused:  refusedStatus{f.Front.Refused, f.WSS.Refused, f.WSS.Closed},
		Limits:   newLimitsStatus(f.Bridge),
		Backends: make([]backendStatus, 0, len(f.SIP.Backends)),
	}
	for _, b := range f.SIP.Backends {
		s.Backends = append(s.Backends, backendStatus{
			Name: b.Name, Pool: b.Pool, State: b.State, Alive: b.Alive, Reason: b.Reason, LatencyMS: float64(b.Latency.Microseconds()) / 1000,
			Calls: b.Calls, Weight: b.Weight, Priority: b.Priority,
			Registration: registrationOf(b), Refused: refusedAt(f.Bridge, b),
		})
	}
	return s
}

// refusedAt are the calls that limits kept from a backend.
func refusedAt(f bridge.Stats, b sipside.BackendStats) map[string]uint64 {
	out := map[string]uint64{}
	for limit, n := range f.Members[b.Name] {
		out[limit] = n
	}
	for limit, n := range f.Peers[b.Pool].Capped {
		out["pool-"+limit] = n
	}
	return out
}

// relayStatus is the answer of /api/turn.
type relayStatus struct {
	Allocations int                    `json:"allocations"`
	Opened      uint64                 `json:"opened"`
	Connections int                    `json:"connections"`
	PacketsOut  uint64                 `json:"packets_out"` // to peers
	PacketsIn   uint64                 `json:"packets_in"`
	BytesOut    uint64                 `json:"bytes_out"`
	BytesIn     uint64                 `json:"bytes_in"`
	Refused     map[string]uint64      `json:"refused"` // by why
	Users       map[string]relayedUser `json:"users"`   // that have allocations
}

type relayedUser struct {
	Allocations int    `json:"allocations"`
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
}

func newRelayStatus(of observed) relayStatus {
	t := of.figures().TURN
	s := relayStatus{
		Allocations: t.Allocations, Opened: t.Opened, Connections: t.Connections, PacketsOut: t.PacketsOut, PacketsIn: t.PacketsIn,
		BytesOut: t.BytesOut, BytesIn: t.BytesIn, Refused: t.Refused, Users: make(map[string]relayedUser),
	}
	for name, u := range of.relayUsers() {
		s.Users[name] = relayedUser{u.Allocations, u.Packets, u.Bytes}
	}
	return s
}

// Version is the module's version, or the revision that it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}
