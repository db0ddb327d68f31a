package bridge

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/wss/wsstest"
)

// changing is a page without media that rewrites its next offer.
type changing struct {
	wsstest.Fixed
	rewrite func(string) string
	answer  string
}

func (s *changing) Offer(ctx context.Context, ch wsstest.Change) ([]byte, error) {
	text, err := s.Fixed.Offer(ctx, ch)
	if s.rewrite != nil {
		text = []byte(s.rewrite(string(text)))
	}
	return text, err
}

func (s *changing) Accept(answer []byte) error {
	s.answer = string(answer)
	return nil
}

// newChangingTalk is an established call of a page without media.
func newChangingTalk(t *testing.T) (*talk, *changing) {
	t.Helper()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	page := &changing{Fixed: wsstest.FixedAudio()}
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: page})
	w.check(err)
	m := w.rtp()
	d := w.answered(w.agents[0], m, 1000)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	return &talk{w, b, call, d, m}, page
}

// A browser whose offer leaves nothing to relay gets each m-line rejected, never a 488; the backend hears inactive, and of the
// browser's next offer that media goes on.
func TestBrowserDropsAudio(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		rewrite func(string) string
	}{
		{"port 0", func(s string) string { return strings.Replace(s, "m=audio 9", "m=audio 0", 1) }},
		{"no codec of ours", func(s string) string {
			s = regexp.MustCompile(`(m=audio 9 UDP/TLS/RTP/SAVPF) .*\r\n`).ReplaceAllString(s, "$1 120\r\n")
			return regexp.MustCompile(`a=(rtpmap|fmtp):.*\r\n`).ReplaceAllString(s, "") + "a=rtpmap:120 lyra/16000\r\n"
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k, page := newChangingTalk(t)
			offers, done := make(chan string, 1), make(chan struct{})
			k.meanwhile(func() {
				defer close(done)
				k.answerReinvite(offers)
			})
			page.rewrite = test.rewrite
			k.check(k.call.Reinvite(k.ctx(), wsstest.Change{}))
			<-done // acknowledged: the backend's next offer meets none of ours
			if !strings.Contains(page.answer, "m=audio 0 ") || !strings.Contains(page.answer, "a=mid:0") {
				t.Errorf("the browser was answered\n%s", page.answer)
			}
			if offer := <-offers; !strings.Contains(offer, "a=inactive") || strings.Contains(offer, "m=audio 0 ") {
				t.Errorf("the backend was offered\n%s", offer)
			}
			heard := len(k.call.Received())
			res, err := k.backend.Reinvite(k.ctx(), k.rtp.Offer("sendrecv"))
			k.check(err)
			if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=inactive") || len(k.call.Received()) != heard {
				t.Errorf("the backend's own offer: %d, the browser heard %d requests\n%s", res.StatusCode, len(k.call.Received())-heard, res.Body())
			}
			k.meanwhile(func() { k.answerReinvite(offers) })
			page.rewrite = nil
			k.check(k.call.Reinvite(k.ctx(), wsstest.Change{}))
			if strings.Contains(page.answer, "m=audio 0 ") || !strings.Contains(page.answer, "a=sendrecv") {
				t.Errorf("the browser's next offer was answered\n%s", page.answer)
			}
			if offer := <-offers; !strings.Contains(offer, "a=sendrecv") {
				t.Errorf("the backend was offered\n%s", offer)
			}
			k.hangUp()
		})
	}
}

// What is no session description is 400 (the page would not write one), and the call goes on.
func TestBrowserOffersNonsense(t *testing.T) {
	t.Parallel()
	k, _ := newChangingTalk(t)
	res, _ := k.call.Request(k.ctx(), sip.INVITE, "application/sdp", []byte("v=0\r\nnonsense\r\n"))
	if res == nil || res.StatusCode != 400 {
		t.Errorf("the browser heard %v, want 400", res)
	}
	if k.call.State() != wsstest.Confirmed || k.bridge.Stats().Calls != 1 {
		t.Error("the call ended")
	}
	k.hangUp()
}

// A backend that drops audio knows how to take a refusal.
func TestBackendDropsAudio(t *testing.T) {
	t.Parallel()
	k, _ := newChangingTalk(t)
	offer := regexp.MustCompile(`m=audio \d+`).ReplaceAllString(k.rtp.Offer("sendrecv"), "m=audio 0")
	res, err := k.backend.Reinvite(k.ctx(), offer)
	if res == nil || res.StatusCode != 488 {
		t.Errorf("the backend heard %v (%v), want 488", res, err)
	}
	k.hangUp()
}

var _ wsstest.Session = (*changing)(nil)
