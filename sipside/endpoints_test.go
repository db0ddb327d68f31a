package sipside

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestOpenFailureClosesWhatWasOpened(t *testing.T) {
	taken := listenStream(t, "127.0.0.1:0")
	free := newDatagramPeer(t, "127.0.0.91") // where nobody takes it meanwhile
	_ = free.sock.Close()
	cfg := trunk(t, "sip:127.0.0.1:9")
	cfg.Listen = []Listen{{Network: "udp", Addr: free.at}, {Network: "tcp", Addr: taken.at}}
	_, err := Open(cfg)
	if err == nil || !strings.HasPrefix(err.Error(), "sip.listen[1]: ") {
		t.Fatalf("error %v", err)
	}
	sock, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(free.at))
	if err != nil {
		t.Fatalf("the first listener is still open: %v", err)
	}
	_ = sock.Close()
}

func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	silent := listenStream(t, "127.0.0.1:0")
	peer := newDatagramPeer(t, "127.0.0.1")
	dns := &directory{hold: make(chan struct{})}
	cfg := probedPool(t, time.Millisecond, peer)
	cfg.Listen = []Listen{{Network: "udp", Addr: anyPort}, {Network: "tcp", Addr: anyPort}}
	cfg.Trunks = []TrunkConfig{
		{Name: "tcp", URI: uri(t, "sip:"+silent.at.String()+";transport=tcp")},
		{Name: "nowhere", URI: uri(t, "sip:192.0.2.1;transport=tcp")},
	}
	cfg.Resolver = dns
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(ctx, make(handler, 100)) }()
	_, on := events()
	out := request(t, "BYE", "sip:bob@held.example.com", "")
	out.To().Params.Add("tag", "x")
	for _, name := range []string{"tcp", "nowhere"} {
		if _, err := e.Backend(name).Request(out, on); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Backend(name).Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
			t.Fatal(err)
		}
	}
	incoming := dialDoor(t, "127.0.0.1", e.Addrs()[1])
	incoming.send("OPTIONS sip:half")
	outgoing := silent.accept()
	cancel()
	if err := receive(t, "Serve ends with its context", ended); err != nil {
		t.Error(err)
	}
	incoming.ended()
	outgoing.ended()
	for range 2 {
		if err := e.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	}
	if n := e.Stats().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if _, err := e.Backend("tcp").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err == nil {
		t.Error("a request went out after Close")
	}
	if err := e.Serve(context.Background(), make(handler)); err != nil {
		t.Errorf("serve after close: %v", err)
	}
	eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestCloseWithoutServe(t *testing.T) {
	before := runtime.NumGoroutine()
	pbx := listenStream(t, "127.0.0.1:0")
	cfg := trunk(t, "sip:"+pbx.at.String()+";transport=tcp")
	cfg.Listen = []Listen{{Network: "tcp", Addr: anyPort}}
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got, on := events()
	if _, err := e.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	pbx.accept().read()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if ev := receive(t, "the loss", got); ev.Err == nil {
		t.Errorf("%+v", ev)
	}
	eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestLookups(t *testing.T) {
	cfg := trunk(t, "sip:127.0.0.1:9")
	cfg.Pools = []PoolConfig{{Name: "pbxs", Members: []Member{{URI: uri(t, "sip:127.0.0.2:5070")}, {URI: uri(t, "sip:127.0.0.3")}}}}
	d := openDoor(t, cfg, testLimits())
	if d.Pool("pbxs").Name() != "pbxs" || d.Pool("pbx").Name() != "pbx" || d.Pool("none") != nil || d.Backend("none") != nil {
		t.Error("pools are not found by name")
	}
	if b := d.Pool("pbx").Order(nil)[0]; b.Name() != "pbx" || b.Pool() != "pbx" || d.Backend("pbx") != b {
		t.Errorf("the trunk is %s of %s", b.Name(), b.Pool())
	}
	for _, name := range []string{"pbxs/127.0.0.2:5070", "pbxs/127.0.0.3:5060"} {
		if b := d.Backend(name); b == nil || b.Name() != name || b.Pool() != "pbxs" {
			t.Errorf("%s is not found", name)
		}
	}
	if a := d.Addrs(); len(a) != 2 || a[0].Port() == 0 || a[1].Port() == 0 {
		t.Errorf("addresses %v", a)
	}
}

func TestListenerForAPeer(t *testing.T) {
	e := &Endpoints{}
	for _, at := range []string{"127.0.0.1:1", "10.0.0.1:2", "[2001:db8::1]:3", "[::1]:4"} {
		e.listeners = append(e.listeners, &udpListener{local: netip.MustParseAddrPort(at), name: netip.MustParseAddrPort(at).Addr().String()})
	}
	for peer, port := range map[string]uint16{"127.0.0.9": 1, "10.0.0.9": 2, "2001:db8::9": 3, "::1": 4} {
		u, err := e.udpFor(netip.MustParseAddr(peer))
		if err != nil || u.local.Port() != port {
			t.Errorf("%s by %v, %v", peer, u, err)
		}
	}
	e.listeners = e.listeners[:2]
	if _, err := e.udpFor(netip.MustParseAddr("::1")); err == nil {
		t.Error("IPv6 from an IPv4 socket")
	}
}

func TestLearnedHopsAreBounded(t *testing.T) {
	d := openDoor(t, trunk(t, "sip:127.0.0.1:9"), testLimits())
	b := d.Backend("pbx")
	addr := netip.MustParseAddr("10.0.0.0")
	for range maxHops + 50 {
		addr = addr.Next()
		d.sources.learn(addr, b)
	}
	if n := len(d.sources.hops); n != maxHops {
		t.Errorf("%d hops", n)
	}
	if _, who := d.sources.of(netip.AddrPortFrom(addr, 5060), 0); who != nextHopOnly {
		t.Error("the latest was forgotten")
	}
	d.sources.learn(netip.MustParseAddr("127.0.0.1"), b)
	if _, who := d.sources.of(netip.MustParseAddrPort("127.0.0.1:5060"), 0); who != member {
		t.Error("a member became a hop")
	}
}
