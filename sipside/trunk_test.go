package sipside

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// several is a trunk with a server for each peer.
func several(t *testing.T, peers ...*datagramPeer) Config {
	cfg := trunk(t, "sip:"+peers[0].at.String())
	cfg.Timers = transaction.Config{T1: 150 * time.Millisecond}
	for _, p := range peers[1:] {
		cfg.Trunks[0].More = append(cfg.Trunks[0].More, uri(t, "sip:"+p.at.String()))
	}
	return cfg
}

// A trunk's second server gets what the first leaves unanswered, from then on at once, and may send requests itself.
func TestNextServerOfATrunk(t *testing.T) {
	t.Parallel()
	silent, second := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.2")
	d := openDoor(t, several(t, silent, second), testLimits())
	for _, turn := range []string{"first", "second"} {
		got, on := events()
		if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
			t.Fatal(err)
		}
		text, at := second.read()
		second.send(at, answerTo(t, text, 200, "OK"))
		if e := receive(t, "the response", got); e.Err != nil {
			t.Error(turn, e.Err)
		}
		if d.log.count("server not reached") > 0 {
			t.Error("a silent server counts as one without a way")
		}
	}
	if !d.silences.recent(silent.at) || d.silences.recent(second.at) {
		t.Error("which server is silent")
	}
	second.send(d.Addrs()[0], wire("OPTIONS", "SIP/2.0/UDP "+second.at.String()+";branch=z9hG4bKs", "", ""))
	respond(t, receive(t, "the second server's request", d.requests), 200)
}

// A server whose port is closed, as ICMP tells, is given up at the first repetition.
func TestNextServerWhereUDPIsRefused(t *testing.T) {
	t.Parallel()
	closed, second := newDatagramPeer(t, "127.0.0.93"), newDatagramPeer(t, "127.0.0.2")
	if err := closed.sock.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := several(t, closed, second)
	cfg.Timers = transaction.Config{T1: 200 * time.Millisecond}
	d := openDoor(t, cfg, testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	text, at := second.read()
	if n := d.Stats().Transactions.Retransmissions; n >= maxSilence {
		t.Errorf("given up after %d repetitions", n)
	}
	second.send(at, answerTo(t, text, 200, "OK"))
	if e := receive(t, "the response", got); e.Err != nil {
		t.Error(e.Err)
	}
}

// What belongs to a dialog with one server is not tried at another.
func TestDialogStaysWithItsServer(t *testing.T) {
	t.Parallel()
	first, second := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.2")
	d := openDoor(t, several(t, first, second), testLimits())
	out := request(t, "BYE", "sip:"+first.at.String(), "")
	out.To().Params.Add("tag", "theirs")
	got, on := events()
	if _, err := d.Backend("pbx").Request(out, on); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, "the end", got); e.Err == nil {
		t.Errorf("%+v", e)
	}
	if d.trace.has(second.at.String()) {
		t.Error("the other server heard of it")
	}
}

// A registration goes to the next server, too, and is one.
func TestRegistersAtTheNextServer(t *testing.T) {
	t.Parallel()
	silent, second := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.2")
	cfg := several(t, silent, second)
	cfg.Trunks[0].Account = Account{Username: "4930123", Register: true, Domain: "carrier.example"}
	d := openDoor(t, cfg, testLimits())
	text, at := second.read()
	if !strings.HasPrefix(text, "REGISTER sip:carrier.example SIP/2.0") || !strings.Contains(header(text, "To"), "sip:4930123@carrier.example") {
		t.Errorf("the second server got\n%s", text)
	}
	second.send(at, withHeader(answerTo(t, text, 200, "OK"), "Contact: "+header(text, "Contact")))
	eventually(t, "the trunk counts as registered", func() bool { return d.Stats().Backends[0].Registered })
}

func TestServersOfATrunkShareATransport(t *testing.T) {
	t.Parallel()
	cfg := trunk(t, "sip:127.0.0.1")
	cfg.Listen = []Listen{{Network: "udp", Addr: anyPort}}
	cfg.Trunks[0].More = []sip.Uri{uri(t, "sip:127.0.0.2;transport=tcp")}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "trunks.pbx.uri: sip:127.0.0.2;transport=tcp is reached by TCP") {
		t.Error(err)
	}
}

// A 503 of one server leads a registration to the next at once (RFC 3263 §4.3); which server that was is known for a while.
func TestRegistersAtTheNextServerAfter503(t *testing.T) {
	t.Parallel()
	first, second := newDatagramPeer(t, "127.0.0.1"), newDatagramPeer(t, "127.0.0.2")
	cfg := several(t, first, second)
	cfg.Timers = transaction.Config{T1: time.Minute} // nobody is silent
	cfg.Trunks[0].Account = Account{Username: "4930123", Register: true, Domain: "carrier.example"}
	d := openDoor(t, cfg, testLimits())
	refused, at := first.read()
	first.send(at, answerTo(t, refused, 503, "Service Unavailable"))
	text, at := second.read()
	second.send(at, withHeader(answerTo(t, text, 200, "OK"), "Contact: "+header(text, "Contact")))
	eventually(t, "the trunk counts as registered", func() bool { return d.Stats().Backends[0].Registered })
	if header(text, "CSeq") == header(refused, "CSeq") || header(text, "Call-ID") != header(refused, "Call-ID") {
		t.Errorf("the registration is another one:\n%s\n%s", refused, text)
	}
	if b := d.Backend("pbx"); !d.silences.recent(first.at) || !b.Another() || b.State() != "up" {
		t.Errorf("the first server is known to refuse: %v; another: %v; the trunk is %s", d.silences.recent(first.at), b.Another(), b.State())
	}
}
