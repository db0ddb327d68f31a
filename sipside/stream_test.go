package sipside

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

func respond(t *testing.T, got served, status int) {
	t.Helper()
	if err := got.tx.Respond(transaction.NewResponse(got.tx.Request(), status, "OK")); err != nil {
		t.Fatal(err)
	}
}

// streamDoor has a backend at an address that a test listens on, over a stream.
func streamDoor(t *testing.T, lim limits) (*door, *streamListenerPeer) {
	t.Helper()
	pbx := listenStream(t, "127.0.0.1:0")
	return openDoor(t, trunk(t, "sip:"+pbx.at.String()+";transport=tcp"), lim), pbx
}

func TestTCPRequestsShareAConnection(t *testing.T) {
	d, pbx := streamDoor(t, testLimits())
	got, on := events()
	for _, method := range []sip.RequestMethod{sip.OPTIONS, sip.MESSAGE} {
		if _, err := d.Backend("pbx").Request(request(t, method, "sip:bob@example.com", "body"), on); err != nil {
			t.Fatal(err)
		}
	}
	peer := pbx.accept()
	for _, method := range []string{"OPTIONS", "MESSAGE"} {
		text := peer.read()
		if !strings.HasPrefix(text, method) || !strings.HasPrefix(header(text, "Via"), "SIP/2.0/TCP "+d.Addrs()[1].String()+";") {
			t.Errorf("%q", text)
		}
		peer.send(answerTo(t, text, 200, "OK"))
		if e := receive(t, "the response", got); e.Err != nil {
			t.Error(e.Err)
		}
	}
	if n := d.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
	if c := d.Backend("pbx").Contact("x1"); c.String() != "sip:x1@"+d.Addrs()[1].String()+";transport=tcp" {
		t.Errorf("Contact %s", c.String())
	}
}

func TestTCPReconnectsAfterThePeerClosed(t *testing.T) {
	d, pbx := streamDoor(t, testLimits())
	for range 3 {
		got, on := events()
		if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
			t.Fatal(err)
		}
		peer := pbx.accept()
		peer.send(answerTo(t, peer.read(), 200, "OK"))
		if e := receive(t, "the response", got); e.Err != nil {
			t.Fatal(e.Err)
		}
		_ = peer.sock.Close()
		eventually(t, "the closed connection is forgotten", func() bool { return d.Stats().Connections == 0 })
	}
}

