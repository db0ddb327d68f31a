package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

func TestUDPRequestAndResponse(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()), testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "INVITE", "sip:bob@example.com", "v=0\r\n"), on); err != nil {
		t.Fatal(err)
	}
	text, from := peer.read()
	if from != d.Addrs()[0] {
		t.Errorf("sent from %s, want the listener's %s", from, d.Addrs()[0])
	}
	if !strings.HasPrefix(text, "INVITE sip:bob@example.com SIP/2.0\r\n") || !strings.HasSuffix(text, "v=0\r\n") {
		t.Errorf("sent %q", text)
	}
	via := header(text, "Via")
	if !strings.HasPrefix(via, fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bK", from)) || !strings.HasSuffix(via, ";rport") {
		t.Errorf("Via %q", via)
	}
	peer.send(from, answerTo(t, text, 486, "Busy Here"))
	if e := receive(t, "the refusal arrives", got); e.Err != nil || e.Response.StatusCode != 486 {
		t.Errorf("event %+v", e)
	}
	if ack, _ := peer.read(); !strings.HasPrefix(ack, "ACK ") || header(ack, "Via") != via {
		t.Errorf("ACK %q", ack)
	}
	eventually(t, "both directions are traced", func() bool {
		return d.trace.has("true UDP "+peer.at.String()+" [ours] INVITE sip:bob") && d.trace.has("false UDP "+peer.at.String()+" [ours] SIP/2.0 486")
	})
}

func TestBranchesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		branch, _ := newVia().Params.Get("branch")
		if seen[branch] || len(branch) < len("z9hG4bK")+20 {
			t.Fatalf("branch %q", branch)
		}
		seen[branch] = true
	}
}

func TestRequestLeavesTheCallersRequestAlone(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()), testLimits())
	out := request(t, "BYE", "sip:bob@10.0.0.9", "", &sip.RouteHeader{Address: uri(t, "sip:"+peer.at.String())})
	before := out.String()
	_, on := events()
	for range 2 {
		if _, err := d.Backend("pbx").Request(out, on); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != before {
		t.Errorf("changed to %s", out.String())
	}
}

func TestUDPResponsesGoWhereViaSays(t *testing.T) {
	asker, sentBy := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, trunk(t, "sip:127.0.0.1:9"), testLimits())
	for i, c := range []struct {
		name, via string
		answered  *datagramPeer
		want      string
	}{
		{"rport: to the source", "SIP/2.0/UDP 10.9.9.9:7000;rport;branch=z9hG4bK", asker,
			fmt.Sprintf(";rport=%d;branch=z9hG4bK%%d;received=127.0.0.1", asker.at.Port())},
		{"no rport: to sent-by's port at the source address", fmt.Sprintf("SIP/2.0/UDP pbx.invalid:%d;branch=z9hG4bK", sentBy.at.Port()), sentBy,
			";branch=z9hG4bK%d;received=127.0.0.1"},
		{"sent-by is the source: no received", fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bK", asker.at), asker,
			asker.at.String() + ";branch=z9hG4bK%d"},
	} {
		asker.send(d.Addrs()[0], wire("OPTIONS", fmt.Sprintf("%s%d", c.via, i), "", ""))
		got := receive(t, c.name, d.requests)
		if got.backend != d.Backend("pbx") {
			t.Errorf("%s: from %v", c.name, got.backend)
		}
		if err := got.tx.Respond(transaction.NewResponse(got.tx.Request(), 200, "OK")); err != nil {
			t.Fatal(err)
		}
		text, _ := c.answered.read()
		if want := fmt.Sprintf(c.want, i); !strings.HasPrefix(text, "SIP/2.0 200 OK") || !strings.HasSuffix(header(text, "Via"), want) {
			t.Errorf("%s: %q, want Via to end in %q", c.name, text, want)
		}
	}
}

func TestUDPStrangersGetSilence(t *testing.T) {
	friend, foe := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.66")
	d := openDoor(t, trunk(t, "sip:"+friend.at.String()), testLimits())
	foe.send(d.Addrs()[0], wire("INVITE", "SIP/2.0/UDP 127.0.0.66;rport;branch=z9hG4bKfoe", "", ""))
	foe.send(d.Addrs()[0], "nonsense")
	friend.send(d.Addrs()[0], wire("INVITE", "SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKfriend", "", ""))
	got := receive(t, "the backend's request", d.requests)
	if branch := got.tx.Request().Via().Params.GetOr("branch", ""); branch != "z9hG4bKfriend" {
		t.Errorf("served %s", branch)
	}
	if s := d.Stats(); s.Strangers != 2 || s.MessagesIn != 1 {
		t.Errorf("stats %+v", s)
	}
	if d.trace.has("127.0.0.66") {
		t.Error("something was said to, or noted of, a stranger")
	}
}

