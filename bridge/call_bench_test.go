package bridge

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/media"
	"tandem/bridge/route"
	"tandem/sipside"
)

const benchSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 16000 RTP/AVP 8 101\r\n" +
	"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"

// BenchmarkTrunkCall is a call of a trunk to a pool over UDP, INVITE to BYE, with some at a time. Its figures hold the far ends' work, too.
func BenchmarkTrunkCall(b *testing.B) {
	b.Run("relay", func(b *testing.B) { benchTrunkCall(b, Peering{}) })
	b.Run("direct", func(b *testing.B) { benchTrunkCall(b, Peering{Direct: true}) })
}

func benchTrunkCall(b *testing.B, how Peering) {
	caller, callee := benchSocket(b), benchSocket(b)
	gateway := benchGateway(b, benchURI(caller), benchURI(callee), how)
	go benchCallee(callee)
	answered := make([]chan []byte, 16)
	for i := range answered {
		answered[i] = make(chan []byte, 16)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := caller.Read(buf)
			if err != nil {
				return
			}
			var line int
			_, _ = fmt.Sscanf(benchHeader(string(buf[:n]), "Call-ID"), "%d-", &line)
			answered[line] <- append([]byte(nil), buf[:n]...)
		}
	}()
	b.ReportAllocs()
	var next atomic.Int64
	var all sync.WaitGroup
	for line := range answered {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				benchCall(caller, gateway, fmt.Sprintf("%d-%d", line, i), answered[line])
			}
		})
	}
	all.Wait()
}

func benchSocket(b *testing.B) *net.UDPConn {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

func benchURI(conn *net.UDPConn) sip.Uri {
	at := conn.LocalAddr().(*net.UDPAddr)
	return sip.Uri{Scheme: "sip", Host: at.IP.String(), Port: at.Port}
}

func benchGateway(b *testing.B, trunk, member sip.Uri, how Peering) netip.AddrPort {
	loopback := netip.MustParseAddr("127.0.0.1")
	doors, err := sipside.Open(sipside.Config{
		Listen: []sipside.Listen{{Network: "udp", Addr: netip.AddrPortFrom(loopback, 0)}},
		Pools: []sipside.PoolConfig{{Name: "carrier", Members: []sipside.Member{{URI: trunk}}},
			{Name: "phones", Members: []sipside.Member{{URI: member}}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	engine, err := media.Open(media.Config{RTP: media.RTPConfig{Address: loopback}})
	if err != nil {
		b.Fatal(err)
	}
	bridge := New(Config{Node: "n1", Secret: []byte("of the benchmark"), Peerings: map[string]Peering{"carrier": how, "phones": how}}, Wiring{
		Router: route.New([]route.Rule{{From: "carrier", To: "phones"}}), Store: location.NewMemory(time.Now),
		Nonces: identity.NewNonces(100, time.Minute, time.Now), Media: engine, Backends: doors,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); doors.Serve(ctx, bridge) }()
	b.Cleanup(func() {
		cancel()
		doors.Close()
		<-done
		engine.Close(context.Background())
	})
	return doors.Addrs()[0]
}

func benchHeader(msg, name string) string {
	_, rest, _ := strings.Cut(msg, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// benchCallee answers INVITE with 180 and 200, BYE with 200.
func benchCallee(conn *net.UDPConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		msg := string(buf[:n])
		head := fmt.Sprintf("Via: %s\r\nFrom: %s\r\nTo: %s;tag=callee\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:callee@%s>\r\n",
			benchHeader(msg, "Via"), benchHeader(msg, "From"), strings.TrimSuffix(benchHeader(msg, "To"), ";tag=callee"),
			benchHeader(msg, "Call-ID"), benchHeader(msg, "CSeq"), conn.LocalAddr())
		switch {
		case strings.HasPrefix(msg, "INVITE"):
			_, _ = conn.WriteToUDPAddrPort([]byte("SIP/2.0 180 Ringing\r\n"+head+"Content-Length: 0\r\n\r\n"), from)
			_, _ = conn.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 200 OK\r\n%sContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
				head, len(benchSDP), benchSDP), from)
		case strings.HasPrefix(msg, "BYE"):
			_, _ = conn.WriteToUDPAddrPort([]byte("SIP/2.0 200 OK\r\n"+head+"Content-Length: 0\r\n\r\n"), from)
		}
	}
}

// benchCall is one call by its caller.
func benchCall(conn *net.UDPConn, gateway netip.AddrPort, id string, answered <-chan []byte) {
	at, to := conn.LocalAddr(), "<sip:callee@"+gateway.String()+">"
	send := func(method, target, to string, seq int, more string) {
		_, _ = conn.WriteToUDPAddrPort(fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s-%s\r\nFrom: <sip:caller@%s>;tag=%s\r\n"+
			"To: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\nContact: <sip:caller@%s>\r\n%s",
			method, target, at, method, id, at, id, to, id, seq, method, at, more), gateway)
	}
	final := func(cseq string) string { // a 2xx may be there twice
		for data := range answered {
			msg := string(data)
			if !strings.HasPrefix(msg, "SIP/2.0 1") && benchHeader(msg, "Call-ID") == id && benchHeader(msg, "CSeq") == cseq {
				return msg
			}
		}
		return ""
	}
	send("INVITE", "sip:callee@"+gateway.String(), to, 1, fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(benchSDP), benchSDP))
	ok := final("1 INVITE")
	if !strings.HasPrefix(ok, "SIP/2.0 200") {
		panic(ok)
	}
	target := strings.Trim(benchHeader(ok, "Contact"), "<>")
	send("ACK", target, benchHeader(ok, "To"), 1, "Content-Length: 0\r\n\r\n")
	send("BYE", target, benchHeader(ok, "To"), 2, "Content-Length: 0\r\n\r\n")
	final("2 BYE")
}
