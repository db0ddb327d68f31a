package e2e

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// attackers are who wants a gateway no good. Each attack comes from an address range of its own, at a pace of its own, while they are on.
type attackers struct {
	answers []string // 200s of calls that are up, copied from the wire
	on      atomic.Bool

	mu   sync.Mutex
	told attackReport // guarded by mu
	held []net.Conn   // guarded by mu
}

const (
	attackedHTTPS = "127.0.0.20:8443"
	attackedSIP   = "127.0.0.20:5060"
	attackedMedia = "127.0.0.20:40000"
)

// begin starts them all; they do nothing before they are on.
func (a *attackers) begin() error {
	torture, err := filepath.Glob("../sipside/transaction/testdata/rfc4475/*.dat")
	if err != nil || len(torture) < 40 {
		return fmt.Errorf("%d messages of RFC 4475: %w", len(torture), err)
	}
	var texts [][]byte
	for _, file := range torture {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		texts = append(texts, data)
	}
	a.every(4*time.Millisecond, "scanner sweep", a.scan)
	a.every(20*time.Millisecond, "brute force", a.guess)
	a.every(4*time.Millisecond, "INVITE flood", a.flood)
	a.every(20*time.Millisecond, "slow loris", a.loris)
	a.every(100*time.Millisecond, "slow reader", a.neverRead)
	a.every(50*time.Millisecond, "oversized", a.oversize)
	a.every(10*time.Millisecond, "malformed", func(i int) { a.malformed(i, texts) })
	a.every(2*time.Millisecond, "RTP injection", a.inject)
	a.every(10*time.Millisecond, "spoofed backend", a.spoof)
	return nil
}

func (a *attackers) every(pace time.Duration, name string, once func(i int)) {
	a.told.Tries[name] = 0
	go func() {
		i, before := 0, time.Now()
		for now := range time.Tick(pace) {
			since := now.Sub(before)
			before = now
			if !a.on.Load() {
				continue
			}
			once(i)
			i++
			a.mu.Lock()
			a.told.Tries[name]++
			a.told.Due += float64(since) / float64(pace)
			a.mu.Unlock()
		}
	}()
}

// hold keeps a connection open until the end, two hundred of them at most.
func (a *attackers) hold(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.held) == 200 {
		a.held[0].Close()
		a.held = a.held[1:]
	}
	a.held = append(a.held, c)
}

func (a *attackers) note(count *int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*count++
}

// tcp connects from an address; nil where the gateway keeps it out.
func (a *attackers) tcp(from, to string) net.Conn {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(ctx, "tcp4", to)
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// websocket connects as a browser would; nil where the gateway keeps it out.
func (a *attackers) websocket(from string) *websocket.Conn {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	d := websocket.Dialer{
		Subprotocols: []string{"sip"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			if c := a.tcp(from, attackedHTTPS); c != nil {
				return c, nil
			}
			return nil, net.ErrClosed
		},
	}
	ws, res, err := d.DialContext(ctx, "wss://"+attackedHTTPS+"/sip", nil)
	if res != nil {
		res.Body.Close()
	}
	if err != nil {
		return nil
	}
	return ws
}

// udp sends a datagram; with listen it waits a moment for the answer that a stranger must not get.
func (a *attackers) udp(from, to string, data []byte, listen bool) {
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, udpAddr(to))
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write(data)
	if !listen {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := c.Read(make([]byte, 2048)); n > 0 {
		a.note(&a.told.Answered)
	}
}

func udpAddr(text string) *net.UDPAddr {
	a, _ := net.ResolveUDPAddr("udp4", text) // an address
	return a
}

// strange is a request from nowhere.
func strange(method, from, more string, i int) []byte {
	return fmt.Appendf(nil, "%s sip:%d@127.0.0.20 SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bKa%d;rport\r\nFrom: <sip:%d@example.com>;tag=a%d\r\n"+
		"To: <sip:%d@example.com>\r\nCall-ID: a%d%s\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContact: <sip:a@%s>\r\n%sContent-Length: 0\r\n\r\n",
		method, 100+i, from, i, i, i, 100+i, i, from, method, from, more)
}

func (a *attackers) scan(i int) {
	from := fmt.Sprintf("127.9.1.%d", 1+i%250)
	method := []string{"OPTIONS", "REGISTER", "INVITE"}[i%3]
	a.udp(from, attackedSIP, strange(method, from, "User-Agent: friendly-scanner\r\n", i), i%20 == 0)
}

func (a *attackers) flood(i int) {
	from := fmt.Sprintf("127.9.3.%d", 1+i%250)
	a.udp(from, attackedSIP, strange("INVITE", from, "", i), i%20 == 0)
}

// guess tries passwords of users who are there and of others.
func (a *attackers) guess(i int) {
	ws := a.websocket(fmt.Sprintf("127.9.2.%d", 1+i%20))
	if ws == nil {
		return
	}
	defer ws.Close()
	user := []string{"tom", "nobody"}[i%2]
	for n := range 4 {
		more := ""
		if n > 0 {
			more = fmt.Sprintf("Authorization: Digest username=%q, realm=\"users.example\", nonce=\"%d\", uri=\"sip:users.example\", response=\"%032x\", algorithm=MD5\r\n", user, n, n)
		}
		text := fmt.Sprintf("REGISTER sip:users.example SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKg%d-%d\r\nFrom: <sip:%s@users.example>;tag=g\r\n"+
			"To: <sip:%s@users.example>\r\nCall-ID: g%d\r\nCSeq: %d REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:x@x.invalid;transport=ws>\r\n%s\r\n", i, n, user, user, i, n+1, more)
		if ws.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
			return
		}
		_ = ws.SetReadDeadline(time.Now().Add(time.Second))
		_, answer, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if strings.HasPrefix(string(answer), "SIP/2.0 200") {
			a.note(&a.told.Admitted)
		}
	}
}

