package bridge

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Methods that we serve, in the form of the Allow header. UPDATE is answered, and sent to backends that allow it; never to
// browsers.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, MESSAGE, SUBSCRIBE, PUBLISH"

// Reply is what a response says beyond what its request determines.
type reply struct {
	status  int
	reason  string       // the reason phrase; "": the RFC's
	why     string       // becomes a Reason header's text (RFC 3326)
	tag     string       // our To-tag; "": one is made up where none is there
	headers []sip.Header // Contact, Allow, …
	body    []byte       // application/sdp
}

// response builds the response to a request (RFC 3261 §8.2.6).
func (b *Bridge) response(req *sip.Request, r reply) *sip.Response {
	if r.reason == "" {
		r.reason = phrase(r.status)
	}
	if r.tag == "" {
		r.tag = b.ids.tag()
	}
	res := sip.NewResponseFromRequest(withTag(req, r.status, r.tag), r.status, r.reason, nil)
	if r.why != "" {
		res.AppendHeader(reasonHeader("SIP", r.status, r.why))
	}
	for _, h := range r.headers {
		res.AppendHeader(h)
	}
	if len(r.body) > 0 {
		contentType := sip.ContentTypeHeader("application/sdp")
		res.AppendHeader(&contentType)
	}
	res.SetBody(r.body)
	return res
}

// withTag gives the request as its response is to be made from: To carries our tag, but in a 100.
func withTag(req *sip.Request, status int, tag string) *sip.Request {
	if to := req.To(); to == nil || status == 100 || to.Params.Has("tag") {
		return req
	}
	tagged := sip.NewRequest(req.Method, req.Recipient)
	tagged.SipVersion = req.SipVersion
	tagged.SetSource(req.Source())
	for _, h := range req.Headers() {
		if to, ok := h.(*sip.ToHeader); ok {
			copied := *to
			copied.Params = to.Params.Clone()
			copied.Params.Add("tag", tag)
			h = &copied
		}
		tagged.AppendHeader(h)
	}
	return tagged
}

// respond answers a request that belongs to no call.
func (b *Bridge) respond(tx *transaction.Server, r reply) {
	req := tx.Request()
	if req.IsAck() {
		return
	}
	if err := tx.Respond(b.response(req, r)); err != nil {
		b.log.Debug("response not sent", "conn", tx.Flow().Identity(), "method", req.Method, "status", r.status, "error", err)
	}
}

// reasonsOf are a message's reasons, of all protocols (RFC 3326: SIP, Q.850), as the value of one header.
func reasonsOf(msg headed) string {
	var all []string
	for _, h := range msg.GetHeaders("Reason") {
		if oneLine(h.Value()) {
			all = append(all, h.Value())
		}
	}
	return strings.Join(all, ", ")
}

// reasonHeader is RFC 3326's, with our word for why.
func reasonHeader(protocol string, cause int, text string) sip.Header {
	text = strings.NewReplacer(`\`, "", `"`, "'", "\r", " ", "\n", " ").Replace(text)
	return sip.NewHeader("Reason", fmt.Sprintf("%s;cause=%d;text=%q", protocol, cause, text))
}
