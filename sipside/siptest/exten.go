package siptest

import (
	"context"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// exten is a call to an extension: one leg, one Media, and a script that runs until its context ends.
type exten struct {
	// static after construction
	pbx   *PBX
	in    *Incoming
	media *Media
	end   context.CancelFunc

	mu sync.Mutex
	// guarded by mu
	dialog *Dialog
	gone   bool   // the other side sent BYE
	info   string // digits that came by INFO
	dialed chan struct{}
}

// script is what an extension does; it returns when the call is over for it.
type script func(ctx context.Context, x *exten)

// extension is the script of a number, nil for any other.
func extension(user string) script {
	switch user {
	case "600":
		return func(ctx context.Context, x *exten) { x.echo(ctx) }
	case "601":
		return func(ctx context.Context, x *exten) {
			if x.answer(ctx) {
				x.media.Tone(1004)
				<-ctx.Done()
			}
		}
	case "603":
		return func(ctx context.Context, x *exten) {
			x.reply(Reply{Status: sip.StatusRinging})
			if passed(ctx, x.pbx.cfg.RingTime) {
				x.echo(ctx)
			}
		}
	case "604":
		return func(ctx context.Context, x *exten) { x.early(ctx) }
	case "605":
		return func(ctx context.Context, x *exten) { x.digits(ctx) }
	case "606":
		return func(ctx context.Context, x *exten) {
			x.media.Echo()
			if x.answer(ctx) {
				passed(ctx, x.pbx.cfg.HangupTime)
			}
		}
	case "607":
		return func(_ context.Context, x *exten) { x.pbx.refuse(x.in, sip.StatusBusyHere, "") }
	case "608":
		return func(_ context.Context, x *exten) { x.pbx.refuse(x.in, sip.StatusServiceUnavailable, "") }
	case "609":
		return func(ctx context.Context, x *exten) {
			x.reply(Reply{Status: sip.StatusRinging})
			<-ctx.Done()
		}
	}
	return nil
}

// passed waits, and says whether the time passed before the call ended.
func passed(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// exten runs a call to an extension from the INVITE to the end.
func (p *PBX) exten(ctx context.Context, end context.CancelFunc, in *Incoming, play script) {
	media, err := NewMedia(p.cfg.RTPAddr)
	if err != nil {
		p.agent.log.Error("siptest: no media", "error", err)
		p.refuse(in, sip.StatusInternalServerError, "")
		return
	}
	defer media.Close()
	x := &exten{pbx: p, in: in, media: media, end: end, dialed: make(chan struct{}, 1)}
	leave := p.enter(in.Request().CallID().Value(), in.tag, x)
	defer leave()
	play(ctx, x)
	x.finish()
}

// finish says to the other side that the call is over, where that is still news.
func (x *exten) finish() {
	x.mu.Lock()
	dialog, gone := x.dialog, x.gone
	x.mu.Unlock()
	switch {
	case x.pbx.ctx.Err() != nil || gone && dialog != nil:
	case dialog != nil:
		x.pbx.bye(dialog)
	default:
		x.pbx.settled(x.in)
		_ = x.in.Respond(Reply{Status: sip.StatusRequestTerminated}) // refused where a script has given its final response
	}
}

func (x *exten) reply(r Reply) { x.pbx.respond(x.in, r) }

// sdp is our SDP for the INVITE: an answer, or an offer where it carried none.
func (x *exten) sdp() (string, bool) {
	if x.in.SDP() == "" {
		return x.media.Offer("sendrecv"), true
	}
	sdp, err := x.media.Answer(x.in.SDP())
	if err != nil {
		x.pbx.agent.log.Warn("siptest: offer refused", "call", x.in.Request().CallID().Value(), "error", err)
		x.pbx.refuse(x.in, sip.StatusNotAcceptableHere, "")
		return "", false
	}
	return sdp, true
}

// answer answers the call, and says whether it is up.
func (x *exten) answer(ctx context.Context) bool {
	sdp, ok := x.sdp()
	if !ok || ctx.Err() != nil {
		return false
	}
	x.pbx.settled(x.in)
	d, err := x.in.Accept(ctx, Reply{SDP: sdp})
	x.mu.Lock()
	x.dialog = d
	x.mu.Unlock()
	if err == nil && x.in.SDP() == "" {
		err = x.media.Connect(d.Remote)
	}
	if err != nil {
		return false
	}
	x.pbx.answered.Add(1)
	return true
}

func (x *exten) echo(ctx context.Context) {
	x.media.Echo()
	if x.answer(ctx) {
		<-ctx.Done()
	}
}

// early is 604: a tone in early media, and then the echo.
func (x *exten) early(ctx context.Context) {
	sdp, ok := x.sdp()
	if !ok {
		return
	}
	x.reply(Reply{Status: sip.StatusSessionInProgress, SDP: sdp})
	x.media.Tone(425)
	if passed(ctx, x.pbx.cfg.EarlyTime) {
		x.echo(ctx)
	}
}

// digits is 605: reads four digits, plays them back, hangs up.
func (x *exten) digits(ctx context.Context) {
	if !x.answer(ctx) {
		return
	}
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	var read string
	for len(read) < 4 {
		if !x.nextDigit(ctx) {
			return
		}
		x.mu.Lock()
		read = x.info
		x.mu.Unlock()
		if heard := x.media.Digits(); len(heard) > len(read) {
			read = heard
		}
	}
	if err := x.media.SendDigits(ctx, read[:4]); err == nil {
		passed(ctx, time.Second)
	}
}

// nextDigit waits for something that may be a digit.
func (x *exten) nextDigit(ctx context.Context) bool {
	x.media.mu.Lock()
	changed := x.media.changed
	x.media.mu.Unlock()
	select {
	case <-changed:
	case <-x.dialed:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
