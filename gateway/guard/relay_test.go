package guard

import (
	"net/netip"
	"testing"
	"testing/synctest"
)

// Wrong credentials of the relay ban as others do: by connections the user at the address, by many names the address; by datagrams
// nobody, unless the configuration says so.
func TestRelayCredentialsBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for transport, banned := range map[string]bool{TCP: true, TLS: true, "dtls": true, UDP: false} {
			g := New(standard, Options{})
			for range standard.Failures.Identity {
				if g.Banned(office, "alice") {
					t.Error("banned too soon by", transport)
				}
				g.Wrong(office, "alice", transport)
			}
			if g.Banned(office, "alice") != banned || g.Banned(office, "") || g.Banned(office, "bob") {
				t.Errorf("by %s: %v", transport, g.Bans())
			}
			for i := range standard.Failures.Address {
				g.Wrong(office, alice(i), transport)
			}
			if g.Banned(office, "") != banned || g.Connection(office) == banned {
				t.Errorf("by %s, many names: %v", transport, g.Bans())
			}
			if s := g.Stats(); (s.Refused["banned-address"] == 2) != banned || s.Failures == 0 {
				t.Errorf("by %s: %+v", transport, s)
			}
		}
		cfg := standard
		cfg.Bans.UDP = true
		g := New(cfg, Options{})
		for i := range cfg.Failures.Address {
			g.Wrong(office, alice(i), UDP)
		}
		if !g.Banned(office, "") {
			t.Error("bans.udp: not banned")
		}
		cfg.Off = true
		g.Reload(cfg)
		if g.Banned(office, "") {
			t.Error("banned by a guard that is off")
		}
		g = New(standard, Options{Friend: func(a netip.Addr) bool { return a == office }})
		g.BanFor(office, "", 0)
		if g.Banned(office, "") {
			t.Error("a member is kept out")
		}
	})
}
