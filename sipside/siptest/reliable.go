package siptest

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Early is the early dialog of a provisional response (RFC 3261 §12.1.2): one for each To-tag, and the 2xx's goes on with it.
func (o *Outgoing) Early(res *sip.Response) *Dialog { return o.dialog(res) }

// Prack acknowledges a reliable provisional (RFC 3262 §4), with SDP where sdp is not empty, and gives the response.
func (o *Outgoing) Prack(ctx context.Context, res *sip.Response, sdp string) (*sip.Response, error) {
	h := res.GetHeader("RSeq")
	if h == nil {
		return nil, fmt.Errorf("siptest: a %d without RSeq", res.StatusCode)
	}
	rack := fmt.Sprintf("%s %d %s", h.Value(), res.CSeq().SeqNo, res.CSeq().MethodName)
	return o.Early(res).Request(ctx, sip.PRACK, "application/sdp", sdp, sip.NewHeader("RAck", rack))
}

// Early is the dialog of the INVITE before its answer, for requests of ours within it; Accept goes on with it.
func (in *Incoming) Early() *Dialog { return in.dialog(in.tag) }

// Reliably gives a provisional response with the next RSeq, from 1, and repeats it until its PRACK (RFC 3262 §3), which it
// gives and which the caller answers.
func (in *Incoming) Reliably(ctx context.Context, r Reply) (*Incoming, error) {
	if r.Tag == "" {
		r.Tag = in.tag
	}
	in.mu.Lock()
	in.rseq++
	seq := in.rseq
	in.mu.Unlock()
	r.Headers = append(r.Headers, sip.NewHeader("Require", "100rel"), sip.NewHeader("RSeq", fmt.Sprint(seq)))
	res, d := in.response(r), in.dialog(r.Tag)
	rack := fmt.Sprintf("%d %d %s", seq, in.Request().CSeq().SeqNo, in.Request().Method)
	giveUp, stop := context.WithTimeout(ctx, 64*in.agent.timers.T1)
	defer stop()
	go func() {
		for wait := in.agent.timers.T1; in.Server.Respond(res) == nil; wait *= 2 {
			select {
			case <-giveUp.Done():
				return
			case <-time.After(wait):
			}
		}
	}()
	return in.agent.expect(giveUp, "PRACK "+rack, func(prack *Incoming) bool {
		req := prack.Request()
		h := req.GetHeader("RAck")
		return req.Method == sip.PRACK && req.CallID().Value() == d.callID && prack.tag == r.Tag && h != nil && h.Value() == rack
	})
}
