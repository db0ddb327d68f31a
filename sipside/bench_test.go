package sipside

import (
	"net"
	"net/netip"
	"strconv"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

type respondAll struct{}

func (respondAll) BackendDown(*Backend) {}

func (respondAll) ServeBackend(_ *Backend, tx *transaction.Server) {
	_ = tx.Respond(transaction.NewResponse(tx.Request(), 200, "OK")) // the socket of a benchmark does not fail
}

// BenchmarkUDPRequest is one request from datagram to the response on the wire.
func BenchmarkUDPRequest(b *testing.B) {
	sink, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort)) // never read: what does not fit is dropped
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	from := sink.LocalAddr().(*net.UDPAddr).AddrPort()
	cfg := Config{
		Listen: []Listen{{Network: "udp", Addr: anyPort}},
		Trunks: []TrunkConfig{{Name: "pbx", URI: sip.Uri{Scheme: "sip", Host: from.Addr().String(), Port: int(from.Port())}}},
	}
	e, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	var h Handler = respondAll{}
	e.handler.Store(&h)
	u := e.listeners[0].(*udpListener)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		u.arrived([]byte(wire("OPTIONS", "SIP/2.0/UDP pbx;rport;branch=z9hG4bK"+strconv.Itoa(i), "", "")), from, false)
	}
}

// BenchmarkStranger is what a datagram of nobody costs.
func BenchmarkStranger(b *testing.B) {
	cfg := Config{Listen: []Listen{{Network: "udp", Addr: anyPort}}}
	e, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	u := e.listeners[0].(*udpListener)
	data := []byte(wire("INVITE", "SIP/2.0/UDP 10.0.0.1:9;rport;branch=z9hG4bKx", "", ""))
	from := netip.MustParseAddrPort("10.0.0.1:9")
	b.ReportAllocs()
	for b.Loop() {
		u.arrived(data, from, false)
	}
}
