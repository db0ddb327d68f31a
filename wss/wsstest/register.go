package wsstest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/emiago/sipgo/sip"
)

// Register registers user ("alice" or "alice@domain") and answers a challenge (MD5). The 200 is returned; another final
// response is a *StatusError; a 200 that JsSIP would ignore (own Contact missing, no expires) is an error. Again: refreshes,
// with the same Call-ID, CSeq + 1 and a new From tag.
func (b *Browser) Register(ctx context.Context, user, password string) (*sip.Response, error) {
	b.SetUser(user, password)
	return b.registerFor(ctx, b.opt.Expires)
}

// Unregister removes the binding (expires 0).
func (b *Browser) Unregister(ctx context.Context) (*sip.Response, error) {
	return b.registerFor(ctx, 0)
}

func (b *Browser) registerFor(ctx context.Context, expires int) (*sip.Response, error) {
	aor := b.uri(b.User())
	b.mu.Lock()
	cseq := b.registered + 1
	b.mu.Unlock()
	req := b.newRequest(sip.REGISTER, sip.Uri{Scheme: "sip", Host: aor.Host, Port: aor.Port}, aor, b.opt.RegisterCallID, cseq)
	req.AppendHeader(b.registerContact(expires))
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(expires)))
	req.AppendHeader(sip.NewHeader("Supported", "path,gruu,outbound"))
	res, err := b.Do(ctx, req)
	b.mu.Lock()
	b.registered = req.CSeq().SeqNo
	b.mu.Unlock()
	switch {
	case err != nil:
		return res, err
	case !res.IsSuccess():
		return res, &StatusError{res}
	case expires == 0:
		return res, nil
	}
	if _, err := b.granted(res); err != nil {
		b.fault("%v", err)
		return res, fmt.Errorf("wsstest: %w\n%s", err, b.Ladder())
	}
	return res, nil
}

func (b *Browser) registerContact(expires int) *sip.ContactHeader {
	h := &sip.ContactHeader{Address: b.Contact()}
	if !b.opt.NoInstance {
		h.Params = sip.HeaderParams{{K: "reg-id", V: "1"}, {K: "+sip.instance", V: `"<` + b.opt.Instance + `>"`}, {K: "+sip.ice"}}
	}
	h.Params = append(h.Params, sip.HeaderKV{K: "expires", V: strconv.Itoa(expires)})
	return h
}

// granted is the expiry of our own Contact in a 200 to REGISTER. JsSIP finds it by instance and reg-id, else by user part.
func (b *Browser) granted(res *sip.Response) (seconds int, err error) {
	contacts := res.GetHeaders("Contact")
	for _, h := range contacts {
		c, ok := h.(*sip.ContactHeader)
		if !ok || !b.isOurs(c) {
			continue
		}
		if c.Address.User != b.opt.ContactUser || c.Address.Host != b.viaHost {
			return 0, fmt.Errorf("the Contact in the 200 to REGISTER is not verbatim: %s", c.Value())
		}
		text, ok := c.Params.Get("expires")
		if !ok {
			if h := res.GetHeader("Expires"); h != nil {
				text = h.Value()
			}
		}
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds <= 0 {
			return 0, fmt.Errorf("no expires for our Contact in the 200 to REGISTER: %s", c.Value())
		}
		return seconds, nil
	}
	if len(contacts) == 0 {
		return 0, errors.New("a 200 to REGISTER without Contact: JsSIP ignores it, SIP.js stays unregistered")
	}
	return 0, fmt.Errorf("none of the %d Contacts of the 200 to REGISTER is ours: JsSIP ignores it", len(contacts))
}

func (b *Browser) isOurs(c *sip.ContactHeader) bool {
	if instance, ok := c.Params.Get("+sip.instance"); ok && !b.opt.NoInstance {
		return instance == `"<`+b.opt.Instance+`>"` && c.Params.GetOr("reg-id", "") == "1"
	}
	return c.Address.User == b.opt.ContactUser
}