func TestUDPMalformedGets400(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()), testLimits())
	broken := strings.Replace(wire("OPTIONS", "SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKx", "", ""), "Content-Length: 0", "Content-Length: 7", 1)
	peer.send(d.Addrs()[0], "\r\n\r\n")
	peer.send(d.Addrs()[0], "\x00\x00\x00\x00")
	peer.send(d.Addrs()[0], "nonsense\r\n\r\n")
	peer.send(d.Addrs()[0], strings.Replace(broken, "OPTIONS", "ACK", 2))
	peer.send(d.Addrs()[0], broken)
	text, _ := peer.read()
	if !strings.HasPrefix(text, "SIP/2.0 400 Content-Length Beyond The Message\r\n") || !strings.Contains(header(text, "To"), ";tag=") {
		t.Errorf("answered %q", text)
	}
	if s := d.Stats(); s.Rejected != 3 || s.MessagesIn != 3 {
		t.Errorf("stats %+v: keepalives are no messages, nonsense is rejected", s)
	}
	if len(d.requests) != 0 {
		t.Error("a malformed request was served")
	}
}

func TestHandlersPanicCostsOneMessage(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()), testLimits())
	for i := range 2 {
		peer.send(d.Addrs()[0], wire("OPTIONS", fmt.Sprintf("SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK%d", i), "X-Panic: yes\r\n", ""))
		if text, _ := peer.read(); !strings.HasPrefix(text, "SIP/2.0 500 ") {
			t.Errorf("answered %q", text)
		}
	}
}

func TestSourceTellsMembersApart(t *testing.T) {
	one, two := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.1")
	other := newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, Config{Pools: []PoolConfig{{Name: "pbx", Members: []Member{
		{URI: uri(t, "sip:"+one.at.String())}, {URI: uri(t, "sip:"+two.at.String())},
	}}}}, testLimits())
	for i, c := range []struct {
		from *datagramPeer
		via  netip.AddrPort
		want *datagramPeer
	}{
		{one, one.at, one}, {two, two.at, two},
		{other, two.at, two},   // the port in Via, where the source port says nothing
		{other, other.at, one}, // the host's first
	} {
		c.from.send(d.Addrs()[0], wire("OPTIONS", fmt.Sprintf("SIP/2.0/UDP %s;rport;branch=z9hG4bK%d", c.via, i), "", ""))
		if got := receive(t, "a request", d.requests); got.backend.Name() != "pbx/"+c.want.at.String() {
			t.Errorf("%d: from %s, want %s", i, got.backend.Name(), c.want.at)
		}
	}
}

func TestInDialogNextHopIsNoStranger(t *testing.T) {
	proxy, phone := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.77")
	d := openDoor(t, trunk(t, "sip:"+proxy.at.String()), testLimits())
	out := request(t, "ACK", "sip:bob@"+phone.at.String(), "")
	out.To().Params.Add("tag", "phone")
	if err := d.Backend("pbx").Ack(out); err != nil {
		t.Fatal(err)
	}
	if text, _ := phone.read(); !strings.HasPrefix(text, "ACK sip:bob@127.0.0.77") {
		t.Errorf("the remote target got %q", text)
	}
	via := "SIP/2.0/UDP 127.0.0.77;rport;branch=z9hG4bK"
	phone.send(d.Addrs()[0], wire("INVITE", via+"new", "", ""))
	bye := strings.Replace(wire("BYE", via+"bye", "", ""), "To: <sip:alice@tandem>", "To: <sip:alice@tandem>;tag=a", 1)
	phone.send(d.Addrs()[0], bye)
	got := receive(t, "the BYE of the remote target", d.requests)
	if got.tx.Request().Method != sip.BYE || got.backend.Name() != "pbx" {
		t.Errorf("%s from %s", got.tx.Request().Method, got.backend.Name())
	}
	if s := d.Stats(); s.Strangers != 1 {
		t.Errorf("%d strangers: a remote target may not open dialogs", s.Strangers)
	}
}

func TestUnreachableIsAnEvent(t *testing.T) {
	d := openDoor(t, trunk(t, "sip:192.0.2.1:5060"), testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, "the transport error", got); e.Err == nil {
		t.Errorf("event %+v", e)
	}
	if s := d.Stats().Backends[0]; s.Requests != 1 || s.Fails != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestDeadUDPPeerIsKnownAtOnce(t *testing.T) {
	dead, alive := newDatagramPeer(t, "127.0.0.94"), newDatagramPeer(t, "127.0.0.1")
	_ = dead.sock.Close()
	d := openDoor(t, Config{Pools: []PoolConfig{{Name: "pbx", Members: []Member{
		{URI: uri(t, "sip:"+dead.at.String())}, {URI: uri(t, "sip:"+alive.at.String())},
	}}}}, testLimits())
	got, on := events()
	_, never := events()
	for range 20 { // whatever ICMP says of the dead one, requests to the other go out
		if _, err := d.Backend("pbx/"+dead.at.String()).Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Backend("pbx/"+alive.at.String()).Request(request(t, "MESSAGE", "sip:bob@example.com", ""), never); err != nil {
			t.Fatal(err)
		}
		alive.read()
		if e := receive(t, "the peer is known to be dead", got); e.Err == nil {
			t.Errorf("%+v", e)
		}
	}
	if s := d.Stats(); s.Backends[0].Fails != 20 || s.Backends[1].Fails != 0 || s.Transactions.Timeouts != 0 {
		t.Errorf("%+v", s)
	}
}
