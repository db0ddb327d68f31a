package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/e2e/lab"
	"tandem/wss/wsstest"
)

// The door before the door: proxies, TLS by openssl's measure, and clients who take their time.

// fronted has the https section of a test, and nobody behind: a call's record is what it looks at.
const fronted = `
https: %s
sip: {listen: "udp://127.0.0.20:%d"}
media: {listen: "127.0.0.20:0", rtp: {ports: %d-%d}}
pools: {pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}}
routes: [{from: browsers, to: pbx, register: forward}, {from: pbx, to: browsers}]
admin: {listen: "127.0.0.20:0"}
call: {try-timeout: 50ms}
guard: off
`

const haproxy = `
defaults
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
listen version2
	mode tcp
	bind 127.0.0.21:8442
	server tandem 127.0.0.20:8443 source 127.0.0.21 send-proxy-v2
listen version1
	mode tcp
	bind 127.0.0.21:8441
	server tandem 127.0.0.20:8443 source 127.0.0.21 send-proxy
listen nothing
	mode tcp
	bind 127.0.0.21:8440
	server tandem 127.0.0.20:8443 source 127.0.0.21
listen forwarded
	mode http
	bind 127.0.0.21:8445 ssl crt KEYPAIR
	option forwardfor
	server tandem 127.0.0.20:8080 source 127.0.0.21
`

// Behind HAProxy, which speaks the PROXY protocol or adds X-Forwarded-For, the caller's own address is what the record, the Via and
// the limits have; what a caller writes into X-Forwarded-For himself moves nobody.
func TestBehindHAProxy(t *testing.T) {
	tcp := newSite(t, fmt.Sprintf(fronted, `{listen: "127.0.0.20:8443", proxies: 127.0.0.21, client-address: proxy-protocol, limits: {per-address: 1}}`, 5060, 30000, 30099))
	web := newSite(t, fmt.Sprintf(fronted, `{listen: "http://127.0.0.20:8080", proxies: 127.0.0.21, limits: {per-address: 1}}`, 5061, 30100, 30199))
	tcp.ladderOnFailure(t)
	web.ladderOnFailure(t)
	lab.StartHAProxy(t, haproxy, "127.0.0.21:8445", "127.0.0.21:8442", "127.0.0.21:8441", "127.0.0.21:8440")
	for _, tc := range []struct {
		name, at string
		of       *site
	}{
		{"PROXY v2", "127.0.0.21:8442", tcp}, {"PROXY v1", "127.0.0.21:8441", tcp}, {"X-Forwarded-For", "127.0.0.21:8445", web},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := dialFrom(t, "127.0.0.77", tc.at)
			if err != nil {
				t.Fatal(err)
			}
			call, err := b.Invite(t.Context(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			if err != nil {
				t.Fatal(err)
			}
			defer call.Close()
			tc.of.lastRecord(t, func(r record) error {
				if r.Client != "127.0.0.77" {
					return fmt.Errorf("the call came from %q", r.Client)
				}
				return nil
			})
			res, err := b.Do(t.Context(), b.NewRequest("OPTIONS", "gateway"))
			if err != nil || res.Via().Params.GetOr("received", "") != "127.0.0.77" {
				t.Errorf("%v %v", res, err)
			}
			if _, err := dialFrom(t, "127.0.0.77", tc.at); err == nil || !strings.Contains(err.Error(), "429") {
				t.Errorf("a second WebSocket from the same address: %v", err)
			}
			other, err := dialFrom(t, "127.0.0.78", tc.at)
			if err != nil {
				t.Fatalf("another address: %v", err)
			}
			other.Close()
			b.Close()
			lab.Eventually(t, 10*time.Second, "both are gone", func() error {
				if s := frontOf(t, tc.of); s.Browsers != 0 {
					return fmt.Errorf("%d browsers", s.Browsers)
				}
				return nil
			})
		})
	}
	if _, err := dialFrom(t, "127.0.0.77", "127.0.0.21:8440"); err == nil {
		t.Error("a proxy's connection without a header was let in")
	}
	if n := frontOf(t, tcp).Refused.Connections["proxy-header"]; n == 0 {
		t.Error("it was not counted")
	}
}

