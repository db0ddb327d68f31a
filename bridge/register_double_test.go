package bridge

import (
	"crypto/rand"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"tandem/sipside"
	"tandem/sipside/transaction"
)

// registrarDouble is a scripted registrar on UDP: what a registration test wants a backend to be.
type registrarDouble struct {
	conn net.PacketConn

	mu sync.Mutex
	// guarded by mu
	password  string         // "": no challenge
	challenge []string       // header values with NONCE in them; default: one of MD5
	minimum   int            // below it: 423
	status    int            // of every answer, where not 0
	deaf      bool           // says nothing at all
	nonces    map[string]int // uses left
	seqs      map[string]uint32
	bindings  map[string]string // Contact URI to expires
	seen      []transaction.Message
	said      map[string]*sip.Response // by branch, for retransmissions
}

// ownHost is an address that no other test has, nor gets while a socket there is closed.
func ownHost() netip.AddrPort {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // never fails
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 64 + b[0]%128, b[1], 1 + b[2]%254}), 0)
}

func newRegistrarDouble(t *testing.T, password string) *registrarDouble {
	t.Helper()
	conn, err := net.ListenPacket("udp", ownHost().String())
	if err != nil {
		t.Fatal(err)
	}
	d := &registrarDouble{conn: conn, password: password, nonces: map[string]int{}, seqs: map[string]uint32{}, bindings: map[string]string{},
		said: map[string]*sip.Response{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.serve(t)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return d
}

func (d *registrarDouble) member() sipside.Member {
	addr := d.conn.LocalAddr().(*net.UDPAddr)
	return sipside.Member{URI: sip.Uri{Scheme: "sip", Host: addr.IP.String(), Port: addr.Port}}
}

// name is the Backend.Name of this member in a pool.
func (d *registrarDouble) name() string { return "pbx/" + d.conn.LocalAddr().String() }

// set changes the double while it runs.
func (d *registrarDouble) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// requests are the REGISTERs seen so far.
func (d *registrarDouble) requests() []transaction.Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]transaction.Message(nil), d.seen...)
}

func (d *registrarDouble) contacts() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]string{}
	for uri, expires := range d.bindings {
		all[uri] = expires
	}
	return all
}

func (d *registrarDouble) serve(t *testing.T) {
	buf := make([]byte, 65536)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		msg, err := transaction.Parse(buf[:n])
		if err != nil {
			t.Errorf("the registrar got what it cannot read: %v\n%s", err, buf[:n])
			continue
		}
		if res := d.respond(msg); res != nil {
			if _, err := d.conn.WriteTo(transaction.Append(nil, transaction.Message{Message: res}), from); err != nil {
				return
			}
		}
	}
}

// respond answers a request once, and its retransmissions alike; nil is silence.
func (d *registrarDouble) respond(msg transaction.Message) *sip.Response {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.deaf {
		return nil
	}
	branch := msg.Via().Params.GetOr("branch", "")
	if d.said[branch] == nil {
		d.seen = append(d.seen, msg)
		d.said[branch] = d.answer(msg)
	}
	return d.said[branch]
}

// answer is a registrar's work (RFC 3261 §10.3), or what the script says. The caller holds mu.
func (d *registrarDouble) answer(msg transaction.Message) *sip.Response {
	req := msg.Message.(*sip.Request)
	to := func(status int, headers ...sip.Header) *sip.Response {
		res := transaction.NewResponse(req, status, "Said By The Backend")
		res.To().Params.Add("tag", "backend")
		for _, h := range headers {
			res.AppendHeader(h)
		}
		return res
	}
	switch callID := req.CallID().Value(); {
	case d.status != 0:
		return to(d.status, sip.NewHeader("Retry-After", "7"))
	case d.password != "" && !d.authentic(msg):
		return to(401, d.challenges()...)
	case req.CSeq().SeqNo <= d.seqs[callID]:
		return to(500)
	default:
		d.seqs[callID] = req.CSeq().SeqNo
	}
	for _, h := range req.GetHeaders("Contact") {
		c := h.(*sip.ContactHeader)
		expires := c.Params.GetOr("expires", req.GetHeader("Expires").Value())
		if seconds, _ := strconv.Atoi(expires); seconds > 0 && seconds < d.minimum {
			return to(423, sip.NewHeader("Min-Expires", strconv.Itoa(d.minimum)))
		}
		d.bind(c, expires)
	}
	headers := []sip.Header{
		sip.NewHeader("Contact", "<sip:desk@10.9.9.9>;expires=3000"), sip.NewHeader("Service-Route", "<sip:10.9.9.9;lr>"),
		sip.NewHeader("P-Associated-URI", "<sip:alice@example.com>"), sip.NewHeader("Server", "double"),
	}
	for uri, expires := range d.bindings {
		headers = append(headers, sip.NewHeader("Contact", "<"+uri+">;expires="+expires))
	}
	return to(200, headers...)
}

func (d *registrarDouble) bind(c *sip.ContactHeader, expires string) {
	switch {
	case c.Address.Wildcard:
		clear(d.bindings)
	case expires == "0":
		delete(d.bindings, c.Address.String())
	default:
		d.bindings[c.Address.String()] = expires
	}
}

func (d *registrarDouble) challenges() []sip.Header {
	nonce := rand.Text()
	d.nonces[nonce] = 100
	values := d.challenge
	if values == nil {
		values = []string{`Digest realm="double", nonce="NONCE", algorithm=MD5, qop="auth"`}
	}
	var headers []sip.Header
	for _, v := range values {
		headers = append(headers, sip.NewHeader("WWW-Authenticate", strings.ReplaceAll(v, "NONCE", nonce)))
	}
	return headers
}

// authentic checks digest against the Request-URI byte for byte.
func (d *registrarDouble) authentic(msg transaction.Message) bool {
	req := msg.Message.(*sip.Request)
	h := req.GetHeader("Authorization")
	if h == nil {
		return false
	}
	got, err := digest.ParseCredentials(h.Value())
	if err != nil || d.nonces[got.Nonce] == 0 || got.URI != msg.RequestURI {
		return false
	}
	challenge := &digest.Challenge{Realm: got.Realm, Nonce: got.Nonce, Algorithm: got.Algorithm}
	if got.QOP != "" {
		challenge.QOP = []string{got.QOP}
	}
	want, err := digest.Digest(challenge, digest.Options{
		Method: string(req.Method), URI: got.URI, Username: got.Username, Password: d.password, Cnonce: got.Cnonce, Count: got.Nc,
	})
	return err == nil && want.Response == got.Response
}
