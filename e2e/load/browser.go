package load

import (
	"context"
	"errors"
	"fmt"

	"tandem/wss/wsstest"
)

// Browser is one WebSocket that places calls.
type Browser struct {
	generator *Generator
	tab       *wsstest.Browser
	domain    string
	turn      *TURN // nil: none
}

// Call is one that is up on both sides, its keys exchanged.
type Call struct {
	Session *Session
	call    *wsstest.Call
}

// DialBrowser opens a WebSocket; calls go to the phones as sip:s<number>@domain.
func (g *Generator) DialBrowser(ctx context.Context, url, domain string) (*Browser, error) {
	tab, err := wsstest.Dial(ctx, url, wsstest.Options{Domain: domain})
	if err != nil {
		return nil, err
	}
	return &Browser{generator: g, tab: tab, domain: domain}, nil
}

// Close closes the WebSocket.
func (b *Browser) Close() { b.tab.Close() }

// Call places a call and waits until it can carry packets. A refusal is a *wsstest.StatusError. Whatever goes wrong, nothing of
// the call is left on this side.
func (b *Browser) Call(ctx context.Context, ends Ends, profile Profile) (*Call, error) {
	s, err := b.generator.NewSession(ends, profile)
	if err != nil {
		return nil, err
	}
	call, err := b.tab.Invite(ctx, fmt.Sprintf("sip:s%d@%s", s.number, b.domain), wsstest.InviteOptions{Session: browserSession{s}})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	c := &Call{s, call}
	if err := call.Wait(ctx, wsstest.Confirmed); err != nil {
		if ctx.Err() != nil {
			_ = call.Cancel(context.WithoutCancel(ctx))
		}
		return nil, errors.Join(err, s.Close())
	}
	if b.turn != nil {
		if err := s.allocate(ctx, *b.turn); err != nil {
			return nil, errors.Join(err, c.Bye(context.WithoutCancel(ctx)))
		}
	}
	if err := s.Connect(ctx); err != nil {
		return nil, errors.Join(err, c.Bye(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// Bye ends the call and waits for the answer.
func (c *Call) Bye(ctx context.Context) error {
	defer c.Session.Close()
	return c.call.Bye(ctx)
}

// browserSession is a Session as the test browser wants it: one offer, one answer.
type browserSession struct{ session *Session }

func (s browserSession) Offer(context.Context, wsstest.Change) ([]byte, error) {
	return []byte(s.session.offer()), nil
}

func (s browserSession) Answer(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("load: sessions hear no offers")
}

func (s browserSession) Accept(answer []byte) error { return s.session.hearAnswer(answer) }

func (s browserSession) Rollback() error { return nil }

func (s browserSession) Close() error { return s.session.Close() }

var _ wsstest.Session = browserSession{}
