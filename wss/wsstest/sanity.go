package wsstest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// insaneResponse says why JsSIP (sanityCheck.js) or SIP.js (user-agent.ts) would drop a response; "" if neither would.
func (b *Browser) insaneResponse(res *sip.Response, data []byte) string {
	vias := res.GetHeaders("Via")
	switch {
	case res.CSeq() == nil || res.CallID() == nil || res.From() == nil || res.To() == nil || len(vias) == 0:
		return "a mandatory header is missing"
	case len(vias) > 1:
		return fmt.Sprintf("it has %d Via headers", len(vias))
	case res.Via().Host != b.viaHost || res.Via().Port != 0:
		return fmt.Sprintf("its Via names %s, not %s", res.Via().SentBy(), b.viaHost)
	}
	return badLength(data)
}

// badLength says what is wrong with a message's Content-Length: beyond the body is dropped, less cuts it.
func badLength(data []byte) string {
	head, body, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n != len(body) {
			return fmt.Sprintf("Content-Length %s, but the body has %d bytes", strings.TrimSpace(value), len(body))
		}
	}
	return ""
}

// insaneRequest says with which status JsSIP or SIP.js would refuse a request outside a dialog, and why; 0 if neither would.
func (b *Browser) insaneRequest(req *sip.Request, data []byte) (status int, why string) {
	if req.CSeq() == nil || req.CallID() == nil || req.From() == nil || req.To() == nil || req.Via() == nil ||
		req.MaxForwards() == nil {
		return sip.StatusBadRequest, "a mandatory header is missing"
	}
	if why := badLength(data); why != "" {
		return sip.StatusBadRequest, why
	}
	switch {
	case req.Recipient.Scheme != "sip":
		return sip.StatusRequestedRangeNotSatisfiable, "the Request-URI is not sip:"
	case req.To().Address.Scheme != "sip":
		return sip.StatusRequestedRangeNotSatisfiable, "To is not sip:"
	case strings.HasPrefix(string(*req.CallID()), b.id) && req.To().Params.GetOr("tag", "") == "":
		return sip.StatusLoopDetected, "the Call-ID is one of our own"
	}
	if req.To().Params.Has("tag") {
		return 0, ""
	}
	user, _, _ := strings.Cut(b.User(), "@")
	switch {
	case req.Recipient.User != user && req.Recipient.User != b.opt.ContactUser:
		return sip.StatusNotFound, fmt.Sprintf("the Request-URI's user is %q, ours are %q and %q", req.Recipient.User, user,
			b.opt.ContactUser)
	case req.Method == sip.INVITE && req.Contact() == nil:
		return sip.StatusBadRequest, "an INVITE without Contact"
	case req.Method == sip.INVITE && len(req.Body()) > 0 && contentType(req) != "application/sdp":
		return sip.StatusUnsupportedMediaType, fmt.Sprintf("the body is %q, not exactly application/sdp", contentType(req))
	}
	return 0, ""
}

// contentType is the header's value to the letter: JsSIP compares it so.
func contentType(msg sip.Message) string {
	if h := msg.GetHeaders("Content-Type"); len(h) > 0 {
		return h[0].Value()
	}
	return ""
}
