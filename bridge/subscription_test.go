package bridge

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// subscribing is a browser's SUBSCRIBE that the agent has got.
type subscribing struct {
	w      *world
	b      *wsstest.Browser
	req    *sip.Request
	answer <-chan *sip.Response
	in     *siptest.Incoming
}

func (w *world) subscribes(opt wsstest.Options) *subscribing {
	w.t.Helper()
	b := w.registered("alice", opt)
	s := &subscribing{w: w, b: b, req: b.NewRequest(sip.SUBSCRIBE, "bob")}
	s.req.AppendHeader(sip.NewHeader("Event", "dialog"))
	s.req.AppendHeader(sip.NewHeader("Accept", "application/dialog-info+xml"))
	s.req.AppendHeader(sip.NewHeader("Expires", "600"))
	s.req.AppendHeader(&sip.ContactHeader{Address: b.Contact()})
	s.answer = w.sends(b, s.req)
	var err error
	s.in, err = w.agents[0].Expect(w.ctx(), sip.SUBSCRIBE)
	w.check(err)
	return s
}

// granted accepts it and gives the notifier's dialog and the response that the browser got.
func (s *subscribing) granted() (*siptest.Dialog, *sip.Response) {
	s.w.t.Helper()
	s.w.check(s.in.Respond(siptest.Reply{Status: 200, Headers: []sip.Header{
		sip.NewHeader("Expires", "300"), &sip.ContactHeader{Address: s.w.agents[0].URI("")},
	}}))
	return s.in.Early(), <-s.answer
}

// notifies sends a NOTIFY and gives what the browser got of it.
func (s *subscribing) notifies(d *siptest.Dialog, state string) *sip.Request {
	s.w.t.Helper()
	res, err := d.Request(s.w.ctx(), sip.NOTIFY, "application/dialog-info+xml", "<dialog-info/>",
		sip.NewHeader("Event", "dialog"), sip.NewHeader("Subscription-State", state))
	s.w.check(err)
	if res.StatusCode != 200 {
		s.w.t.Errorf("NOTIFY answered %d", res.StatusCode)
	}
	msg, err := s.b.Expect(s.w.ctx(), wsstest.Request(sip.NOTIFY))
	s.w.check(err)
	return msg.(*sip.Request)
}

// within is a request of the browser's in the subscription's dialog.
func (s *subscribing) within(res *sip.Response, expires string) *sip.Request {
	req := s.b.NewRequest(sip.SUBSCRIBE, "bob")
	tag, _ := res.To().Params.Get("tag")
	req.To().Params.Add("tag", tag)
	from, _ := s.req.From().Params.Get("tag")
	req.From().Params.Remove("tag")
	req.From().Params.Add("tag", from)
	callID := sip.CallIDHeader(s.req.CallID().Value())
	req.ReplaceHeader(&callID)
	req.CSeq().SeqNo = s.req.CSeq().SeqNo + 1
	req.AppendHeader(sip.NewHeader("Event", "dialog"))
	req.AppendHeader(sip.NewHeader("Expires", expires))
	req.AppendHeader(&sip.ContactHeader{Address: s.b.Contact()})
	return req
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	s := w.subscribes(wsstest.Options{})
	d, res := s.granted()
	if res.StatusCode != 200 || headerValue(res, "Expires") != "300" || res.Contact() == nil {
		t.Errorf("answered:\n%s", res)
	}
	got := s.notifies(d, "active;expires=300")
	tag, _ := got.To().Params.Get("tag")
	if want, _ := s.req.From().Params.Get("tag"); got.CallID().Value() != s.req.CallID().Value() || tag != want {
		t.Errorf("the NOTIFY is not of the browser's dialog:\n%s", got)
	}
	if string(got.Body()) != "<dialog-info/>" || headerValue(got, "Subscription-State") != "active;expires=300" {
		t.Errorf("arrived:\n%s", got)
	}
	if n := w.bridge.Stats().Subscriptions; n != 1 {
		t.Errorf("%d subscriptions", n)
	}
	answer := w.sends(s.b, s.within(res, "600"))
	refresh := w.replies(w.agents[0], sip.SUBSCRIBE, 200, sip.NewHeader("Expires", "200"))
	if again := <-answer; again.StatusCode != 200 || headerValue(again, "Expires") != "200" {
		t.Errorf("refresh answered:\n%s", again)
	}
	if refresh.Request().CallID().Value() != s.in.Request().CallID().Value() || refresh.Request().CSeq().SeqNo <= s.in.Request().CSeq().SeqNo {
		t.Errorf("the refresh came on another leg:\n%s", refresh.Request())
	}
	s.notifies(d, "terminated;reason=noresource")
	w.until("the subscription is over", func() bool { return w.bridge.Stats().Subscriptions == 0 })
}

