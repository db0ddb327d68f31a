package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"tandem/gateway/guard"
)

// banning is what the operator's listener does about bans.
type banning interface {
	Bans() []guard.Ban
	Lift(from netip.Addr, identity string) int
	BanFor(from netip.Addr, identity string, lasts time.Duration)
}

// longestBan is what an operator's ban lasts at most.
const longestBan = 365 * 24 * time.Hour

// serveBans adds /api/bans: GET lists the bans that hold. DELETE ?address=A lifts those of an address, with &identity=I that of one
// identity there, and tells how many; none is 404. POST ?address=A&for=1h[&identity=I] bans. A page of another site cannot have a
// browser send the latter two.
func serveBans(mux *http.ServeMux, of banning) {
	list := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(map[string][]guard.Ban{"bans": of.Bans()})
	}
	sameSite := http.NewCrossOriginProtection()
	mux.HandleFunc("GET /api/bans", func(w http.ResponseWriter, _ *http.Request) { list(w) })
	mux.Handle("DELETE /api/bans", sameSite.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddr(r.URL.Query().Get("address"))
		if err != nil {
			http.Error(w, "address is not an IP address", http.StatusBadRequest)
			return
		}
		n := of.Lift(from, r.URL.Query().Get("identity"))
		if n == 0 {
			http.Error(w, "there is no such ban", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"lifted\": %d}\n", n)
	})))
	mux.Handle("POST /api/bans", sameSite.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddr(r.URL.Query().Get("address"))
		lasts, bad := time.ParseDuration(r.URL.Query().Get("for"))
		switch {
		case err != nil:
			http.Error(w, "address is not an IP address", http.StatusBadRequest)
		case bad != nil || lasts <= 0 || lasts > longestBan:
			http.Error(w, "for is not a duration, such as 1h, of a year at most", http.StatusBadRequest)
		default:
			of.BanFor(from, r.URL.Query().Get("identity"), lasts)
			list(w)
		}
	})))
}

// Ban is one that holds, as /api/bans lists it.
type Ban = guard.Ban

var _ banning = (*guard.Guard)(nil)
