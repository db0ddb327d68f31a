package bridge

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/location"
	"tandem/sipside/transaction"
)

// bareRegistrar is a registrar with a store and nothing around it.
func bareRegistrar(cfg Config) *registrar {
	return New(cfg, Wiring{Store: location.NewMemory(time.Now)}).registrar
}

func TestRegistrationOf(t *testing.T) {
	t.Parallel()
	r := bareRegistrar(Config{Node: "n1", Secret: []byte("k")})
	tests := []struct {
		name  string
		lines []string
		want  []contact // without token
		back  string    // the first Contact as the browser gets it back with 60 seconds
	}{
		{"JsSIP", []string{`Contact: <sip:7k3@q1.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:AB-1>";expires=600`, "Expires: 600"},
			[]contact{{uri: "sip:7k3@q1.invalid;transport=ws", params: `+sip.ice;reg-id=1;+sip.instance="<urn:uuid:AB-1>"`, instance: "urn:uuid:ab-1", regID: "1", want: 600}},
			`<sip:7k3@q1.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:AB-1>";expires=60`},
		{"SIP.js", []string{"Contact: <sip:x9@q2.invalid;transport=ws>;expires=600"},
			[]contact{{uri: "sip:x9@q2.invalid;transport=ws", want: 600}}, "<sip:x9@q2.invalid;transport=ws>;expires=60"},
		{"the Expires header where the Contact says none", []string{"Contact: <sip:a@b.invalid;ob>;q=0.5", "Expires: 90"},
			[]contact{{uri: "sip:a@b.invalid;ob", params: "q=0.5", q: "0.5", want: 90}}, "<sip:a@b.invalid;ob>;q=0.5;expires=60"},
		{"an hour where nobody says", []string{"Contact: sip:a@b.invalid"},
			[]contact{{uri: "sip:a@b.invalid", want: 3600}}, "<sip:a@b.invalid>;expires=60"},
		{"and where it cannot be read", []string{"Contact: <sip:a@b.invalid>;expires=soon", "Expires: never"},
			[]contact{{uri: "sip:a@b.invalid", want: 3600}}, "<sip:a@b.invalid>;expires=60"},
		{"beyond 32 bits", []string{"Contact: <sip:a@b.invalid>;expires=99999999999"},
			[]contact{{uri: "sip:a@b.invalid", want: maxSeconds}}, "<sip:a@b.invalid>;expires=60"},
		{"display name", []string{`Contact: "A, \"B\"" <sip:a@b.invalid>;expires=0`},
			[]contact{{name: `"A, \"B\"" `, uri: "sip:a@b.invalid"}}, `"A, \"B\"" <sip:a@b.invalid>;expires=60`},
		{"two", []string{"Contact: <sip:a@b.invalid>;expires=10, <sip:c@d.invalid>;expires=0"},
			[]contact{{uri: "sip:a@b.invalid", want: 10}, {uri: "sip:c@d.invalid"}}, "<sip:a@b.invalid>;expires=60"},
		{"a query", nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wish, err := r.registrationOf(parsed(t, "REGISTER", tt.lines...), false)
			if err != nil || len(wish.contacts) != len(tt.want) || wish.aor != "sip:600@example.com" || wish.leg == "" {
				t.Fatalf("%+v, %v", wish, err)
			}
			for i, c := range wish.contacts {
				if c.token == "" || c.token != alphanumeric(c.token) {
					t.Errorf("token %q", c.token)
				}
				if c.token = ""; c != tt.want[i] {
					t.Errorf("got  %+v\nwant %+v", c, tt.want[i])
				}
			}
			if tt.back != "" {
				if got := wish.contacts[0].granted(60).Value(); got != tt.back {
					t.Errorf("back: got  %s\nwant %s", got, tt.back)
				}
			}
		})
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	mint := newTokenMint("node-1", []byte("k"))
	same := [][2]string{
		{mint.token("sip:a@x", "urn:1", "1", "user1"), mint.token("sip:a@x", "urn:1", "1", "user2")},
		{mint.token("sip:a@x", "urn:1", "1", ""), newTokenMint("node-1", []byte("k")).token("sip:a@x", "urn:1", "1", "")},
	}
	for i, pair := range same {
		if pair[0] != pair[1] {
			t.Errorf("%d: %s and %s", i, pair[0], pair[1])
		}
	}
	for i := range 100 {
		if s := mint.token(fmt.Sprintf("sip:%d@x", i), "urn:1", "1", ""); s[0] < 'a' {
			t.Errorf("%s begins as a number does", s)
		}
	}
	different := []string{
		mint.token("sip:a@x", "urn:1", "1", ""), mint.token("sip:b@x", "urn:1", "1", ""), mint.token("sip:a@x", "urn:1", "2", ""),
		mint.token("sip:a@x", "urn:2", "1", ""), mint.token("sip:a@x", "", "1", "u"), mint.token("sip:a@x", "", "1", "v"),
		mint.token("sip:a@x", "urn:11", "", ""), newTokenMint("node-1", []byte("l")).token("sip:a@x", "urn:1", "1", ""),
		newTokenMint("node-2", []byte("k")).token("sip:a@x", "urn:1", "1", ""),
		mint.callID("t"), mint.callID("u"), newTokenMint("node-1", []byte("k")).callID("t"), mint.tag("t", "a"), mint.tag("t", "b"), mint.tag("u", "a"),
	}
	seen := map[string]bool{}
	for i, s := range different {
		if seen[s] {
			t.Errorf("%d: %s is there twice", i, s)
		}
		if s != alphanumeric(s) || len(s) > 60 {
			t.Errorf("%d: %s", i, s)
		}
		seen[s] = true
	}
}

