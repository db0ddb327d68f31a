package media

import (
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"

	"tandem/bridge/sdp"
)

// browserLeg is a leg and a peer that has passed its first check; events go to the journal.
func browserLeg(t *testing.T, e *Engine) (*Leg, *peer, *journal) {
	t.Helper()
	j := &journal{}
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC, OnEvent: j.note})
	return l, newPeer(t, l.Local()), j
}

func TestFingerprintIsEnforced(t *testing.T) {
	e := open(t)
	l, p, j := browserLeg(t, e)
	remote := p.remote()
	impostor, err := selfsign.GenerateSelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	p.certificate = impostor
	l.SetRemote(remote)
	l.AnswerSent()
	p.check()
	if err := p.handshake(); err == nil {
		t.Error("the handshake succeeded")
	}
	waitFor(t, "the leg to fail", func() bool { return j.has(Failed, FingerprintMismatch) })
	p.send(append([]byte{0x80, 111}, make([]byte, 60)...))
	waitFor(t, "media to be refused", func() bool { return l.Stats().Drops[DropFailed.String()] > 0 })
	if j.has(Connected, "") || !l.Stats().ConnectedAt.IsZero() {
		t.Error("the leg connected")
	}
	if n := e.Stats().HandshakeFailures[string(FingerprintMismatch)]; n != 1 {
		t.Errorf("%d failures counted", n)
	}
}

func TestFingerprintAlgorithms(t *testing.T) {
	c, err := selfsign.GenerateSelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	good := (&peer{certificate: c}).remote().Fingerprints[0]
	for _, f := range []struct {
		name    string
		offered []sdp.Fingerprint
		want    bool
	}{
		{"sha-256", []sdp.Fingerprint{good}, true},
		{"upper-case name", []sdp.Fingerprint{{Algorithm: "SHA-256", Value: good.Value}}, true},
		{"among others", []sdp.Fingerprint{{Algorithm: "sha-1", Value: "AA"}, {Algorithm: "sha-512", Value: "BB"}, good}, true},
		{"sha-1 counts for nothing", []sdp.Fingerprint{{Algorithm: "sha-1", Value: good.Value}}, false},
		{"other value", []sdp.Fingerprint{{Algorithm: "sha-256", Value: "AA:BB"}}, false},
		{"none", nil, false},
	} {
		t.Run(f.name, func(t *testing.T) {
			if _, ok := matching(c.Certificate[0], f.offered); ok != f.want {
				t.Errorf("matches: %v", ok)
			}
		})
	}
}

func TestNoCommonSRTPProfile(t *testing.T) {
	l, p, j := browserLeg(t, open(t))
	p.profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_32}
	l.SetRemote(p.remote())
	l.AnswerSent()
	p.check()
	if err := p.handshake(); err == nil {
		t.Error("the handshake succeeded")
	}
	waitFor(t, "the leg to fail", func() bool { return j.has(Failed, NoSRTPProfile) })
}

