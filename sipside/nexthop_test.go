package sipside

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

func TestTargetOf(t *testing.T) {
	for _, c := range []struct{ uri, want, err string }{
		{uri: "sip:10.0.0.1", want: "UDP 10.0.0.1:5060"},
		{uri: "sip:bob@PBX.example.com:5070", want: "UDP pbx.example.com:5070"},
		{uri: "sip:10.0.0.1;transport=tcp", want: "TCP 10.0.0.1:5060"},
		{uri: "sip:10.0.0.1;Transport=TLS", want: "TLS 10.0.0.1:5061"},
		{uri: "sips:pbx.example.com", want: "TLS pbx.example.com:5061"},
		{uri: "sips:pbx.example.com:5999;transport=tcp", want: "TLS pbx.example.com:5999"},
		{uri: "sip:[2001:db8::1]:5070", want: "UDP [2001:db8::1]:5070"},
		{uri: "sip:example.com;maddr=10.0.0.9", want: "UDP 10.0.0.9:5060"},
		{uri: "sip:a@b.invalid;transport=ws", err: `sip:a@b.invalid;transport=ws: transport "ws" is not supported`},
		{uri: "sips:a@b.invalid;transport=udp", err: `sips:a@b.invalid;transport=udp: transport "udp" is not supported`},
		{uri: "tel:+491234", err: "tel:+491234: neither a sip nor a sips URI"},
		{uri: "sip:a@b:70000", err: "sip:a@b:70000: port 70000 is out of range"},
	} {
		got, err := targetOf(uri(t, c.uri))
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: error %v, want %s", c.uri, err, c.err)
			}
			continue
		}
		if text := string(got.transport) + " " + got.hostPort(); err != nil || text != c.want {
			t.Errorf("%s: %s %v, want %s", c.uri, text, err, c.want)
		}
	}
}

func TestNextHop(t *testing.T) {
	tagged := func(out transaction.Outbound) transaction.Outbound {
		out.To().Params.Add("tag", "peer")
		return out
	}
	route := func(text string) sip.Header { return &sip.RouteHeader{Address: uri(t, text)} }
	home := uri(t, "sip:10.0.0.10:5060")
	for _, c := range []struct {
		name       string
		out        transaction.Outbound
		hop, uri   string
		lastRoutes []string
	}{
		{name: "outside a dialog the backend itself",
			out: request(t, "INVITE", "sip:bob@example.com", ""),
			hop: "10.0.0.10:5060", uri: "sip:bob@example.com"},
		{name: "in a dialog the remote target",
			out: tagged(request(t, "BYE", "sip:bob@10.0.0.99:5999", "")),
			hop: "10.0.0.99:5999", uri: "sip:bob@10.0.0.99:5999"},
		{name: "a loose route",
			out: tagged(request(t, "BYE", "sip:bob@10.0.0.99", "", route("sip:10.0.0.2:5062;lr"), route("sip:10.0.0.3;lr"))),
			hop: "10.0.0.2:5062", uri: "sip:bob@10.0.0.99",
			lastRoutes: []string{"<sip:10.0.0.2:5062;lr>", "<sip:10.0.0.3;lr>"}},
		{name: "a strict route takes the Request-URI's place",
			out: tagged(request(t, "BYE", "sip:bob@10.0.0.99", "", route("sip:proxy@10.0.0.2;method=BYE?x=y"), route("sip:10.0.0.3;lr"))),
			hop: "10.0.0.2:5060", uri: "sip:proxy@10.0.0.2",
			lastRoutes: []string{"<sip:10.0.0.3;lr>", "<sip:bob@10.0.0.99>"}},
		{name: "a single strict route",
			out: tagged(request(t, "BYE", "sip:bob@10.0.0.99", "", route("sip:10.0.0.2"))),
			hop: "10.0.0.2:5060", uri: "sip:10.0.0.2", lastRoutes: []string{"<sip:bob@10.0.0.99>"}},
	} {
		out, hop, err := nextHop(c.out, home)
		if err != nil || hop.hostPort() != c.hop || out.Recipient.String() != c.uri {
			t.Errorf("%s: %s to %s, %v; want %s to %s", c.name, out.Recipient.String(), hop.hostPort(), err, c.uri, c.hop)
		}
		routes := out.GetHeaders("Route")
		if len(routes) != len(c.lastRoutes) {
			t.Errorf("%s: routes %v, want %v", c.name, routes, c.lastRoutes)
			continue
		}
		for i, r := range routes {
			if r.Value() != c.lastRoutes[i] {
				t.Errorf("%s: route %d is %s, want %s", c.name, i, r.Value(), c.lastRoutes[i])
			}
		}
	}
}

