package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

const (
	timerT1      = 500 * time.Millisecond
	dialogsAfter = 32 * time.Second // an unacknowledged 200 is given up (RFC 3261 §13.3.1.4)
)

// Phones is the SIP side's user agent: over UDP it answers each INVITE to sip:s<number>@… at once, with the phone of that session.
type Phones struct {
	generator *Generator
	conn      *net.UDPConn
	done      chan struct{}
	running   sync.WaitGroup

	mu      sync.Mutex
	dialogs map[string]*phoneDialog // by Call-ID; guarded by mu
}

type phoneDialog struct {
	answer []byte
	to     netip.AddrPort
	began  time.Time
	sent   time.Time
	acked  bool
}

// ListenPhones serves until Close.
func (g *Generator) ListenPhones(at netip.AddrPort) (*Phones, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("load: phones: %w", err)
	}
	_ = conn.SetReadBuffer(socketRoom)
	p := &Phones{generator: g, conn: conn, done: make(chan struct{}), dialogs: map[string]*phoneDialog{}}
	p.running.Go(p.read)
	p.running.Go(p.repeat)
	return p, nil
}

// Addr is where the phones listen.
func (p *Phones) Addr() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Open is how many calls were answered and have not been ended by BYE.
func (p *Phones) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dialogs)
}

// Answers are the 200s of those calls, of which who listens on the wire could copy Call-ID and tags.
func (p *Phones) Answers() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, d := range p.dialogs {
		all = append(all, string(d.answer))
	}
	return all
}

// Close waits until nothing of it runs. Once only.
func (p *Phones) Close() {
	close(p.done)
	_ = p.conn.Close()
	p.running.Wait()
}

func (p *Phones) read() {
	buf := make([]byte, 65536)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		msg, err := sip.ParseMessage(buf[:n])
		if err != nil {
			p.generator.faults.misfit.Add(1)
			continue
		}
		if req, ok := msg.(*sip.Request); ok {
			req.SetSource(from.String())
			p.serve(req, from)
		}
	}
}

func (p *Phones) serve(req *sip.Request, from netip.AddrPort) {
	id := req.CallID()
	if id == nil || req.Via() == nil {
		p.generator.faults.misfit.Add(1)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dialogs[id.Value()]
	switch {
	case req.IsAck():
		if d != nil {
			d.acked = true
		}
	case req.IsInvite() && d != nil:
		p.send(d.answer, from)
	case req.IsInvite():
		p.invited(req, id.Value(), from)
	case req.Method == sip.BYE && d == nil:
		p.send([]byte(sip.NewResponseFromRequest(req, 481, "Call/Transaction Does Not Exist", nil).String()), from)
	default:
		if req.Method == sip.BYE {
			delete(p.dialogs, id.Value())
		}
		p.send([]byte(sip.NewResponseFromRequest(req, 200, "OK", nil).String()), from)
	}
}

// invited answers a new call. Called with mu held.
func (p *Phones) invited(req *sip.Request, id string, from netip.AddrPort) {
	body, err := p.answer(req)
	if err != nil {
		p.send([]byte(sip.NewResponseFromRequest(req, 404, "Not Found", nil).String()), from)
		return
	}
	res := sip.NewResponseFromRequest(req, 200, "OK", []byte(body))
	res.AppendHeader(sip.NewHeader("Contact", fmt.Sprintf("<sip:%s@%s>", req.Recipient.User, p.Addr())))
	res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	now := time.Now()
	d := &phoneDialog{answer: []byte(res.String()), to: from, began: now, sent: now}
	p.dialogs[id] = d
	p.send(d.answer, from)
}

func (p *Phones) answer(req *sip.Request) (string, error) {
	digits, ok := strings.CutPrefix(req.Recipient.User, "s")
	number, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return "", fmt.Errorf("load: INVITE to %s", req.Recipient.String())
	}
	s := p.generator.Session(number)
	if s == nil {
		return "", errors.New("load: INVITE to a session that is gone")
	}
	return s.hearOffer(req.Body())
}

// repeat sends a 200 again until its ACK.
func (p *Phones) repeat() {
	ticker := time.NewTicker(timerT1 / 2)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return
		case now := <-ticker.C:
			p.mu.Lock()
			for _, d := range p.dialogs {
				if !d.acked && now.Sub(d.sent) >= timerT1 && now.Sub(d.began) < dialogsAfter {
					d.sent = now
					p.send(d.answer, d.to)
				}
			}
			p.mu.Unlock()
		}
	}
}

func (p *Phones) send(text []byte, to netip.AddrPort) {
	if _, err := p.conn.WriteToUDPAddrPort(text, to); err != nil {
		p.generator.faults.refused.Add(1)
	}
}
