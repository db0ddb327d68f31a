package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

// So many handshakes compute at a time and the others wait, but not for ever, and not those of addresses that are known.
func TestHandshakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		office, stranger := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
		of := &handshakes{turns: make(chan struct{}, 1), known: func(a netip.Addr) bool { return a == office }}
		first, second, known := &handshakeTurn{of: of}, &handshakeTurn{of: of}, &handshakeTurn{of: of}
		if err := errors.Join(first.begin(stranger), first.begin(stranger), known.begin(office)); err != nil {
			t.Fatal(err)
		}
		if err := second.begin(stranger); !errors.Is(err, errBusy) {
			t.Fatalf("a second one has its turn: %v", err)
		}
		began := make(chan error)
		go func() { began <- second.begin(stranger) }()
		synctest.Wait()
		known.end()
		first.end()
		first.end()
		if err := <-began; err != nil {
			t.Fatal(err)
		}
		second.end()
		if len(of.turns) != 0 {
			t.Errorf("%d turns are held", len(of.turns))
		}
	})
}

// hello is what a client says first.
func hello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake()
	buf := make([]byte, 4096)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// Handshakes that nobody goes on with keep nobody from his turn, in whichever half they stop.
func TestHandshakesThatStop(t *testing.T) {
	_, secure, front := openFrontedWeb(t, HTTPS{}, doors{})
	first := hello(t)
	for i := range 40 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(secure, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(first[:len(first)>>(i%2)]); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := fetch(t, "GET", secure+"/sip", ""); body != "sip HTTP/1.1" {
		t.Errorf("beside them: %q", body)
	}
	if n := front.stats().Refused[refusedBusy]; n != 0 {
		t.Errorf("%d were refused", n)
	}
}
