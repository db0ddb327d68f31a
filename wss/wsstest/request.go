package wsstest

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// letters are n random characters as JsSIP's createRandomToken gives them.
func letters(n int) string {
	return strings.ToLower(rand.Text() + rand.Text())[:n]
}

func newUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Via is a fresh Via of the browser: JsSIP's sent-by and its branch of 7 digits, which here no other of its Vias has. The transport is
// WSS whatever the scheme: a page behind a load balancer that does TLS says so too.
func (b *Browser) Via() *sip.ViaHeader {
	return &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "WSS", Host: b.viaHost,
		Params: sip.HeaderParams{{K: "branch", V: fmt.Sprint("z9hG4bK", b.branch.Add(1))}}}
}

// Contact is the browser's Contact URI, the same as long as it lives.
func (b *Browser) Contact() sip.Uri {
	return sip.Uri{Scheme: "sip", User: b.opt.ContactUser, Host: b.viaHost,
		UriParams: sip.HeaderParams{{K: "transport", V: "ws"}}}
}

// NewRequest is a request outside dialogs with JsSIP's headers: Via, Max-Forwards, To, From (tag), Call-ID, CSeq, Allow,
// User-Agent. target is "600", "600@domain" or a URI; it panics where that is none.
func (b *Browser) NewRequest(method sip.RequestMethod, target string) *sip.Request {
	uri := b.uri(target)
	to := uri
	to.UriParams, to.Headers = nil, nil
	return b.newRequest(method, uri, to, b.id+letters(15), 1)
}

func (b *Browser) newRequest(method sip.RequestMethod, uri, to sip.Uri, callID string, cseq uint32) *sip.Request {
	req := sip.NewRequest(method, uri)
	req.AppendHeader(b.Via())
	forwards := sip.MaxForwardsHeader(69)
	req.AppendHeader(&forwards)
	req.AppendHeader(&sip.ToHeader{Address: to})
	req.AppendHeader(&sip.FromHeader{Address: b.uri(b.User()), Params: sip.HeaderParams{{K: "tag", V: letters(10)}}})
	id := sip.CallIDHeader(callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	req.AppendHeader(sip.NewHeader("Allow", b.opt.Allow))
	req.AppendHeader(sip.NewHeader("User-Agent", "JsSIP 3.13.8"))
	if b.opt.JWT != "" {
		req.AppendHeader(sip.NewHeader("Authorization", b.opt.JWT))
	}
	req.SetBody(nil)
	return req
}

// uri completes a target as JsSIP's normalizeTarget does.
func (b *Browser) uri(target string) sip.Uri {
	if !strings.Contains(target, ":") {
		if !strings.Contains(target, "@") {
			target += "@" + b.opt.Domain
		}
		target = "sip:" + target
	}
	var uri sip.Uri
	if err := sip.ParseUri(target, &uri); err != nil {
		panic(fmt.Sprintf("wsstest: target %q: %v", target, err))
	}
	return uri
}

// User is the address of record without scheme, "anonymous@domain" before SetUser or Register.
func (b *Browser) User() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.user
}

// SetUser says who the user is without registering: "alice" or "alice@domain", and the password for challenges.
func (b *Browser) SetUser(user, password string) {
	if !strings.Contains(user, "@") {
		user += "@" + b.opt.Domain
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.user, b.password = user, password
}
