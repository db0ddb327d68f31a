package wss_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// callee answers calls behind the door with a PeerConnection of its own, as a test asks it to.
type callee struct {
	t     *testing.T
	media wsstest.Session
	steps string // what it does to an INVITE: "challenge 180 183 200 486 busy-after-cancel wait"

	mu sync.Mutex
	// guarded by mu
	tag        string
	invite     *transaction.Server
	answer     []byte
	challenged bool
	got        []string // requests by method, with the INFO's digit
	cancelled  chan struct{}
}

func newCallee(t *testing.T, media wsstest.Session, steps string) *callee {
	t.Cleanup(func() { _ = media.Close() })
	return &callee{t: t, media: media, steps: steps, tag: "callee", cancelled: make(chan struct{})}
}

func (f *callee) take(c *wss.Conn, tx *transaction.Server) bool {
	req := tx.Request()
	f.mu.Lock()
	defer f.mu.Unlock()
	what := string(req.Method)
	if req.Method == sip.INFO {
		what += " " + strings.Fields(string(req.Body()))[0]
	}
	f.got = append(f.got, what)
	switch req.Method {
	case sip.INVITE:
		f.invite = tx
		go f.serve(c, tx)
	case sip.ACK:
	case sip.CANCEL:
		f.say(tx, 200, "OK", nil)
		f.say(tx.Cancels(), 487, "Request Terminated", nil)
		close(f.cancelled)
	case sip.BYE, sip.INFO, sip.UPDATE:
		f.say(tx, 200, "OK", nil)
	default:
		return false
	}
	return true
}

func (f *callee) methods() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.got, ",")
}

// say responds with our tag.
func (f *callee) say(tx *transaction.Server, status int, reason string, body []byte, headers ...sip.Header) {
	res := transaction.NewResponse(tx.Request(), status, reason)
	if to := res.To(); status > 100 && !to.Params.Has("tag") {
		to.Params.Add("tag", f.tag)
	}
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if tx.Request().Method == sip.INVITE && status < 300 {
		contact := tx.Flow().(*wss.Conn).Contact("callee")
		res.AppendHeader(&sip.ContactHeader{Address: contact})
	}
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	if err := tx.Respond(res); err != nil {
		f.t.Errorf("Respond %d: %v", status, err)
	}
}

// serve does the steps to one INVITE; a re-INVITE is just answered.
func (f *callee) serve(_ *wss.Conn, tx *transaction.Server) {
	if tx.Request().To().Params.Has("tag") {
		f.say(tx, 200, "OK", f.describe(tx))
		return
	}
	for step := range strings.FieldsSeq(f.steps) {
		switch step {
		case "challenge":
			f.mu.Lock()
			first := !f.challenged
			f.challenged = true
			f.mu.Unlock()
			if first {
				f.say(tx, 407, "Proxy Authentication Required", nil,
					sip.NewHeader("Proxy-Authenticate", `Digest realm="pbx", nonce="n", algorithm=MD5, qop="auth"`))
				return
			}
			if tx.Request().GetHeader("Proxy-Authorization") == nil {
				f.t.Error("the INVITE came again without credentials")
			}
		case "183":
			f.say(tx, 183, "Session Progress", f.describe(tx))
		case "180":
			f.say(tx, 180, "Ringing", nil)
		case "200":
			f.mu.Lock()
			answer := f.answer
			f.mu.Unlock()
			if answer == nil {
				answer = f.describe(tx)
			}
			f.say(tx, 200, "OK", answer)
		case "486":
			f.say(tx, 486, "Busy Here", nil)
		case "wait":
			<-f.cancelled
			return
		default:
			panic(step)
		}
	}
}

func (f *callee) describe(tx *transaction.Server) []byte {
	answer, err := f.media.Answer(context.Background(), tx.Request().Body())
	if err != nil {
		f.t.Errorf("answer: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
	return answer
}

func newMedia(t *testing.T, opt wsstest.MediaOptions) *wsstest.Media {
	t.Helper()
	m, err := wsstest.NewMedia(opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// call lets the callee ring the browser.
func (f *callee) call(t *testing.T, c *wss.Conn, user string) (events chan transaction.Event, tx *transaction.Client) {
	t.Helper()
	offer, err := f.media.Offer(within(t), wsstest.Change{})
	if err != nil {
		t.Fatal(err)
	}
	req := toBrowser(sip.INVITE)
	req.Recipient.User = user
	contact := c.Contact("callee")
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(offer)
	events = make(chan transaction.Event, 16)
	tx, err = c.Request(transaction.Outbound{Request: req}, func(e transaction.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	return events, tx
}

// next is the next response of the browser other than 100.
func next(t *testing.T, events chan transaction.Event) *sip.Response {
	t.Helper()
	for {
		select {
		case e := <-events:
			if e.Err != nil {
				t.Fatal(e.Err)
			}
			if e.Response.StatusCode != 100 {
				return e.Response
			}
		case <-within(t).Done():
			t.Fatal("no response of the browser")
		}
	}
}

// inDialog is a request of the callee's within the dialog of a call to the browser.
func inDialog(method sip.RequestMethod, res *sip.Response, cseq uint32) *sip.Request {
	req := toBrowser(method)
	req.Recipient = res.Contact().Address
	req.RemoveHeader("Call-ID")
	req.AppendHeader(sip.HeaderClone(res.CallID()))
	req.To().Params = sip.HeaderParams{{K: "tag", V: res.To().Params.GetOr("tag", "")}}
	req.ReplaceHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	return req
}

func statuses(c *wsstest.Call) string {
	var list []string
	for _, res := range c.Responses() {
		list = append(list, fmt.Sprint(res.StatusCode))
	}
	return strings.Join(list, " ")
}
