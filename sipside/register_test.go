package sipside

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// registering is a door with one trunk at which it registers.
func registering(t *testing.T, peer *datagramPeer, answer Answerer) *door {
	t.Helper()
	cfg := trunk(t, "sip:"+peer.at.String())
	cfg.Trunks[0].Account = Account{Username: "4930123", Register: true, Answer: answer}
	return openDoor(t, cfg, testLimits())
}

func withHeader(response string, lines ...string) string {
	return strings.Replace(response, "\r\n", "\r\n"+strings.Join(lines, "\r\n")+"\r\n", 1)
}

func TestRegistersAtATrunk(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := registering(t, peer, func(res *sip.Response, method, uri string, _ []byte) (sip.Header, error) {
		if res.StatusCode != 401 || method != "REGISTER" || uri != "sip:"+peer.at.String() {
			return nil, errors.New("other than was sent")
		}
		return sip.NewHeader("Authorization", "Digest of the test"), nil
	})
	first, at := peer.read()
	if !strings.HasPrefix(first, "REGISTER sip:"+peer.at.String()+" SIP/2.0") || !strings.Contains(header(first, "Contact"), "sip:4930123@") {
		t.Fatalf("the trunk got\n%s", first)
	}
	peer.send(at, withHeader(answerTo(t, first, 401, "Unauthorized"), `WWW-Authenticate: Digest realm="t", nonce="n"`))
	second, at := peer.read()
	if header(second, "Authorization") != "Digest of the test" || header(second, "Call-ID") != header(first, "Call-ID") || header(second, "CSeq") != "2 REGISTER" {
		t.Fatalf("the answer to the challenge is\n%s", second)
	}
	peer.send(at, withHeader(answerTo(t, second, 423, "Interval Too Brief"), "Min-Expires: 7200"))
	third, at := peer.read()
	if header(third, "Expires") != "7200" {
		t.Fatalf("after 423\n%s", third)
	}
	peer.send(at, withHeader(answerTo(t, third, 200, "OK"), "Contact: "+header(third, "Contact")))
	eventually(t, "the trunk counts as registered", func() bool { return d.Stats().Backends[0].Registered })

	ended := make(chan struct{})
	go func() { d.Unregister(context.Background()); close(ended) }()
	last, at := peer.read()
	if header(last, "Expires") != "0" || header(last, "CSeq") != "4 REGISTER" {
		t.Fatalf("at the end\n%s", last)
	}
	peer.send(at, answerTo(t, last, 200, "OK"))
	receive(t, "Unregister ends", ended)
	if s := d.Stats().Backends[0]; s.Registered || !s.Registers || s.RegisterStatus != 200 {
		t.Errorf("%+v", s)
	}
}

func TestForbiddenRegistration(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := registering(t, peer, nil)
	first, at := peer.read()
	peer.send(at, answerTo(t, first, 403, "Forbidden"))
	eventually(t, "the refusal is known", func() bool { return d.Stats().Backends[0].RegisterStatus == 403 })
	d.Unregister(context.Background()) // there is nothing to take back
}

func TestSourcesOfATrunk(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	cfg := trunk(t, "sip:"+peer.at.String())
	cfg.Trunks[0].Sources = []netip.Prefix{netip.MustParsePrefix("127.0.7.0/24")}
	d := openDoor(t, cfg, testLimits())
	for from, want := range map[string]standing{"127.0.7.9": member, "127.0.0.1": member, "127.0.8.9": stranger} {
		if _, who := d.sources.of(netip.AddrPortFrom(netip.MustParseAddr(from), 5999), 0); who != want {
			t.Errorf("%s is %v, not %v", from, who, want)
		}
	}
}
