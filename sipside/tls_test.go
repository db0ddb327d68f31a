package sipside

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// certificate is a self-signed one for 127.0.0.1 with the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pbx"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, trust
}

func TestTLSBothWays(t *testing.T) {
	server, trust := certificate(t)
	plain := listenStream(t, "127.0.0.1:0")
	cfg := trunk(t, "sips:"+plain.at.String())
	cfg.Listen = []Listen{{Network: "tls", Addr: anyPort, TLS: server}}
	cfg.ClientTLS = &tls.Config{RootCAs: trust}
	d := openDoor(t, cfg, testLimits())

	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sips:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	sock, err := plain.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer := newStreamPeer(t, tls.Server(sock, server))
	text := peer.read()
	if !strings.HasPrefix(header(text, "Via"), "SIP/2.0/TLS "+d.Addrs()[0].String()+";") {
		t.Errorf("Via %q", header(text, "Via"))
	}
	peer.send(answerTo(t, text, 200, "OK"))
	if e := receive(t, "the response", got); e.Err != nil {
		t.Error(e.Err)
	}
	if c := d.Backend("pbx").Contact("x1"); c.String() != "sips:x1@"+d.Addrs()[0].String() {
		t.Errorf("Contact %s", c.String())
	}

	client, err := tls.Dial("tcp4", d.Addrs()[0].String(), &tls.Config{RootCAs: trust})
	if err != nil {
		t.Fatal(err)
	}
	caller := newStreamPeer(t, client)
	caller.send(wire("OPTIONS", "SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKx", "", ""))
	respond(t, receive(t, "the request over TLS", d.requests), 200)
	if text := caller.read(); !strings.HasPrefix(text, "SIP/2.0 200") {
		t.Errorf("%q", text)
	}
}

func TestTLSWrongCertificateIsAnEvent(t *testing.T) {
	server, _ := certificate(t)
	plain := listenStream(t, "127.0.0.1:0")
	d := openDoor(t, distrusting(t, "sip:"+plain.at.String()+";transport=tls"), testLimits())
	got, on := events()
	if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
		t.Fatal(err)
	}
	sock, err := plain.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if err := tls.Server(sock, server).Handshake(); err == nil {
		t.Error("the handshake went through")
	}
	if e := receive(t, "the refusal", got); e.Err == nil {
		t.Errorf("%+v", e)
	}
	eventually(t, "the log says why", func() bool { return d.log.count("certificate") > 0 })
}

// distrusting is trunk with other roots than the peer's certificate.
func distrusting(t *testing.T, to string) Config {
	_, other := certificate(t)
	cfg := trunk(t, to)
	cfg.ClientTLS = &tls.Config{RootCAs: other}
	return cfg
}

func TestSilentHandshakeBlocksNobody(t *testing.T) {
	t.Parallel()
	server, trust := certificate(t)
	cfg := trunk(t, "sip:127.0.0.1;transport=tls")
	cfg.Listen = []Listen{{Network: "tls", Addr: anyPort, TLS: server}}
	lim := testLimits()
	lim.dial = 10 * time.Second
	d := openDoor(t, cfg, lim)
	silent := dialDoor(t, "127.0.0.1", d.Addrs()[0])
	client, err := tls.Dial("tcp4", d.Addrs()[0].String(), &tls.Config{RootCAs: trust})
	if err != nil {
		t.Fatal(err)
	}
	newStreamPeer(t, client).send(wire("OPTIONS", "SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKx", "", ""))
	receive(t, "the request of the other peer", d.requests)
	silent.ended()
}
