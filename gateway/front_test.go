package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// through is one request over a connection that begins with some bytes; "" where it is closed without an answer.
func through(t *testing.T, url, first string, header http.Header) (status int, remote string) {
	t.Helper()
	scheme, addr, _ := strings.Cut(url, "://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, first)
	if scheme == "https" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	req, err := http.NewRequest("GET", url+"/sip", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	if req.Write(conn) != nil {
		return 0, ""
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return 0, ""
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Remote")
}

func v2(source, destination string) string {
	h := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(source)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(destination)))
	h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("phone.example.com")}})
	text, err := h.Format()
	if err != nil {
		panic(err)
	}
	return string(text)
}

const (
	v1v4 = "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"
	v1v6 = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n"
)

// Who a request comes from, by what its connection begins with and what its header says.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	local := []Network{{netip.MustParsePrefix("127.0.0.0/8")}}
	elsewhere := []Network{{netip.MustParsePrefix("10.0.0.0/8")}}
	forwarded := http.Header{"X-Forwarded-For": {"1.1.1.1, 192.0.2.1"}, "Forwarded": {"for=2.2.2.2"}}
	local0 := "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00" // LOCAL: the proxy's own
	for _, tc := range []struct {
		name    string
		proxies []Network
		by      []string
		first   string
		header  http.Header
		remote  string // with ":" behind it: any port; "" no answer
		refused string
	}{
		{name: "nobody is believed", header: forwarded, remote: "127.0.0.1:"},
		{name: "from somebody else", proxies: elsewhere, header: forwarded, remote: "127.0.0.1:"},
		{name: "X-Forwarded-For by default", proxies: local, header: forwarded, remote: "192.0.2.1:0"},
		{name: "Forwarded", proxies: local, by: []string{byForwarded}, header: forwarded, remote: "2.2.2.2:0"},
		{name: "version 1", proxies: local, by: []string{byProxyProtocol}, first: v1v4, header: forwarded, remote: "198.51.100.7:4711"},
		{name: "version 1, IPv6", proxies: local, by: []string{byProxyProtocol}, first: v1v6, remote: "[2001:db8::7]:4711"},
		{name: "version 1, unknown", proxies: local, by: []string{byProxyProtocol}, first: "PROXY UNKNOWN\r\n", remote: "127.0.0.1:"},
		{name: "version 2", proxies: local, by: []string{byProxyProtocol}, first: v2("198.51.100.7:4711", "203.0.113.1:443"), remote: "198.51.100.7:4711"},
		{name: "version 2, IPv6", proxies: local, by: []string{byProxyProtocol}, first: v2("[2001:db8::7]:4711", "[2001:db8::1]:443"), remote: "[2001:db8::7]:4711"},
		{name: "version 2, local", proxies: local, by: []string{byProxyProtocol}, first: local0, remote: "127.0.0.1:"},
		{name: "a proxy behind a proxy", proxies: append(elsewhere, local...), by: []string{byProxyProtocol, byForwardedFor},
			first: v2("10.0.0.9:4711", "203.0.113.1:443"), header: forwarded, remote: "192.0.2.1:0"},
		{name: "a client that says it is forwarded", proxies: append(elsewhere, local...), by: []string{byProxyProtocol, byForwardedFor},
			first: v2("198.51.100.7:4711", "203.0.113.1:443"), header: forwarded, remote: "198.51.100.7:4711"},
		{name: "a proxy without it", proxies: local, by: []string{byProxyProtocol}, refused: refusedHeader},
		{name: "a broken one", proxies: local, by: []string{byProxyProtocol}, first: "PROXY TCP4 nonsense\r\n", refused: refusedHeader},
		{name: "longer than a line can be", proxies: local, by: []string{byProxyProtocol}, first: "PROXY TCP4 " + strings.Repeat("1", 400), refused: refusedHeader},
		{name: "a header of 64 kB", proxies: local, by: []string{byProxyProtocol}, first: local0[:14] + "\xff\xff" + strings.Repeat("x", 70000), refused: refusedHeader},
		{name: "version 1 of no proxy", proxies: elsewhere, by: []string{byProxyProtocol}, first: v1v4, refused: refusedNoProxy},
		{name: "version 2 of no proxy", proxies: elsewhere, by: []string{byProxyProtocol}, first: v2("198.51.100.7:4711", "203.0.113.1:443"), refused: refusedNoProxy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			plain, secure, f := openFrontedWeb(t, HTTPS{Proxies: tc.proxies, ClientAddress: tc.by}, doors{})
			for i, url := range []string{plain, secure} {
				_, remote := through(t, url, tc.first, tc.header)
				if remote != tc.remote && !(strings.HasSuffix(tc.remote, ":") && strings.HasPrefix(remote, tc.remote)) {
					t.Errorf("%s: from %q, want %q", url, remote, tc.remote)
				}
				if n := f.stats().Refused[tc.refused]; tc.refused != "" && n != uint64(i+1) {
					t.Errorf("%s: %v", url, f.stats().Refused)
				}
			}
			until(t, "the listeners are empty", func() bool { return f.stats().Connections == 0 })
		})
	}
}

