package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"tandem/bridge"
	"tandem/gateway/guard"
)

// Alarm is somebody who spent too much, as /api/alarms has it.
type Alarm = guard.Alarm

// alarmed is whose alarms the operator's listener tells and releases.
type alarmed interface {
	Alarms() []Alarm
	Release(alarm uint64) int
}

// Alarms are the newest alarms of toll fraud, the newest first.
func (g *Gateway) Alarms() []Alarm { return g.tolls.Alarms() }

// Release ends the stop of an alarm, with 0 all stops, and returns how many ended.
func (g *Gateway) Release(alarm uint64) int { return g.tolls.Release(alarm) }

var _ alarmed = (*Gateway)(nil)

// alarmPages adds GET /api/alarms, and POST /api/release (?alarm=ID; else all), whose answer is that of /api/alarms.
func alarmPages(mux *http.ServeMux, of alarmed) {
	tell := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(of.Alarms())
	}
	mux.HandleFunc("GET /api/alarms", func(w http.ResponseWriter, _ *http.Request) { tell(w) })
	mux.Handle("POST /api/release", http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		alarm := uint64(0)
		if text := r.URL.Query().Get("alarm"); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil || n == 0 {
				http.Error(w, "alarm is not a number above 0", http.StatusBadRequest)
				return
			}
			alarm = n
		}
		if of.Release(alarm) == 0 && alarm != 0 {
			http.Error(w, "no stop of that alarm", http.StatusNotFound)
			return
		}
		tell(w)
	})))
}

// raised gives an alarm to the events and to the webhook.
func (g *Gateway) raised(a guard.Alarm) {
	g.events.CallEvent(bridge.Event{At: a.At, Alarm: &bridge.Alarm{
		ID: a.ID, Spending: a.Spending, User: a.User, Minutes: a.Minutes, Calls: a.Calls, Limit: a.Limit, Action: string(a.Action),
	}})
	g.webhook.send(a)
}

const (
	webhookQueue   = 64
	webhookTimeout = 5 * time.Second
)

// webhook posts alarms, one after another. Safe for concurrent use.
type webhook struct {
	log    *slog.Logger
	alarms chan guard.Alarm
	to     atomic.Pointer[string] // "": nobody
}

func newWebhook(log *slog.Logger) *webhook {
	return &webhook{log: log, alarms: make(chan guard.Alarm, webhookQueue)}
}

// send does not wait.
func (h *webhook) send(a guard.Alarm) {
	if to := h.to.Load(); to == nil || *to == "" {
		return
	}
	select {
	case h.alarms <- a:
	default:
		h.log.Error("alarm not posted: too many wait", "alarm", a.ID)
	}
}

// run posts until ctx ends.
func (h *webhook) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-h.alarms:
			if err := h.post(ctx, *h.to.Load(), a); err != nil {
				h.log.Error("alarm not posted", "alarm", a.ID, "error", err)
			}
		}
	}
}

func (h *webhook) post(ctx context.Context, to string, a guard.Alarm) error {
	if to == "" { // meanwhile
		return nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", to, res.Status)
	}
	return nil
}
