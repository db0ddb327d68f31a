package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/bridge/identity"
	"tandem/turn"
	"tandem/wss"
)

// testServers answers as for a door with these origins, where the token "good" is alice's.
func testServers(t *testing.T, origins []string, server *turn.Server) iceServers {
	t.Helper()
	door, err := wss.New(wss.Config{Origins: origins, Authenticate: func(_ context.Context, c wss.Credentials) (any, error) {
		if c.Token != "good" {
			return nil, errors.New("not good")
		}
		return identity.Subject{Name: "alice", Until: time.Now().Add(time.Minute), Token: true}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return iceServers{admit: door.Admit, server: server, life: time.Hour, secure: []uint16{443}, now: time.Now}
}

func TestICEServersAreForWhoMayConnect(t *testing.T) {
	listed := []string{"https://phone.example.com"}
	for name, c := range map[string]struct {
		origins []string
		header  map[string]string
		status  int
		allow   string
	}{
		"no list, no origin":        {nil, nil, 200, ""},
		"no list":                   {nil, map[string]string{"Origin": "https://a.example"}, 200, "https://a.example"},
		"listed":                    {listed, map[string]string{"Origin": "https://phone.example.com"}, 200, "https://phone.example.com"},
		"not listed":                {listed, map[string]string{"Origin": "https://a.example"}, 403, ""},
		"the page's own, unlisted":  {listed, map[string]string{"Sec-Fetch-Site": "same-origin"}, 403, ""},
		"a good token":              {nil, map[string]string{"Authorization": "Bearer good"}, 200, ""},
		"a bad token":               {nil, map[string]string{"Authorization": "Bearer bad"}, 401, ""},
		"a good token, bad company": {listed, map[string]string{"Authorization": "Bearer good", "Origin": "https://a.example"}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := httptest.NewRequest("GET", "https://gw.example/ice.json", nil), httptest.NewRecorder()
			for key, value := range c.header {
				r.Header.Set(key, value)
			}
			testServers(t, c.origins, nil).ServeHTTP(w, r)
			if w.Code != c.status || w.Header().Get("Access-Control-Allow-Origin") != c.allow {
				t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
			}
			if c.status == 200 && w.Body.String() != "{\"iceServers\":[]}\n" {
				t.Error(w.Body)
			}
		})
	}
}

// A browser leaves the Origin out where the page is the gateway's own; that origin is judged all the same.
func TestOwnOriginOfThePhone(t *testing.T) {
	r, w := httptest.NewRequest("GET", "https://phone.example.com/ice.json", nil), httptest.NewRecorder()
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	testServers(t, []string{"https://phone.example.com"}, nil).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Error(w.Code, w.Body)
	}
}

func TestICEServersOfARelay(t *testing.T) {
	any4 := netip.MustParseAddrPort("127.0.0.1:0")
	server, err := turn.Open(turn.Config{
		Listen: []turn.Listen{{Network: "udp", Addr: any4}, {Network: "tcp", Addr: any4}}, Secrets: []string{"first", "second"},
		Relay: []turn.Address{{Listen: any4.Addr()}}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for name, c := range map[string]struct{ host, token, user string }{
		"by address": {"gw.example", "", "192.0.2.1"},
		"by token":   {"gw.example:8443", "Bearer good", "alice"},
		"IPv6":       {"[2001:db8::1]:443", "", "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := httptest.NewRequest("GET", "https://"+c.host+"/ice.json", nil), httptest.NewRecorder()
			r.Header.Set("Authorization", c.token)
			testServers(t, nil, server).ServeHTTP(w, r)
			var answer iceAnswer
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Servers) != 2 {
				t.Fatal(err, w.Body)
			}
			relay := answer.Servers[1]
			host := strings.TrimSuffix(strings.TrimSuffix(c.host, ":8443"), ":443")
			want := []string{
				"turn:" + host + ":" + port(server, 0) + "?transport=udp", "turn:" + host + ":" + port(server, 1) + "?transport=tcp",
				"turns:" + host + ":443?transport=tcp",
			}
			if !slices.Equal(relay.URLs, want) || !slices.Equal(answer.Servers[0].URLs, []string{"stun:" + host + ":" + port(server, 0)}) {
				t.Error(w.Body)
			}
			stamp, user, _ := strings.Cut(relay.Username, ":")
			if made := turn.Issue("first", user, *answer.Expires); user != c.user || made.Password != relay.Credential || !strings.HasPrefix(made.Username, stamp) {
				t.Errorf("%+v, %+v", relay, made)
			}
		})
	}
}

func port(s *turn.Server, i int) string {
	_, port, _ := strings.Cut(s.Addrs()[i].Addr.String(), ":")
	return port
}
