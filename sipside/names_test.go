package sipside

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// directory is a name server of a test.
type directory struct {
	mu    sync.Mutex
	addrs map[string][]netip.Addr
	asked int
	hold  chan struct{} // where set, answers wait for it
}

func (d *directory) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	d.mu.Lock()
	d.asked++
	hold := d.hold
	d.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if addrs, ok := d.addrs[host]; ok {
		return addrs, nil
	}
	return nil, errors.New("no such host")
}

func (d *directory) set(host string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.addrs == nil {
		d.addrs = map[string][]netip.Addr{}
	}
	delete(d.addrs, host)
	for _, a := range addrs {
		d.addrs[host] = append(d.addrs[host], netip.MustParseAddr(a))
	}
}

func TestMembersNameIsResolvedAndFollowed(t *testing.T) {
	old, moved := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.77")
	dns := &directory{}
	dns.set("pbx.example.com", "2001:db8::1", "127.0.0.1") // the door has no IPv6
	cfg := trunk(t, "sip:PBX.example.com")
	cfg.Resolver = dns
	d := openDoor(t, cfg, testLimits())
	b := d.Backend("pbx")
	if addrs := b.addresses(); len(addrs) != 1 || addrs[0].String() != "127.0.0.1" {
		t.Fatalf("addresses %v", addrs)
	}
	via := "SIP/2.0/UDP pbx;rport;branch=z9hG4bK"
	old.send(d.Addrs()[0], wire("OPTIONS", via+"old", "", ""))
	receive(t, "the old address is known", d.requests)
	dns.set("pbx.example.com", "127.0.0.77")
	eventually(t, "the new address is noticed", func() bool { return b.addresses()[0].String() == "127.0.0.77" })
	eventually(t, "the new address is known, the old a stranger", func() bool {
		_, is := d.sources.of(moved.at, 0)
		_, was := d.sources.of(old.at, 0)
		return is == member && was == stranger
	})
	dns.set("pbx.example.com") // the name server fails: the last answer stands
	asked := dns.count()
	eventually(t, "it is asked again", func() bool { return dns.count() > asked+1 })
	if addrs := b.addresses(); len(addrs) != 1 {
		t.Errorf("addresses %v", addrs)
	}
}

func (d *directory) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func TestRequestToANameDoesNotBlock(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	dns := &directory{hold: make(chan struct{})}
	dns.set("phone.example.com", "127.0.0.1")
	cfg := trunk(t, "sip:127.0.0.1:9")
	cfg.Resolver = dns
	d := openDoor(t, cfg, testLimits())
	_, on := events()
	target := "sip:bob@phone.example.com:" + strings.TrimPrefix(peer.at.String(), "127.0.0.1:")
	out := request(t, "BYE", target, "")
	out.To().Params.Add("tag", "peer")
	if _, err := d.Backend("pbx").Request(out, on); err != nil { // returns although the name server is silent
		t.Fatal(err)
	}
	close(dns.hold)
	if text, _ := peer.read(); !strings.HasPrefix(text, "BYE "+target) {
		t.Errorf("%q", text)
	}
}

func TestUnknownNameIsAnEvent(t *testing.T) {
	cfg := trunk(t, "sip:nowhere.invalid")
	cfg.Resolver = &directory{}
	d := openDoor(t, cfg, testLimits())
	for _, body := range []string{"", large()} {
		got, on := events()
		if _, err := d.Backend("pbx").Request(request(t, "MESSAGE", "sip:bob@example.com", body), on); err != nil {
			t.Fatal(err)
		}
		if e := receive(t, "the failure", got); e.Err == nil {
			t.Errorf("%+v", e)
		}
	}
	if d.log.count("backend has no address yet") != 1 {
		t.Error("Open did not warn")
	}
}

func TestNamesAreBounded(t *testing.T) {
	cfg := trunk(t, "sip:127.0.0.1:9")
	cfg.Resolver = &directory{}
	d := openDoor(t, cfg, testLimits())
	for i := range maxNames + 200 {
		_, _ = d.names.wait(target{host: strings.Repeat("x", i%60+1) + string(rune('a'+i%26)) + strings.Repeat("y", i/60+1)})
	}
	d.names.mu.Lock()
	defer d.names.mu.Unlock()
	if n := len(d.names.known); n > maxNames {
		t.Errorf("%d names kept", n)
	}
}
