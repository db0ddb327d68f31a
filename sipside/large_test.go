package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// bothPeer listens on one port by UDP and, if asked, by TCP.
func bothPeer(t *testing.T, withTCP bool) (*datagramPeer, *streamListenerPeer) {
	t.Helper()
	for range 20 { // another process may hold the TCP port of the same number
		u := newDatagramPeer(t, "127.0.0.1")
		if !withTCP {
			return u, nil
		}
		if l, err := tryListen(t, u.at); err == nil {
			return u, l
		}
	}
	t.Fatal("no port is free by UDP and TCP")
	return nil, nil
}

func large() string { return strings.Repeat("x", maxUDPRequest) }

func TestLargeRequestGoesByTCP(t *testing.T) {
	_, pbx := bothPeer(t, true)
	d := openDoor(t, trunk(t, "sip:"+pbx.at.String()), testLimits())
	got, on := events()
	tx, err := d.Backend("pbx").Request(request(t, "INVITE", "sip:bob@example.com", large()), on)
	if err != nil {
		t.Fatal(err)
	}
	peer := pbx.accept()
	text := peer.read()
	if !strings.HasPrefix(header(text, "Via"), "SIP/2.0/TCP "+d.Addrs()[1].String()+";") {
		t.Errorf("Via %q", header(text, "Via"))
	}
	peer.send(answerTo(t, text, 180, "Ringing"))
	if e := receive(t, "the 180", got); e.Response.StatusCode != 180 {
		t.Errorf("%+v", e)
	}
	if err := tx.Cancel(); err != nil {
		t.Fatal(err)
	}
	cancel := peer.read()
	if !strings.HasPrefix(cancel, "CANCEL") || header(cancel, "Via") != header(text, "Via") {
		t.Errorf("%q", cancel)
	}
	peer.send(answerTo(t, cancel, 200, "OK") + answerTo(t, text, 487, "Request Terminated"))
	if e := receive(t, "the 487", got); e.Response.StatusCode != 487 {
		t.Errorf("%+v", e)
	}
	if ack := peer.read(); !strings.HasPrefix(ack, "ACK") {
		t.Errorf("%q: an INVITE was repeated over TCP?", ack)
	}
	// A second one takes the connection as it is.
	if _, err := d.Backend("pbx").Request(request(t, "MESSAGE", "sip:bob@example.com", large()), on); err != nil {
		t.Fatal(err)
	}
	if text := peer.read(); !strings.HasPrefix(text, "MESSAGE") {
		t.Errorf("%q", text)
	}
}

func TestLargeRequestFallsBackToUDP(t *testing.T) {
	peer, _ := bothPeer(t, false)
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()), testLimits())
	got, on := events()
	tx, err := d.Backend("pbx").Request(request(t, "INVITE", "sip:bob@example.com", large()), on)
	if err != nil {
		t.Fatal(err)
	}
	text, from := peer.read()
	via := header(text, "Via")
	if from != d.Addrs()[0] || !strings.HasPrefix(via, fmt.Sprintf("SIP/2.0/UDP %s;branch=", d.Addrs()[0])) {
		t.Errorf("from %s with Via %q", from, via)
	}
	if again, _ := peer.any(); again != text { // timer A
		t.Errorf("the repetition is %q", again)
	}
	peer.send(from, answerTo(t, text, 180, "Ringing"))
	if e := receive(t, "the 180", got); e.Err != nil || e.Response.StatusCode != 180 {
		t.Errorf("%+v", e)
	}
	if err := tx.Cancel(); err != nil {
		t.Fatal(err)
	}
	if cancel, _ := peer.read(); !strings.HasPrefix(cancel, "CANCEL") || header(cancel, "Via") != via {
		t.Errorf("%q, want the INVITE's Via %s", cancel, via)
	}
	addr := netip.AddrPortFrom(peer.at.Addr(), peer.at.Port())
	if !d.refusals.recent(addr) || d.refusals.add(addr) {
		t.Error("the refusal is not remembered")
	}
	if _, err := d.Backend("pbx").Request(request(t, "MESSAGE", "sip:bob@example.com", large()), on); err != nil {
		t.Fatal(err)
	}
	for {
		if text, _ := peer.read(); strings.HasPrefix(text, "MESSAGE") {
			break
		}
	}
	if n := d.log.count("no TCP for requests"); n != 1 {
		t.Errorf("the fallback was logged %d times", n)
	}
}

func TestLimitCountsWholeRequest(t *testing.T) {
	peer, _ := bothPeer(t, false)
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()), testLimits())
	for _, c := range []struct {
		above int
		large bool
	}{{0, false}, {1, true}} {
		out := request(t, "MESSAGE", "sip:bob@example.com", "")
		via := newVia()
		d.address(via, udp, peer.at.Addr())
		out.PrependHeader(via)
		size := len(d.wire(out))
		padding := maxUDPRequest - size + c.above - len("X-Pad: \r\n")
		p, err := d.passageFor(d.Backend("pbx"), request(t, "MESSAGE", "sip:bob@example.com", "",
			sip.NewHeader("X-Pad", strings.Repeat("x", padding))))
		if err != nil {
			t.Fatal(err)
		}
		if _, isDeferred := p.flow.(*deferred); isDeferred != c.large {
			t.Errorf("%d bytes above the limit: flow %T", c.above, p.flow)
		}
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	d := openDoor(t, trunk(t, "sip:127.0.0.1:9"), testLimits())
	for port := range uint16(maxRefusals + 100) {
		d.refusals.add(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port))
	}
	if n := len(d.refusals.until); n > maxRefusals {
		t.Errorf("%d kept", n)
	}
}
