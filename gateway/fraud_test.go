package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/bridge"
	"tandem/gateway/guard"
)

const fraudText = `fraud:
  classes: {national: {prefix: "+49"}, premium: {prefix: ["+49900", "+882"], table: TABLE}}
  spending:
    exotic: {class: premium, prefix: "+53", via: [pbx], user: {minutes: 1, calls: 1}, total: {minutes: 10}, per: 1h, action: end}
    all: {user: {calls: 3}, action: alarm}
  hold: HOLD
  status: 503
  webhook: "WEBHOOK"
`

func TestFaultsOfFraud(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fraud: {classes: {a b: {prefix: 1}}}":                     `fraud.classes.a b: the name "a b" has more than`,
		"fraud: {classes: {a: {}}}":                                `t.yaml:5:19: fraud.classes.a: has neither prefix nor table`,
		"fraud: {classes: {a: {table: /nowhere}}}":                 `fraud.classes.a.table: open /nowhere`,
		"fraud: {spending: {a: {}}}":                               `fraud.spending.a: says neither of user nor of total`,
		"fraud: {spending: {a: {class: b, user: {calls: 1}}}}":     `fraud.spending.a.class[0]: "b" is no class`,
		"fraud: {spending: {a: {via: b, user: {calls: 1}}}}":       `fraud.spending.a.via[0]: "b" is not one of pbx`,
		"fraud: {spending: {a: {per: 1s, user: {calls: 1}}}}":      `fraud.spending.a.per: 1s is not between`,
		"fraud: {spending: {a: {action: kill, user: {calls: 1}}}}": `fraud.spending.a.action: "kill" is not one of stop, end, alarm`,
		"fraud: {spending: {a: {user: {calls: -1}}}}":              `fraud.spending.a.user: minutes and calls are numbers above 0`,
		"fraud: {status: 404}":                                     `fraud.status: 404 is not one of 403, 503`,
		"fraud: {hold: 1ms}":                                       `fraud.hold: 1ms is not between`,
		"fraud: {webhook: there}":                                  `fraud.webhook: "there" is not an address of the web`,
		"fraud: {velocity: {}}":                                    `fraud.velocity: unknown key`,
	} {
		if _, err := Parse("t.yaml", []byte(least+text+"\n"), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwanted %s", text, err, want)
		}
	}
	text := strings.Replace(least, "to: pbx}", "to: pbx, classes: [premium]}", 1)
	if _, err := Parse("t.yaml", []byte(text), nil); err == nil || !strings.Contains(err.Error(), `routes[0].classes[0]: "premium" is no class`) {
		t.Errorf("%v", err)
	}
}

// Spending is watched as the file says, through the seam that the bridge uses; a reload keeps it; the operator hears and releases.
func TestFraudFromFileToOperator(t *testing.T) {
	t.Parallel()
	posted := make(chan string, 8)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)
	}))
	defer hook.Close()
	table := filepath.Join(t.TempDir(), "premium")
	if err := os.WriteFile(table, []byte("+44909\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(hold string) string {
		return reloadText(onePool, `{from: browsers, to: pbx, classes: [national]}, {from: pbx, to: browsers}`) +
			strings.NewReplacer("TABLE", table, "WEBHOOK", hook.URL, "HOLD", hold).Replace(fraudText)
	}
	g, write, log := reloadable(t, text("1h"))
	tolls := tollGuard{g.tolls}
	call := func(number string) *bridge.TollRefusal {
		m, no := tolls.Place(bridge.Toll{User: "sip:alice@example.com", Number: number, Via: "pbx"}, func(string) {})
		if no == nil {
			m.Answered()
			m.Ended()
		}
		return no
	}
	for _, number := range []string{"+4930", "+44909123", "+5312"} {
		if no := call(number); no != nil {
			t.Fatalf("%s: %+v", number, no)
		}
	}
	if no := call("+4990012"); no == nil || no.Status != 503 {
		t.Fatalf("after two calls of one: %+v", no)
	}
	write(text("2h"))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if call("+88213") == nil || call("+4930") != nil {
		t.Error("the reload forgot the stop, or stops everything")
	}
	if got := <-posted; !strings.HasPrefix(got, `POST application/json {"id":1,`) || !strings.Contains(got, `"user":"sip:alice@example.com"`) {
		t.Errorf("posted was %s", got)
	}
	if s := log.String(); !strings.Contains(s, `msg="toll fraud" alarm=1 spending=exotic user=sip:alice@example.com`) {
		t.Errorf("the log says\n%s", s)
	}

	ask := func(method, path string) (int, string) {
		t.Helper()
		req, _ := http.NewRequest(method, g.AdminURL()+path, nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	_, page := ask("GET", "/api/alarms")
	var alarms []guard.Alarm
	if err := json.Unmarshal([]byte(page), &alarms); err != nil || len(alarms) != 2 || alarms[1].ID != 1 || !alarms[1].Active || alarms[1].Until.IsZero() ||
		alarms[0].Spending != "all" || alarms[0].Active {
		t.Fatalf("%v in %s", err, page)
	}
	if _, page = ask("GET", "/metrics"); !strings.Contains(page, `tandem_toll_stops{spending="exotic"} 1`) || !strings.Contains(page, `tandem_toll_refused_total{spending="exotic"} 2`) {
		t.Errorf("%s", page)
	}
	for _, c := range []struct {
		path string
		want int
	}{{"/api/release?alarm=no", 400}, {"/api/release?alarm=9", 404}, {"/api/release?alarm=1", 200}, {"/api/release", 200}} {
		if code, body := ask("POST", c.path); code != c.want {
			t.Errorf("%s: %d %s", c.path, code, body)
		}
	}
	if no := call("+88213"); no != nil {
		t.Errorf("after the release: %+v", no)
	}
}