func TestEarlyDTLSIsHeld(t *testing.T) {
	e := open(t)
	l, p, _ := browserLeg(t, e)
	p.check()
	done := make(chan error, 1)
	go func() { done <- p.handshake() }()
	for range maxEarly {
		p.send([]byte{recordHandshake, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 99})
	}
	waitFor(t, "early records to be held to the limit", func() bool { return l.Stats().Drops[DropDTLSEarly.String()] > 0 })
	l.SetRemote(p.remote())
	if e.Stats().Handshakes != 0 {
		t.Error("the handshake began before the answer was out")
	}
	l.AnswerSent()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A peer that answered our offer says active; nothing of ours is outstanding then.
func TestNoAnswerToWaitForAfterOurOffer(t *testing.T) {
	l, p, _ := browserLeg(t, open(t))
	r := p.remote()
	r.Setup = "active"
	l.SetRemote(r)
	p.check()
	if err := p.handshake(); err != nil {
		t.Fatal(err)
	}
}

func TestLostFlights(t *testing.T) {
	t.Parallel()
	for lost := range int32(4) {
		e := open(t)
		l, p, _ := browserLeg(t, e)
		p.dropRecords.Store(lost)
		l.SetRemote(p.remote())
		l.AnswerSent()
		p.check()
		if err := p.handshake(); err != nil {
			t.Fatalf("%d datagrams lost: %v", lost, err)
		}
	}
}

// The client's last flight comes again where ours was lost; by then the gateway has let its DTLS connection go.
func TestLastFlightIsRepeated(t *testing.T) {
	e := open(t)
	l, p, j := browserLeg(t, e)
	l.SetRemote(p.remote())
	l.AnswerSent()
	p.check()
	p.loseChangeCipherSpec.Store(true)
	if err := p.handshake(); err != nil {
		t.Fatal(err)
	}
	if p.loseChangeCipherSpec.Load() {
		t.Fatal("nothing was lost")
	}
	waitFor(t, "the leg to connect", func() bool { return j.has(Connected, "") })
}

func TestAlertsAreNotObeyed(t *testing.T) {
	c := newCall(t, open(t))
	c.bothWays(t)
	c.browser.send([]byte{recordAlert, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0})
	waitFor(t, "the alert to be counted", func() bool { return c.a.Stats().Drops[DropDTLSAlert.String()] == 1 })
	if err := c.browser.dtlsConn.Close(); err != nil { // a real one, encrypted
		t.Fatal(err)
	}
	waitFor(t, "the alert to be counted", func() bool { return c.a.Stats().Drops[DropDTLSAlert.String()] == 2 })
	c.bothWays(t)
}

func TestNewAssociationNeedsNewDescription(t *testing.T) {
	t.Parallel()
	e := open(t)
	c := newCall(t, e)
	c.bothWays(t)
	c.browser.dtlsConn = nil
	hello := make(chan error, 1)
	go func() { hello <- c.browser.handshake() }()
	waitFor(t, "the ClientHello to be refused", func() bool { return c.a.Stats().Drops[DropDTLSUnexpected.String()] > 0 })
	if e.Stats().Handshakes != 1 {
		t.Error("a ClientHello started a new association")
	}
	r := c.browser.remote()
	r.TLSID = "another"
	c.a.SetRemote(r)
	if err := <-hello; err != nil { // the client repeats its hello
		t.Fatal(err)
	}
	waitFor(t, "the new keys to be in use", func() bool { return e.Stats().Handshakes == 2 })
	c.browser.sequence += 100
	waitFor(t, "media under the new keys", func() bool {
		c.browser.sendRTP(c.browser.next(111, "new keys"))
		return c.b.Stats().PacketsOut > 1
	})
}

func TestHandshakeTimesOut(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Limits.Handshake = 2 * time.Second })
	l, p, j := browserLeg(t, e)
	l.SetRemote(p.remote())
	l.AnswerSent()
	p.check()
	waitFor(t, "a leg without DTLS to fail", func() bool { return j.has(Failed, HandshakeFailed) })
}

func TestRTPBeforeDTLSIsCounted(t *testing.T) {
	l, p, _ := browserLeg(t, open(t))
	l.SetRemote(p.remote())
	p.check()
	p.send(packet(t, 111, 1, 1, "too early"))
	waitFor(t, "the packet to be counted", func() bool { return l.Stats().Drops[DropBeforeDTLS.String()] == 1 })
	stranger := newPeer(t, l.Local())
	stranger.send(packet(t, 111, 1, 1, "from nowhere"))
	waitFor(t, "the stranger to be counted", func() bool { return l.engine.Stats().Drops[DropNotValidated.String()] == 1 })
}

func TestActiveRole(t *testing.T) {
	e := open(t)
	l, p, j := browserLeg(t, e)
	r := p.remote()
	r.Setup = "passive"
	l.SetRemote(r)
	p.check()
	if err := p.acceptHandshake(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the leg to connect", func() bool { return j.has(Connected, "") })
}
