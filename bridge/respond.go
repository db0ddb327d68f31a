package bridge

import (
	"strconv"
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
	plain   bool         // a provisional that does not go reliably
}

// response builds the response to a request (RFC 3261 §8.2.6).
func (b *Bridge) response(req *sip.Request, r reply) *sip.Response {
	if r.reason == "" {
		r.reason = phrase(r.status)
	}
	res := transaction.NewResponse(req, r.status, r.reason)
	if to := res.To(); to != nil && r.status != 100 && !to.Params.Has("tag") {
		if r.tag == "" {
			r.tag = b.ids.tag()
		}
		to.Params.Add("tag", r.tag)
	}
	if r.why != "" {
		res.AppendHeader(reasonHeader("SIP", r.status, r.why))
	}
	for _, h := range r.headers {
		res.AppendHeader(h)
	}
	setSession(res, r.body)
	return res
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
	for h := range transaction.Named(msg, "Reason") {
		if oneLine(h.Value()) {
			all = append(all, h.Value())
		}
	}
	return strings.Join(all, ", ")
}

// quotable leaves nothing in a text that a quoted string would have to escape.
var quotable = strings.NewReplacer(`\`, "", `"`, "'", "\r", " ", "\n", " ")

// reasonHeader is RFC 3326's, with our word for why.
func reasonHeader(protocol string, cause int, text string) sip.Header {
	text = quotable.Replace(text)
	return sip.NewHeader("Reason", protocol+";cause="+strconv.Itoa(cause)+";text="+strconv.Quote(text))
}
