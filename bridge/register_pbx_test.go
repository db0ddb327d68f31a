package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// Two exchanges behind a pool, one killed: every user's next REGISTER goes to the other, digest and all; and back once the
// first is up again.
func TestRegistrationsOutliveAnExchange(t *testing.T) {
	t.Parallel()
	passwords := map[string]string{}
	for i := range 100 { // of which some are at home at either
		passwords[fmt.Sprintf("user%d", i)] = fmt.Sprintf("secret%d", i)
	}
	open := func(listen *siptest.PBX) *siptest.PBX {
		cfg := siptest.PBXConfig{Users: passwords, Listen: ownHost()}
		if listen != nil {
			cfg.Listen = listen.Addr()
		}
		pbx, err := siptest.NewPBX(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pbx.Close() })
		return pbx
	}
	exchanges := []*siptest.PBX{open(nil), open(nil)}
	pool := sipside.PoolConfig{Name: "pbx", Probe: sipside.Probe{Every: time.Second, Timeout: 10 * time.Second, DownAfter: 3, UpAfter: 1}}
	for _, pbx := range exchanges {
		pool.Members = append(pool.Members, sipside.Member{URI: sip.Uri{
			Scheme: "sip", Host: pbx.Addr().Addr().String(), Port: int(pbx.Addr().Port()),
		}})
	}
	rig := newTimedRig(t, nil, pool, rigTryTimeout)
	name := func(pbx *siptest.PBX) string { return "pbx/" + pbx.Addr().String() }
	users, homes := map[string]string{}, map[string]int{}
	for user, password := range passwords {
		home := rig.backends.Pool("pbx").Home("sip:" + user + "@example.com")[0].Name()
		if homes[home]++; homes[home] <= 5 {
			users[user] = password
		}
	}
	pages := map[string]*wsstest.Browser{}
	registerAll := func() map[string]int {
		at := map[string]int{}
		for user, password := range users {
			if pages[user] == nil {
				pages[user] = rig.dial(wsstest.Options{})
			}
			rig.register(pages[user], user, password)
			bindings := rig.store.ByAOR("sip:" + user + "@example.com")
			if len(bindings) != 1 {
				t.Fatalf("%s has %d bindings", user, len(bindings))
			}
			at[bindings[0].Backend]++
		}
		return at
	}

	before := registerAll()
	if before[name(exchanges[0])]+before[name(exchanges[1])] != len(users) || len(before) != 2 {
		t.Fatalf("spread: %v", before)
	}
	if err := exchanges[0].Close(); err != nil {
		t.Fatal(err)
	}
	if after := registerAll(); after[name(exchanges[1])] != len(users) {
		t.Errorf("after the kill: %v", after)
	}
	for user := range users {
		if contacts := exchanges[1].Contacts(user); len(contacts) != 1 || strings.Contains(contacts[0].String(), "invalid") {
			t.Errorf("%s at the second exchange: %v", user, contacts)
		}
	}
	exchanges[0] = open(exchanges[0])
	first := rig.backends.Backend(name(exchanges[0]))
	rig.until("the first exchange is up again", first.Alive)
	if again := registerAll(); again[name(exchanges[0])] != before[name(exchanges[0])] {
		t.Errorf("before %v, after it came back %v", before, again)
	}
}