// loris begins handshakes, of TLS and of HTTP within it, and never ends them.
func (a *attackers) loris(i int) {
	c := a.tcp(fmt.Sprintf("127.9.4.%d", 1+i%50), attackedHTTPS)
	if c == nil {
		return
	}
	a.hold(c)
	if i%2 == 0 {
		_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1})
		return
	}
	_, _ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Write([]byte("GET /sip HTTP/1.1\r\nHost: x\r\nX-"))
}

// neverRead asks and asks, and takes no answer.
func (a *attackers) neverRead(i int) {
	ws := a.websocket(fmt.Sprintf("127.9.5.%d", 1+i%50))
	if ws == nil {
		return
	}
	a.hold(ws.NetConn())
	for n := range 100 {
		text := strings.Replace(string(strange("OPTIONS", "x.invalid", "", i*100+n)), "SIP/2.0/UDP", "SIP/2.0/WSS", 1)
		if ws.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
			return
		}
	}
}

// oversize announces more than anybody may say, in a frame and in a stream of SIP.
func (a *attackers) oversize(i int) {
	from := fmt.Sprintf("127.9.6.%d", 1+i%50)
	if ws := a.websocket(from); ws != nil {
		header := binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<40)
		_, _ = ws.NetConn().Write(append(header, make([]byte, 70_000)...))
		ws.Close()
	}
	if c := a.tcp(from, attackedSIP); c != nil {
		_, _ = c.Write([]byte("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n" + strings.Repeat("x", 70_000)))
		c.Close()
	}
}

// malformed sends RFC 4475's messages and offers that are none.
func (a *attackers) malformed(i int, texts [][]byte) {
	from := fmt.Sprintf("127.9.7.%d", 1+i%50)
	text := texts[i%len(texts)]
	a.udp(from, attackedSIP, text, false)
	if i%5 != 0 {
		return
	}
	ws := a.websocket(from)
	if ws == nil {
		return
	}
	defer ws.Close()
	body := []string{"v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 opus/0/0\r\n", strings.Repeat("a=x\r\n", 5000)}[i%3]
	offer := strings.Replace(string(strange("INVITE", "x.invalid", "Content-Type: application/sdp\r\n", i)), "Content-Length: 0\r\n\r\n", "\r\n"+body, 1)
	for _, data := range [][]byte{text, []byte(offer)} {
		_ = ws.WriteMessage(websocket.BinaryMessage, data)
	}
}

// inject sends packets to the ports of calls and to that of the browsers: plain RTP, RTP that claims to be SRTP, and STUN of nobody.
func (a *attackers) inject(i int) {
	packet := append([]byte{0x80, byte(i % 2 * 96), byte(i >> 8), byte(i), 0, 0, 0, byte(i), 1, 2, 3, 4}, make([]byte, 160)...)
	from := fmt.Sprintf("127.9.8.%d", 1+i%50)
	a.udp(from, fmt.Sprintf("127.0.0.20:%d", 10000+2*(i%100)), packet, false)
	a.udp(from, attackedMedia, packet, false)
}

// spoof ends and changes calls in their phones' names, with their tags, from where no backend is.
func (a *attackers) spoof(i int) {
	lines := map[string]string{}
	for line := range strings.SplitSeq(a.answers[i%len(a.answers)], "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		lines[name] = value
	}
	method := []string{"BYE", "INVITE", "UPDATE", "INFO"}[i%4]
	from := fmt.Sprintf("127.9.9.%d", 1+i%50)
	text := fmt.Sprintf("%s sip:a@127.0.0.20 SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bKs%d;rport\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Max-Forwards: 70\r\nContact: <sip:a@%s>\r\nContent-Length: 0\r\n\r\n", method, from, i, lines["To"], lines["From"], lines["Call-ID"], 1000+i, method, from)
	a.udp(from, attackedSIP, []byte(text), i%20 == 0)
	if i%10 == 0 {
		if c := a.tcp(from, attackedSIP); c != nil {
			_, _ = c.Write([]byte(strings.Replace(text, "SIP/2.0/UDP", "SIP/2.0/TCP", 1)))
			c.Close()
		}
	}
}