// ICE over TCP comes through a proxy, too: the door gets the client's address, and every byte.
func TestSharedPortBehindProxy(t *testing.T) {
	t.Parallel()
	type arrival struct{ remote, bytes string }
	taken := make(chan arrival, 1)
	ice := func(conn net.Conn, first []byte) {
		rest, _ := io.ReadAll(conn)
		taken <- arrival{conn.RemoteAddr().String(), string(first) + string(rest)}
		conn.Close()
	}
	_, secure, f := openFrontedWeb(t, HTTPS{
		Proxies: []Network{{netip.MustParsePrefix("127.0.0.0/8")}}, ClientAddress: []string{byProxyProtocol},
	}, doors{ice: ice})
	conn, err := net.Dial("tcp", strings.TrimPrefix(secure, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	frame := "\x00\x14" + strings.Repeat("i", 20)
	io.WriteString(conn, v1v4+frame+frame)
	conn.(*net.TCPConn).CloseWrite()
	if got := <-taken; got != (arrival{"198.51.100.7:4711", frame + frame}) {
		t.Errorf("%+v", got)
	}
	if n := f.stats().Connections; n != 0 {
		t.Errorf("%d connections are counted as HTTP's", n)
	}
}

// Too many connections are closed unheard, and who leaves makes room.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		limits HTTPSLimits
		first  string
		why    string
	}{
		{"from one address", HTTPSLimits{HandshakesPerAddress: 3}, "", refusedAddress},
		{"in all", HTTPSLimits{Handshakes: 3}, "", refusedFull},
		{"from one address behind a proxy", HTTPSLimits{HandshakesPerAddress: 3}, v1v4, refusedAddress},
	} {
		https := HTTPS{Limits: tc.limits}
		if tc.first != "" {
			https.Proxies, https.ClientAddress = []Network{{netip.MustParsePrefix("127.0.0.0/8")}}, []string{byProxyProtocol}
		}
		plain, _, f := openFrontedWeb(t, https, doors{})
		var slow []net.Conn
		for range 3 {
			conn, err := net.Dial("tcp", strings.TrimPrefix(plain, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, tc.first+"GET / HTTP/1.1\r\nHost: x\r\nX: ")
			slow = append(slow, conn)
		}
		until(t, "the slow ones are in", func() bool { return f.crowd.Len() == 3 })
		until(t, tc.name+": the next is refused", func() bool {
			status, _ := through(t, plain, tc.first, nil)
			return status == 0 && f.stats().Refused[tc.why] > 0
		})
		slow[0].Close()
		until(t, "there is room again", func() bool {
			status, _ := through(t, plain, tc.first, nil)
			return status == http.StatusOK
		})
	}
}

// A request's body is not waited for: nobody wants one.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	w, f := newTestWeb(t, HTTPS{}, doors{})
	serveTestWeb(t, w)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.urls[0], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx")
	until(t, "it is in", func() bool { return f.crowd.Len() == 1 })
	until(t, "it is closed", func() bool { return f.crowd.Len() == 0 })
}

// Whatever a proxy writes, the parser takes it for a header of bounded length or refuses it, and knows both ends of what it took.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte(v1v4))
	f.Add([]byte(v1v6))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2("198.51.100.7:4711", "203.0.113.1:443")))
	f.Add([]byte(v2("[2001:db8::7]:4711", "[2001:db8::1]:443")))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := bytes.NewReader(text)
		header, err := proxyproto.Read(bufio.NewReaderSize(in, 512))
		if err != nil {
			return
		}
		if taken := len(text) - in.Len(); taken > 16+4096+512 {
			t.Errorf("%d bytes were read", taken)
		}
		if remote, ok := header.SourceAddr.(*net.TCPAddr); ok && (!addrOf(remote).IsValid() || header.DestinationAddr == nil) {
			t.Errorf("%v %v", header.SourceAddr, header.DestinationAddr)
		}
	})
}