// dialFrom opens a browser's WebSocket from an address; it says by X-Forwarded-For that it comes from elsewhere.
func dialFrom(t *testing.T, from, to string) (*wsstest.Browser, error) {
	t.Helper()
	b, err := wsstest.Dial(t.Context(), "wss://"+to+"/sip", wsstest.Options{
		From: net.ParseIP(from), Header: http.Header{"X-Forwarded-For": {"203.0.113.99"}, "Forwarded": {"for=203.0.113.98"}},
	})
	if err == nil {
		t.Cleanup(b.Close)
	}
	return b, err
}

// frontStatus is what these tests look at in /api/status.
type frontStatus struct {
	Browsers int
	Refused  struct{ Connections, Handshakes, Closed map[string]uint64 }
}

func frontOf(t *testing.T, s *site) (out frontStatus) {
	t.Helper()
	res, err := http.Get(s.AdminURL() + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What openssl can talk the door into: TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3; with a client's
// certificate, where one is required.
func TestTLSByOpenSSL(t *testing.T) {
	folder := t.TempDir()
	rsa, ec := lab.SelfSigned(t, folder, "rsa:2048"), lab.SelfSigned(t, folder, "ec")
	https := fmt.Sprintf(`{listen: "127.0.0.20:8443", certificates: [{certificate: %s, key: %s}, {certificate: %s, key: %s}]}`,
		ec.Certificate, ec.Key, rsa.Certificate, rsa.Key)
	newSite(t, fmt.Sprintf(fronted, https, 5060, 30000, 30099))
	const page, refused = "Strict-Transport-Security: max-age=31536000", "alert"
	for _, tc := range []struct{ args, want string }{
		{"-tls1_3", page},
		{"-tls1_2", page},
		{"-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", page},
		{"-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", page},
		{"-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305", page},
		{"-tls1_1 -cipher ALL@SECLEVEL=0", refused},
		{"-tls1 -cipher ALL@SECLEVEL=0", refused},
		{"-tls1_2 -cipher AES128-GCM-SHA256", refused},         // RSA key exchange
		{"-tls1_2 -cipher AES256-SHA", refused},                //
		{"-tls1_2 -cipher ECDHE-RSA-AES128-SHA", refused},      // CBC
		{"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", refused}, //
		{"-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256", refused}, // no curve
		{"-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM", refused},
		{"-tls1_2 -cipher eNULL:aNULL:EXP@SECLEVEL=0", "rror"}, // openssl has some of these no more
		{"-tls1_2 -sigalgs RSA+SHA1 -cipher DEFAULT@SECLEVEL=0", refused},
	} {
		out := lab.SClient(t, "127.0.0.20:8443", strings.Fields(tc.args)...)
		if !strings.Contains(out, tc.want) || tc.want != page && strings.Contains(out, page) {
			t.Errorf("%s:\n%s", tc.args, out)
		}
	}
}

// The same for clients' certificates: who has none, or a stranger's, is refused within TLS, and who has a good one stands in the log.
func TestMutualTLSByOpenSSL(t *testing.T) {
	folder := t.TempDir()
	ca, stranger := lab.SelfSigned(t, folder, "ec"), lab.SelfSigned(t, folder, "rsa:2048")
	client := lab.SignedBy(t, folder, ca, "/O=Example/CN=alice")
	https := fmt.Sprintf(`{listen: "127.0.0.20:8443", clients: {ca: %s, required: true}}`, ca.Certificate)
	s := newSite(t, fmt.Sprintf(fronted, https, 5060, 30000, 30099))
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		const page = "HTTP/1.1 200 OK"
		if out := lab.SClient(t, "127.0.0.20:8443", version); strings.Contains(out, page) || !strings.Contains(out, "alert") {
			t.Errorf("%s without a certificate:\n%s", version, out)
		}
		if out := lab.SClient(t, "127.0.0.20:8443", version, "-cert", stranger.Certificate, "-key", stranger.Key); strings.Contains(out, page) || !strings.Contains(out, "alert") {
			t.Errorf("%s with a stranger's certificate:\n%s", version, out)
		}
		if out := lab.SClient(t, "127.0.0.20:8443", version, "-cert", client.Certificate, "-key", client.Key); !strings.Contains(out, page) {
			t.Errorf("%s with a good certificate:\n%s", version, out)
		}
	}
	pair, err := tls.LoadX509KeyPair(client.Certificate, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wsstest.Dial(t.Context(), s.url(), wsstest.Options{TLS: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	call, err := b.Invite(t.Context(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	if err != nil {
		t.Fatal(err)
	}
	defer call.Close()
	s.lastRecord(t, func(r record) error {
		if r.Subject != "CN=alice,O=Example" {
			return fmt.Errorf("certificate %q", r.Subject)
		}
		return nil
	})
}

// Clients that dawdle in TLS and in HTTP are closed in time, and while they are there somebody else comes in.
func TestSlowClients(t *testing.T) {
	s := newSite(t, fmt.Sprintf(fronted, `{listen: "127.0.0.20:0", limits: {handshakes-per-address: 40, unregistered: 1s}}`, 5060, 30000, 30099))
	s.ladderOnFailure(t)
	addr := strings.TrimPrefix(s.URLs()[0], "https://")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for i := range 60 { // more than there is room for
		go dawdle(ctx, addr, i%2 == 0)
	}
	lab.Eventually(t, 10*time.Second, "there is no more room for their address", func() error {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			return fmt.Errorf("one more came in")
		}
		if n := frontOf(t, s).Refused.Connections["address"]; n == 0 {
			return fmt.Errorf("refused for another reason: %v", err)
		}
		return nil
	})
	idle, err := dialFrom(t, "127.0.0.78", addr) // from another one, all is well
	if err != nil {
		t.Fatal(err)
	}
	stop()
	lab.Eventually(t, 20*time.Second, "the slow ones are gone, and their address is welcome", func() error {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err
	})
	lab.Eventually(t, 10*time.Second, "a WebSocket that is used for nothing is closed", func() error {
		select {
		case <-idle.Done():
			if n := frontOf(t, s).Refused.Closed["unregistered"]; n != 1 {
				return fmt.Errorf("%d", n)
			}
			return nil
		default:
			return fmt.Errorf("it is open")
		}
	})
}

// dawdle comes again and again, to say little by little what never becomes a request, in TLS or before.
func dawdle(ctx context.Context, addr string, within bool) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var conn net.Conn
	for {
		select {
		case <-ctx.Done(): // the gateway has to end the last
			if conn != nil {
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			return
		case <-tick.C:
		}
		if conn == nil {
			conn = begin(addr, within)
		} else if _, err := conn.Write([]byte{1}); err != nil {
			conn.Close()
			conn = nil
		}
	}
}

// begin opens a connection and says how a request or a handshake begins; nil where it is refused.
func begin(addr string, within bool) net.Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil
	}
	first := []byte{0x16, 3, 1, 1, 0} // a record of 256 bytes
	if within {
		conn, first = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), []byte("GET /sip HTTP/1.1\r\nHost: x\r\nX: ")
	}
	if _, err := conn.Write(first); err != nil {
		conn.Close()
		return nil
	}
	return conn
}

// Who asks and asks, and reads no answer, is closed for a bounded queue's worth of memory; nobody else notices.
func TestDeafClient(t *testing.T) {
	s := newSite(t, fmt.Sprintf(fronted, `{listen: "127.0.0.20:0", limits: {unregistered: 0s, messages: 1000000}}`, 5060, 30000, 30099))
	addr := strings.TrimPrefix(s.URLs()[0], "https://")
	dialer := websocket.Dialer{Subprotocols: []string{"sip"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.DialContext(t.Context(), "wss://"+addr+"/sip", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	asked, long := 0, strings.Repeat("x", 20000) // it comes back in each answer
	lab.Eventually(t, 20*time.Second, "it is closed", func() error {
		for range 200 {
			asked++
			text := fmt.Sprintf("OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS deaf.invalid;branch=z9hG4bK%[1]d\r\nMax-Forwards: 70\r\n"+
				"From: <sip:a@example.com>;tag=%[2]s\r\nTo: <sip:x@example.com>\r\nCall-ID: %[1]d\r\nCSeq: 1 OPTIONS\r\n\r\n", asked, long)
			if ws.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
				break
			}
		}
		if n := frontOf(t, s).Refused.Closed["slow"]; n != 1 {
			return fmt.Errorf("counted %d times after %d questions", n, asked)
		}
		return nil
	})
	other, err := dialFrom(t, "127.0.0.78", addr)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := other.Do(t.Context(), other.NewRequest("OPTIONS", "gateway")); err != nil || res.StatusCode != 200 {
		t.Errorf("%v %v", res, err)
	}
}