// A NOTIFY may be quicker than the answer to its SUBSCRIBE (RFC 6665 §4.4.1); the browser gets them in order.
func TestNotifyBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	s := w.subscribes(wsstest.Options{})
	answered := make(chan int, 1)
	d := s.in.Early()
	w.meanwhile(func() {
		res, err := d.Request(w.ctx(), sip.NOTIFY, "", "", sip.NewHeader("Event", "dialog"), sip.NewHeader("Subscription-State", "active"))
		if err != nil {
			t.Error(err)
		}
		answered <- res.StatusCode
	})
	w.until("the early NOTIFY waits", func() bool {
		for _, at := range w.bridge.subscriptions.seats() {
			at.subscription.mu.Lock()
			early := len(at.subscription.early)
			at.subscription.mu.Unlock()
			if early == 1 {
				return true
			}
		}
		return false
	})
	if _, res := s.granted(); res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	if status := <-answered; status != 200 {
		t.Errorf("early NOTIFY answered %d", status)
	}
	_, err := s.b.Expect(w.ctx(), wsstest.Request(sip.NOTIFY))
	w.check(err)
}

// A refused subscription leaves nothing.
func TestSubscriptionRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	s := w.subscribes(wsstest.Options{})
	w.check(s.in.Respond(siptest.Reply{Status: 489, Headers: []sip.Header{sip.NewHeader("Allow-Events", "presence")}}))
	if res := <-s.answer; res.StatusCode != 489 || headerValue(res, "Allow-Events") != "presence" {
		t.Errorf("answered:\n%s", res)
	}
	if n := w.bridge.Stats().Subscriptions; n != 0 {
		t.Errorf("%d subscriptions", n)
	}
}

// A browser that does not come back is un-subscribed; one that does goes on.
func TestSubscriberGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{FlowGrace: 300 * time.Millisecond}})
	opt := wsstest.Options{Instance: "urn:uuid:00000000-0000-4000-8000-000000000001", ContactUser: "page", RegisterCallID: "again"}
	s := w.subscribes(opt)
	d, _ := s.granted()
	s.notifies(d, "active;expires=300")
	s.b.Drop()
	s.b = w.registered("alice", opt)
	s.b.Subscribed(s.req.CallID().Value())
	s.notifies(d, "active;expires=290")
	s.b.Drop()
	over := w.replies(w.agents[0], sip.SUBSCRIBE, 200, sip.NewHeader("Expires", "0"))
	if headerValue(over.Request(), "Expires") != "0" || over.Request().CallID().Value() != s.in.Request().CallID().Value() {
		t.Errorf("un-subscribed by:\n%s", over.Request())
	}
}

// Who knows Call-ID and tags of a subscription is not its subscriber.
func TestStrangerSubscribes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	s := w.subscribes(wsstest.Options{})
	_, res := s.granted()
	stolen := s.within(res, "0")
	mallory := w.registered("mallory", wsstest.Options{})
	via := mallory.Via()
	stolen.ReplaceHeader(via)
	if got := <-w.sends(mallory, stolen); got.StatusCode != 481 {
		t.Errorf("a stranger's SUBSCRIBE: %d, want 481", got.StatusCode)
	}
}
