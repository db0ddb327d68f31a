package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// operated is what the operator's listener does, beside telling.
type operated interface {
	Drain(member string, on bool) error
	Reload() error
	banning() banning
}

func (g *Gateway) banning() banning { return g.guard }

// errNoMember is a name that no member and no trunk has.
var errNoMember = errors.New("there is no such member or trunk")

// Drain lets a member or trunk, by its name, take no new calls, or again some; "" is the whole gateway, which then answers new calls
// with 503 and is not ready. Running calls go on. When there are none any more the log says so, and /api/status.
func (g *Gateway) Drain(member string, on bool) error {
	if member != "" {
		b := g.sip.Backend(member)
		if b == nil {
			return fmt.Errorf("%w: %q; there are: %s", errNoMember, member, strings.Join(g.memberNames(), ", "))
		}
		b.Drain(on)
		return nil
	}
	said := map[bool]string{true: "gateway takes no new calls", false: "gateway takes new calls again"}
	g.log.Info(said[on], "calls", g.bridge.Stats().Calls)
	g.bridge.Drain(on, func() { g.log.Info("gateway is drained: it has no calls") })
	g.draining.Store(on)
	g.ready.Store(!on)
	return nil
}

func (g *Gateway) memberNames() []string {
	var names []string
	for _, b := range g.sip.Stats().Backends {
		names = append(names, b.Name)
	}
	return names
}

// operate adds POST /api/drain and /api/resume (?member=NAME; else all), whose answer is /api/status', and POST /api/reload, which
// answers 422 with what is wrong. A page of another site cannot have a browser send them.
func operate(mux *http.ServeMux, of observed, op operated) {
	drain := func(on bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := op.Drain(r.URL.Query().Get("member"), on); err != nil {
				http.Error(w, err.Error(), http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(newStatus(of))
		}
	}
	guard := http.NewCrossOriginProtection()
	mux.Handle("POST /api/drain", guard.Handler(drain(true)))
	mux.Handle("POST /api/resume", guard.Handler(drain(false)))
	mux.Handle("POST /api/reload", guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := op.Reload(); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})))
}

var _ operated = (*Gateway)(nil)
