package transaction

import "github.com/emiago/sipgo/sip"

// NewResponse is a response with what RFC 3261 §8.2.6 copies from the request: Via, From, To, Call-ID, CSeq, for a 100
// Timestamp, and Record-Route where it makes a dialog. It adds no To-tag; To is the response's own, the others are the request's.
func NewResponse(req *sip.Request, status int, reason string) *sip.Response {
	res := sip.NewResponse(status, reason)
	own := new(struct {
		to            sip.ToHeader
		params        [3]sip.HeaderKV // with room for a tag
		contentLength sip.ContentLengthHeader
	})
	for _, h := range req.Headers() {
		switch fieldOf(h.Name()) {
		case via, from, callID, cseq:
			res.AppendHeader(h)
		case to:
			asked, ok := h.(*sip.ToHeader)
			if !ok { // one that cannot be read
				res.AppendHeader(h)
				continue
			}
			own.to = *asked
			own.to.Params = append(own.params[:0], asked.Params...)
			res.AppendHeader(&own.to)
		case timestamp:
			if status == sip.StatusTrying {
				res.AppendHeader(h)
			}
		case recordRoute:
			if status > sip.StatusTrying && status < 300 && req.Method != sip.REGISTER {
				res.AppendHeader(h)
			}
		}
	}
	res.AppendHeader(&own.contentLength) // sipgo's SetBody looks for one under each name else
	return res
}

// ack is the ACK of a refusal: the INVITE's Request-URI, top Via, From, Call-ID and Route, the response's To
// (RFC 3261 §17.1.1.3).
func (e *essence) ack(res *sip.Response) Outbound {
	return e.request(sip.ACK, res.To())
}

// cancel is the CANCEL of an INVITE (RFC 3261 §9.1).
func (e *essence) cancel(extra []sip.Header) Outbound {
	out := e.request(sip.CANCEL, e.to)
	for _, h := range extra {
		out.AppendHeader(h)
	}
	return out
}

// request is a request that belongs to an INVITE's transaction.
func (e *essence) request(method sip.RequestMethod, to *sip.ToHeader) Outbound {
	req := sip.NewRequest(method, sip.Uri{})
	for _, h := range e.routes {
		req.AppendHeader(h)
	}
	maxForwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&maxForwards)
	req.AppendHeader(e.from)
	if to == nil {
		to = e.to
	}
	req.AppendHeader(to)
	req.AppendHeader(e.callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: e.seq, MethodName: method})
	return Outbound{Request: req, RequestURI: e.uri, Top: e.via}
}

// essence is what CANCEL and the ACK of a refusal take from an INVITE.
type essence struct {
	uri    string // the Request-URI
	via    *sip.ViaHeader
	from   *sip.FromHeader
	to     *sip.ToHeader
	callID *sip.CallIDHeader
	seq    uint32
	routes []sip.Header
}

func essenceOf(invite Outbound) essence {
	e := essence{
		uri: invite.RequestURI, via: invite.Via(), from: invite.From(), to: invite.To(), callID: invite.CallID(), seq: invite.CSeq().SeqNo,
	}
	for h := range Named(invite, "Route") {
		e.routes = append(e.routes, h)
	}
	return e
}