// A private address in the Contact of who is on the public network is passed over, and nothing else.
func TestContactBehindNAT(t *testing.T) {
	for _, c := range []struct {
		contact string
		servers []string
		astray  bool
	}{
		{"sip:bob@192.168.1.5:5070", []string{"203.0.113.1"}, true},
		{"sip:bob@10.1.1.1", []string{"203.0.113.1", "2001:db8::1"}, true},
		{"sip:bob@100.64.0.9", []string{"203.0.113.1"}, true},
		{"sip:bob@169.254.0.9", []string{"203.0.113.1"}, true},
		{"sip:bob@0.0.0.0", []string{"203.0.113.1"}, true},
		{"sip:bob@[fd00::1]", []string{"2001:db8::1"}, true},
		{"sip:bob@203.0.113.77", []string{"203.0.113.1"}, false},
		{"sip:bob@sbc.carrier.example", []string{"203.0.113.1"}, false},
		{"sip:bob@192.168.1.5", []string{"10.0.0.1"}, false},
		{"sip:bob@192.168.1.5", []string{"127.0.0.1"}, false},
		{"sip:bob@192.168.1.5", []string{"203.0.113.1", "10.0.0.1"}, false},
		{"sip:bob@192.168.1.5", nil, false},
	} {
		at, err := targetOf(uri(t, c.contact))
		if err != nil {
			t.Fatal(err)
		}
		var servers []place
		for _, s := range c.servers {
			servers = append(servers, place{transport: udp, addr: netip.AddrPortFrom(netip.MustParseAddr(s), 5060)})
		}
		if got := at.astray(servers); got != c.astray {
			t.Errorf("%s behind %v: %v", c.contact, c.servers, got)
		}
	}
}

// Such a BYE goes to the trunk's server, with the Contact as its Request-URI; where a route says how, it goes by that.
func TestByeToAContactBehindNAT(t *testing.T) {
	d := openDoor(t, trunk(t, "sip:203.0.113.1:5070"), testLimits())
	for _, c := range []struct {
		routes []sip.Header
		way    string
	}{
		{nil, "203.0.113.1:5070"},
		{[]sip.Header{&sip.RouteHeader{Address: uri(t, "sip:127.0.0.9:5072;lr")}}, "127.0.0.9:5072"},
	} {
		bye := request(t, "BYE", "sip:bob@192.168.1.5", "", c.routes...)
		bye.To().Params.Add("tag", "peer")
		p, err := d.passageFor(d.Backend("pbx"), bye) // not sent: the test leaves this machine alone
		if err != nil {
			t.Fatal(err)
		}
		if way := p.flow.Identity(); !strings.Contains(way, c.way) || !strings.HasPrefix(string(p.out.Wire), "BYE sip:bob@192.168.1.5 SIP/2.0") {
			t.Errorf("by %s:\n%s", way, p.out.Wire)
		}
	}
}

func TestStrictRouteKeepsTheRawRequestURI(t *testing.T) {
	out := request(t, "BYE", "sip:bob@10.0.0.99", "", &sip.RouteHeader{Address: uri(t, "sip:10.0.0.2")})
	out.RequestURI = "sip:raw@10.0.0.98"
	out, _, err := nextHop(out, uri(t, "sip:10.0.0.10"))
	if err != nil || out.RequestURI != "" || out.GetHeaders("Route")[0].Value() != "<sip:raw@10.0.0.98>" {
		t.Errorf("%q %v %v", out.RequestURI, out.GetHeaders("Route"), err)
	}
}