func TestSequenceRisesOnEveryLeg(t *testing.T) {
	t.Parallel()
	r := bareRegistrar(Config{})
	last, rnd := map[string]uint32{}, rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		token := fmt.Sprint(rnd.IntN(3000)) // more legs than counters
		seq := r.nextSeq(token)
		if seq <= last[token] {
			t.Fatalf("%s: %d after %d", token, seq, last[token])
		}
		last[token] = seq
	}
}

// The answer to an older REGISTER may come last; it must not undo the newer one. Another Call-ID is another start of the page.
func TestLateAnswerDoesNotReplace(t *testing.T) {
	t.Parallel()
	r := bareRegistrar(Config{})
	expires := time.Now().Add(time.Minute)
	at := func(flow, callID string, seq uint32) location.Binding {
		return location.Binding{AOR: "a", Token: "t", Flow: flow, CallID: callID, CSeq: seq, Expires: expires}
	}
	steps := []struct {
		put   location.Binding
		old   string
		moved bool
		flow  string // afterwards
	}{
		{at("f1", "c", 2), "", false, "f1"},
		{at("f0", "c", 1), "", false, "f1"},
		{at("f1", "c", 3), "f1", false, "f1"},
		{at("f2", "c", 4), "f1", true, "f2"},
		{at("f3", "d", 1), "f2", true, "f3"},
	}
	for i, s := range steps {
		old, moved := r.put(s.put)
		b, _ := r.b.with.Store.ByToken("t")
		if moved != s.moved || moved && old != s.old || b.Flow != s.flow {
			t.Errorf("%d: old %q, moved %v, now %q", i, old, moved, b.Flow)
		}
	}
	b, _ := r.b.with.Store.ByToken("t")
	b.Flow, b.LastFlow = "", "f3"
	r.b.with.Store.Put(b)
	if old, moved := r.put(at("f4", "d", 2)); old != "f3" || !moved {
		t.Errorf("from dormant: %q, %v", old, moved)
	}
}

func TestGrantOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  int
	}{
		{"its own Contact's", []string{"Contact: <sip:other@x>;expires=5", "Contact: <sip:tok@10.0.0.5:5060>;q=1;Expires=90", "Expires: 7"}, 90},
		{"the Expires header", []string{"Contact: <sip:tok@10.0.0.5>", "Expires: 80"}, 80},
		{"nothing said", nil, 120},
		{"more than asked", []string{"Contact: <sip:tok@10.0.0.5>;expires=3600"}, 120},
		{"nonsense", []string{"Contact: <sip:tok@10.0.0.5>;expires=x"}, 120},
		{"nothing granted", []string{"Contact: <sip:tok@10.0.0.5>;expires=0"}, 120},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := sip.NewResponse(200, "OK")
			for _, h := range parsed(t, "REGISTER", tt.lines...).Headers() {
				res.AppendHeader(h)
			}
			if got := grantOf(res, contact{token: "tok"}, 120); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// What a browser says of its Contact goes back to it and names a binding: no text of it may break a header or a token.
func FuzzRegistration(f *testing.F) {
	for _, seed := range []string{
		`<sip:7k3@q1.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:AB-1>";expires=600`, "sip:a@b.invalid ; expires = 5",
		`"A, \"B\"" <sip:a@b.invalid>;expires=0, <sips:[::1]:5061;ob?x=y>;q=1`, "*", "<tel:+49>;expires=-1", `<sip:a@b>;x="a;b";expires="7"`,
	} {
		f.Add(seed)
	}
	r := bareRegistrar(Config{Node: "n1", Secret: []byte("k")})
	f.Fuzz(func(t *testing.T, value string) {
		const head = "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:a@x>\r\n" +
			"Call-ID: c\r\nCSeq: 1 REGISTER\r\nContact: "
		msg, err := transaction.Parse([]byte(head + value + "\r\n\r\n"))
		if err != nil {
			return
		}
		wish, err := r.registrationOf(msg.Message.(*sip.Request), false)
		if err != nil {
			return
		}
		for _, c := range wish.contacts {
			if c.want < 0 || c.token == "" || c.token != alphanumeric(c.token) {
				t.Fatalf("%+v", c)
			}
			back := c.granted(60).Value()
			if !oneLine(back) || !strings.HasSuffix(back, ";expires=60") {
				t.Fatalf("%q", back)
			}
			again, err := transaction.Parse([]byte(head + back + "\r\n\r\n"))
			if err != nil {
				t.Fatalf("%q cannot be read: %v", back, err)
			}
			same, err := r.registrationOf(again.Message.(*sip.Request), false)
			if err != nil || len(same.contacts) != 1 || same.contacts[0].token != c.token || same.contacts[0].want != 60 {
				t.Fatalf("%q became %+v, %v", value, same.contacts, err)
			}
		}
	})
}
