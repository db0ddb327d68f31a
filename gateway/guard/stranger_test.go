package guard

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func TestHeaderOfRawBytes(t *testing.T) {
	const message = "REGISTER sip:a SIP/2.0\r\nVia: x\r\nuser-agent : friendly-scanner\r\nT: <sip:100@example.com;a=b>;tag=1\r\n" +
		"To-Do: no\r\n\r\nAuthorization: in the body\r\n"
	for _, c := range []struct {
		name    string
		compact byte
		want    string
	}{
		{"user-agent", 0, "friendly-scanner"}, {"to", 't', "<sip:100@example.com;a=b>;tag=1"}, {"authorization", 0, ""}, {"via", 'v', "x"},
		{"from", 'f', ""},
	} {
		if got := header([]byte(message), c.name, c.compact); string(got) != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	for value, want := range map[string]string{
		"<sip:100@example.com;a=b>;tag=1": "sip:100@example.com", "sip:bob@b;tag=x": "sip:bob@b", `"A" <sips:a@b>`: "sips:a@b", "tel:1": "", "": "",
	} {
		if got := string(addressIn([]byte(value))); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func FuzzRaw(f *testing.F) {
	f.Add([]byte("REGISTER sip:a SIP/2.0\r\nUser-Agent: friendly-scanner\r\nTo: <sip:100@a>\r\nAuthorization: Digest\r\n\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\n"))
	f.Add([]byte("t:sip"))
	f.Add([]byte("\n\n:\r"))
	cfg := standard
	cfg.Bans.UDP, cfg.Answer = true, true
	g := New(cfg, Options{})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		g.Stranger(netip.MustParseAddrPort("192.0.2.1:5060"), "udp", data)
		if v := g.Visit(netip.MustParseAddr("192.0.2.2")); v != nil {
			v.Message(data)
		}
		if !bytes.Equal(before, data) {
			t.Error("the message was changed")
		}
	})
}

func TestScanners(t *testing.T) {
	for agent, scans := range map[string]bool{
		"friendly-scanner": true, "SIPVicious/0.3": true, "sipcli/v1.8": true, "sundayddr": true, "VaxSIPUserAgent/3.1": true, "pplsip": true,
		"sip-scan": true, "Mozilla/5.0 zgrab/0.x": true, "masscan/1.3": true,
		"JsSIP 3.13": false, "SIP.js/0.21": false, "Asterisk PBX 22": false, "": false, strings.Repeat("x", 300) + "pplsip": false,
	} {
		g := New(standard, Options{})
		ok, end := g.Visit(office).Message([]byte("OPTIONS sip:a SIP/2.0\r\nUser-Agent: " + agent + "\r\n\r\n"))
		if ok == scans || end != scans || (len(g.Bans()) == 1) != scans {
			t.Errorf("%q: ok %v, end %v, bans %v", agent, ok, end, g.Bans())
		}
		if g := New(standard, Options{}); g.Page(office, agent) == scans {
			t.Errorf("%q is shown a page: %v", agent, !scans)
		}
	}
}

const register = "REGISTER sip:a SIP/2.0\r\nTo: <sip:100@a>\r\nAuthorization: Digest username=\"100\"\r\n\r\n"

// What comes in datagrams bans nobody by default, for their source is anybody's; it is counted, and the tables do not grow.
func TestDatagramsBanNobody(t *testing.T) {
	g := New(standard, Options{})
	for i := range 20000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5060)
		text := register
		if i%2 == 0 {
			text = "OPTIONS sip:a SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n"
		}
		if g.Stranger(from, "UDP", []byte(text)) {
			t.Fatal("a stranger is answered")
		}
	}
	s := g.Stats()
	if s.Bans != 0 || s.Refused["scanner"] != 10000 || s.Failures != 10000 {
		t.Errorf("%+v", s)
	}
	if !g.Connection(netip.MustParseAddr("10.0.0.1")) {
		t.Error("the forged source is shut out")
	}
}

func TestDatagramsBanWhereToldTo(t *testing.T) {
	cfg := standard
	cfg.Bans.UDP = true
	g := New(cfg, Options{})
	g.Stranger(netip.MustParseAddrPort("192.0.2.1:5060"), "UDP", []byte("OPTIONS sip:a SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n"))
	for range 5 {
		g.Stranger(netip.MustParseAddrPort("192.0.2.2:5060"), "UDP", []byte(register))
	}
	b := g.Bans()
	if len(b) != 2 || b[0].Why != string(Scanning) || b[1].Why != string(Guessing) || b[1].Identity != "sip:100@a" {
		t.Errorf("%+v", b)
	}
}

// Answers to strangers are few: to each, and to all.
func TestAnswersAreBounded(t *testing.T) {
	cfg := standard
	cfg.Answer = true
	g := New(cfg, Options{})
	count := func(each int, from func(i int) netip.AddrPort) (answered int) {
		for i := range each {
			if g.Stranger(from(i), "UDP", []byte("OPTIONS sip:a SIP/2.0\r\n\r\n")) {
				answered++
			}
		}
		return answered
	}
	if n := count(1000, func(int) netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:5060") }); n < 10 || n > 20 {
		t.Errorf("one stranger got %d answers", n)
	}
	many := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 5060)
	}
	if n := count(5000, many); n < 150 || n > 400 {
		t.Errorf("five thousand strangers got %d answers", n)
	}
	if g.Stranger(netip.MustParseAddrPort("192.0.2.3:5060"), "UDP", []byte("SIP/2.0 200 OK\r\n\r\n")) {
		t.Error("a response is answered")
	}
}

// The log says each failure, bounded; what a stranger chose cannot forge a line.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	g := New(standard, Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	v := g.Visit(office)
	v.Judged("sip:a@b\" event=ban source=198.51.100.1\nx", false)
	line := out.String()
	if !strings.Contains(line, `level=WARN msg=guard event=failure source=192.0.2.1 transport=websocket identity="sip:a@b\" event=ban`) ||
		strings.Count(line, "\n") != 1 {
		t.Errorf("%q", line)
	}
	for i := range 1000 {
		v.Judged(alice(i), false)
	}
	if n := strings.Count(out.String(), "event=failure"); n > 40 || g.Stats().Unsaid < 500 {
		t.Errorf("%d lines, %d left out", n, g.Stats().Unsaid)
	}
}

func BenchmarkStranger(b *testing.B) {
	g := New(standard, Options{})
	text := []byte("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\nFrom: <sip:100@a>;tag=1\r\n" +
		"To: <sip:100@a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n")
	from := netip.MustParseAddrPort("192.0.2.1:5060")
	b.ReportAllocs()
	for b.Loop() {
		g.Stranger(from, "udp", text)
	}
}
