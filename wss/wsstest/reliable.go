package wsstest

import (
	"context"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// takesReliable says whether our INVITE asked for reliable provisionals (SIP.js does so where the page wants it).
func (c *Call) takesReliable() bool {
	for _, name := range []string{"Require", "Supported"} {
		for _, h := range c.Invitation().GetHeaders(name) {
			if strings.Contains(h.Value(), "100rel") {
				return true
			}
		}
	}
	return false
}

// acknowledge sends the PRACK of a reliable provisional (RFC 3262 §4), with our answer where the call has no offer of ours. A
// repetition is passed over.
func (c *Call) acknowledge(res *sip.Response, seq string) {
	c.mu.Lock()
	again := c.pracked == seq
	c.pracked = seq
	b, answer := c.b, c.delayed && !c.settled && len(res.Body()) > 0
	c.settled = c.settled || answer
	c.mu.Unlock()
	if again {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	kind, body := "", []byte(nil)
	if answer {
		var err error
		if body, err = c.session.Answer(ctx, res.Body()); err != nil {
			c.stumble("the offer in a %d cannot be taken: %v", res.StatusCode, err)
			return
		}
		kind = "application/sdp"
	}
	rack := sip.NewHeader("RAck", fmt.Sprintf("%s %d %s", seq, res.CSeq().SeqNo, res.CSeq().MethodName))
	if _, err := c.Request(ctx, sip.PRACK, kind, body, rack); err != nil {
		b.fault("PRACK: %v", err)
	}
}

// ProgressReliably sends a 183 with the SDP answer that wants a PRACK, and waits for it; Answer repeats the answer.
func (c *Call) ProgressReliably(ctx context.Context) error {
	if err := c.unanswered(); err != nil {
		return err
	}
	body, err := c.ownAnswer(ctx)
	if err != nil {
		return err
	}
	c.rise(Early)
	err = c.reply(sip.StatusSessionInProgress, "Session Progress", body, sip.NewHeader("Require", "100rel"), sip.NewHeader("RSeq", "7"))
	if err != nil {
		return err
	}
	prack, err := c.WaitReceived(ctx, Request(sip.PRACK))
	if err != nil {
		return err
	}
	want := fmt.Sprintf("7 %d INVITE", c.Invitation().CSeq().SeqNo)
	if h := prack.GetHeader("RAck"); h == nil || h.Value() != want {
		return fmt.Errorf("wsstest: the PRACK's RAck is %v, not %s", h, want)
	}
	return nil
}
