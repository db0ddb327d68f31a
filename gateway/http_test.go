package gateway

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// openTestWeb serves pages on port 0, with TLS and without.
func openTestWeb(t *testing.T, origins []string) (plain, secure string) {
	t.Helper()
	return openSharedWeb(t, origins, doors{})
}

// openSharedWeb gives what is not HTTP's to the doors.
func openSharedWeb(t *testing.T, origins []string, d doors) (plain, secure string) {
	t.Helper()
	plain, secure, _ = openFrontedWeb(t, HTTPS{Origins: origins}, d)
	return plain, secure
}

// openFrontedWeb obeys what the configuration says of proxies, limits and headers; /sip answers with who asks, by which protocol. It
// waits longer for its clients than the product does: a busy machine may need the time.
func openFrontedWeb(t *testing.T, https HTTPS, d doors) (plain, secure string, f *front) {
	t.Helper()
	w, f := newTestWeb(t, https, d)
	w.server.ReadHeaderTimeout, w.server.ReadTimeout = time.Minute, time.Minute
	serveTestWeb(t, w)
	return w.urls[0], w.urls[1], f
}

func newTestWeb(t *testing.T, https HTTPS, d doors) (*webServer, *front) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	any0 := netip.MustParseAddrPort("127.0.0.1:0")
	listen := []WebListen{{Plain: true, Addr: any0}, {Addr: any0}}
	hosts, err := certificateHosts(listen)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := openCertificates(nil, hosts, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	sip := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Remote", r.RemoteAddr)
		io.WriteString(w, "sip "+r.Proto)
	}
	phone := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "phone") })
	sockets, err := listenWeb(listen)
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(https, func(netip.Addr) bool { return true }, func(netip.Addr) bool { return false }, log)
	return openWeb(sockets, f, webTLS(certs, https.Clients, d.relay != nil, log), pages(https, sip, testServers(t, https.Origins, nil), phone), d, log), f
}

func serveTestWeb(t *testing.T, w *webServer) {
	served := make(chan error)
	go func() { served <- w.serve() }()
	t.Cleanup(func() {
		w.close()
		w.close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func fetch(t *testing.T, method, url, origin string) (*http.Response, string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	res, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestPages(t *testing.T) {
	plain, secure := openTestWeb(t, nil)
	if !strings.HasPrefix(plain, "http://127.0.0.1:") || !strings.HasPrefix(secure, "https://127.0.0.1:") {
		t.Fatal(plain, secure)
	}
	for _, base := range []string{plain, secure} {
		if _, body := fetch(t, "GET", base+"/sip", ""); body != "sip HTTP/1.1" {
			t.Errorf("%s/sip: %s", base, body)
		}
		res, body := fetch(t, "GET", base+"/", "")
		policy := res.Header.Get("Content-Security-Policy")
		if body != "phone" || !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") ||
			res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Permissions-Policy"), "microphone=(self)") {
			t.Errorf("%s: %q %v", base, body, res.Header)
		}
	}
	for _, path := range []string{"/", "/sip", "/ice.json"} {
		if res, _ := fetch(t, "POST", plain+path, ""); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, res.Status)
		}
	}
	if _, body := fetch(t, "GET", secure+"/ice.json", ""); body != "{\"iceServers\":[]}\n" {
		t.Errorf("/ice.json: %s", body)
	}
}

// Clients that say nothing, before TLS or in the middle of their headers, hold up nobody and are dropped in time.
func TestSilentClientsBlockNobody(t *testing.T) {
	t.Parallel()
	w, _ := newTestWeb(t, HTTPS{}, doors{})
	serveTestWeb(t, w)
	plain, secure := w.urls[0], w.urls[1]
	var silent []net.Conn
	for i := range 40 {
		url, word := secure, "\x16\x03\x01"
		if i%2 == 0 {
			url, word = plain, "GET / HTTP/1.1\r\nHost: "
		}
		_, addr, _ := strings.Cut(url, "://")
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i > 1 { // the first two say nothing at all
			if _, err := io.WriteString(c, word); err != nil {
				t.Fatal(err)
			}
		}
		silent = append(silent, c)
	}
	for _, url := range []string{plain, secure} { // the listeners are others' too: whoever waited for 20 silent ones in a row waited minutes
		start := time.Now()
		if _, body := fetch(t, "GET", url+"/", ""); body != "phone" || time.Since(start) > 4*headerTimeout {
			t.Errorf("%s: %q after %s", url, body, time.Since(start))
		}
	}
	for i, c := range silent {
		c.SetReadDeadline(time.Now().Add(12 * headerTimeout))
		if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("silent client %d was not dropped", i)
			}
		}
	}
}

func TestListenerThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().(*net.TCPAddr).AddrPort()
	first := WebListen{Plain: true, Addr: netip.MustParseAddrPort("127.0.0.1:0")}
	if _, err := listenWeb([]WebListen{first, {Plain: true, Addr: at}}); err == nil ||
		!strings.Contains(err.Error(), "https.listen") {
		t.Errorf("%v", err)
	}
}