func TestTCPLossEndsTransactions(t *testing.T) {
	d, pbx := streamDoor(t, testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "INVITE", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	peer := pbx.accept()
	peer.read()
	_ = peer.sock.Close()
	if e := receive(t, "the loss", got); e.Err == nil {
		t.Errorf("event %+v", e)
	}
}

func TestTCPRefusedIsAnEvent(t *testing.T) {
	pbx := listenStream(t, "127.0.0.95:0")
	_ = pbx.l.Close()
	d := openDoor(t, trunk(t, "sip:"+pbx.at.String()+";transport=tcp"), testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "INVITE", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, "the refusal", got); e.Err == nil {
		t.Errorf("event %+v", e)
	}
}

func TestTCPServesFragmentsAndPipelines(t *testing.T) {
	d, _ := streamDoor(t, testLimits())
	peer := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	via := "SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK"
	for _, b := range []byte(wire("OPTIONS", via+"0", "", "body")) {
		peer.send(string([]byte{b}))
	}
	peer.send("\r\n\r\n" + wire("OPTIONS", via+"1", "", "") + wire("MESSAGE", via+"2", "", "hello"))
	for i, body := range []string{"body", "", "hello"} {
		got := receive(t, "a request", d.requests)
		if b := got.tx.Request().Via().Params.GetOr("branch", ""); b != fmt.Sprintf("z9hG4bK%d", i) || string(got.tx.Request().Body()) != body {
			t.Errorf("%s %q", b, got.tx.Request().Body())
		}
		respond(t, got, 200)
	}
	var all strings.Builder
	for range 3 {
		text := peer.read()
		for strings.HasPrefix(text, "\r\n") { // the keepalive's answer stands between messages
			all.WriteString("pong ")
			text = peer.read()
		}
		all.WriteString(header(text, "Via") + " ")
	}
	if strings.Count(all.String(), "pong") != 1 || strings.Count(all.String(), ";received=") != 0 || strings.Count(all.String(), via) != 3 {
		t.Errorf("answered %s", all.String())
	}
}

func TestStreamStrangersAreClosed(t *testing.T) {
	d, _ := streamDoor(t, testLimits())
	dialDoor(t, "127.0.0.66", d.Addrs()[1]).ended()
	eventually(t, "the stranger is counted", func() bool { return d.Stats().Strangers == 1 })
	if n := d.Stats().Connections; n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestStreamRefusesWhatItCannotFrame(t *testing.T) {
	d, _ := streamDoor(t, testLimits())
	good := wire("OPTIONS", "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx", "", "")
	for _, c := range []struct{ name, sent, want string }{
		{"no length", strings.Replace(good, "Content-Length: 0\r\n", "", 1), "SIP/2.0 400 Content-Length is missing"},
		{"body too large", strings.Replace(good, "Content-Length: 0", "Content-Length: 9999999", 1), "SIP/2.0 513 body above 61440 bytes"},
		{"headers too large", "OPTIONS sip:x SIP/2.0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 400), ""},
	} {
		peer := dialDoor(t, "127.0.0.1", d.Addrs()[1])
		peer.send(c.sent)
		if c.want != "" {
			if text := peer.read(); !strings.HasPrefix(text, c.want) {
				t.Errorf("%s: %q", c.name, text)
			}
		}
		peer.ended()
	}
	eventually(t, "the connections are forgotten", func() bool { return d.Stats().Connections == 0 })
	if s := d.Stats(); s.Rejected != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestStreamMalformedMessageKeepsTheConnection(t *testing.T) {
	d, _ := streamDoor(t, testLimits())
	peer := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	via := "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK"
	peer.send(strings.Replace(wire("OPTIONS", via+"1", "", ""), "CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 1))
	if text := peer.read(); !strings.HasPrefix(text, "SIP/2.0 400 CSeq Method Differs") {
		t.Errorf("%q", text)
	}
	peer.send(wire("OPTIONS", via+"2", "", ""))
	respond(t, receive(t, "the good request", d.requests), 200)
	if text := peer.read(); !strings.HasPrefix(text, "SIP/2.0 200") {
		t.Errorf("%q", text)
	}
}

func TestSlowAndSilentPeersAreLetGo(t *testing.T) {
	lim := testLimits()
	lim.idle, lim.message = 200*time.Millisecond, 50*time.Millisecond
	d, _ := streamDoor(t, lim)
	dialDoor(t, "127.0.0.1", d.Addrs()[1]).ended()
	slow := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	slow.send("OPTIONS sip:x SIP/2.0\r\nVia:")
	slow.ended()
	eventually(t, "both are forgotten", func() bool { return d.Stats().Connections == 0 })
}

func TestPeerThatNeverReads(t *testing.T) {
	lim := testLimits()
	lim.queue = 8
	d, pbx := streamDoor(t, lim)
	got, on := events()
	body := strings.Repeat("x", 50000)
	lost := 0
	go func() {
		for {
			sock, err := pbx.l.Accept()
			if err != nil {
				return
			}
			defer sock.Close() // open until the listener is closed, and never read
		}
	}()
	for sent := 0; lost == 0; sent++ {
		if sent > 5000 {
			t.Fatal("in vain: the door gives up on a peer that does not read")
		}
		if _, err := d.Backend("pbx").Request(request(t, "MESSAGE", "sip:bob@example.com", body), on); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-got:
			if e.Err == nil {
				t.Fatalf("event %+v", e)
			}
			lost++
		case <-time.After(time.Millisecond): // lets the writer run
		}
	}
	_ = pbx.l.Close()
}

func TestResponseFindsANewConnection(t *testing.T) {
	d, pbx := streamDoor(t, testLimits())
	peer := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	peer.send(wire("INVITE", fmt.Sprintf("SIP/2.0/TCP pbx.invalid:%d;branch=z9hG4bKx", pbx.at.Port()), "", ""))
	got := receive(t, "the INVITE", d.requests)
	_ = peer.sock.Close()
	eventually(t, "the connection is gone", func() bool { return d.Stats().Connections == 0 })
	respond(t, got, 200)
	if text := pbx.accept().read(); !strings.HasPrefix(text, "SIP/2.0 200") || !strings.Contains(header(text, "Via"), ";received=127.0.0.1") {
		t.Errorf("%q", text)
	}
}

func TestConnectionsOfAPeerAreBounded(t *testing.T) {
	s := &connections{dialled: map[connKey]*conn{}, all: map[*conn]struct{}{}, perPeer: map[netip.Addr]int{}}
	peer := netip.MustParseAddrPort("10.0.0.1:1")
	var first *conn
	for i := range maxConnsPerPeer {
		c := &conn{peer: peer}
		if first == nil {
			first = c
		}
		if !s.accept(c) {
			t.Fatalf("refused the %dth", i)
		}
	}
	if s.accept(&conn{peer: peer}) {
		t.Error("accepted one too many")
	}
	if !s.accept(&conn{peer: netip.MustParseAddrPort("10.0.0.2:1")}) {
		t.Error("another peer pays for it")
	}
	s.remove(first)
	s.remove(first)
	if !s.accept(&conn{peer: peer}) || s.accept(&conn{peer: peer}) {
		t.Error("one that ended makes room for one")
	}
}

// RFC 3261 §17.2.3 and §9.2: what belongs to a transaction is known by branch and sent-by; the connection may be another.
func TestCancelAndAckOverOtherConnections(t *testing.T) {
	d, _ := streamDoor(t, testLimits())
	const via = "SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bKmoved"
	first := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	first.send(wire("INVITE", via, "", ""))
	invite := receive(t, "the INVITE", d.requests)
	second := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	second.send(wire("CANCEL", via, "", ""))
	cancel := receive(t, "the CANCEL", d.requests)
	if cancel.tx.Cancels() != invite.tx {
		t.Fatal("the CANCEL of another connection does not know its INVITE")
	}
	respond(t, cancel, 200)
	respond(t, invite, 487)
	for peer, want := range map[*streamPeer]string{second: "SIP/2.0 200", first: "SIP/2.0 487"} {
		if text := peer.read(); !strings.HasPrefix(text, want) {
			t.Errorf("%q, want %s", text, want)
		}
	}
	third := dialDoor(t, "127.0.0.1", d.Addrs()[1])
	third.send(wire("ACK", via, "", ""))
	eventually(t, "the ACK has ended the INVITE", func() bool { return d.Stats().Transactions.Servers == 0 })
	if n := d.Stats().Transactions.Unacked; n != 0 {
		t.Errorf("%d refusals without an ACK", n)
	}
}

func TestOurConnectionsAreKeptOpen(t *testing.T) {
	lim := testLimits()
	lim.keepalive = 20 * time.Millisecond
	d, pbx := streamDoor(t, lim)
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	peer := pbx.accept()
	text := peer.read()
	for range 3 {
		ping := make([]byte, 4)
		if _, err := io.ReadFull(peer.in, ping); err != nil || string(ping) != "\r\n\r\n" {
			t.Fatalf("%q, %v", ping, err)
		}
		peer.send("\r\n")
	}
	peer.send(answerTo(t, text, 200, "OK"))
	if e := receive(t, "the response", got); e.Err != nil {
		t.Error(e.Err)
	}
	if n := d.Stats().MessagesOut; n != 1 {
		t.Errorf("%d messages sent: a keepalive is none", n)
	}
}
