package transaction

import "github.com/emiago/sipgo/sip"

// NewResponse is a response with what RFC 3261 §8.2.6 copies from the request: Via, From, To, Call-ID, CSeq, for a 100
// Timestamp, and Record-Route where it makes a dialog. It adds no To-tag; To is the response's own, the others are the request's.
func NewResponse(req *sip.Request, status int, reason string) *sip.Response {
	res := sip.NewResponse(status, reason)
	for _, h := range req.Headers() {
		switch fieldOf(h.Name()) {
		case via, from, callID, cseq:
			res.AppendHeader(h)
		case to:
			res.AppendHeader(sip.HeaderClone(h))
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
	res.AppendHeader(new(sip.ContentLengthHeader)) // sipgo's SetBody looks for one under each name else
	return res
}

// newAck is the ACK of a refusal: the INVITE's Request-URI, top Via, From, Call-ID and Route, the response's To
// (RFC 3261 §17.1.1.3).
func newAck(invite Outbound, res *sip.Response) Outbound {
	return within(invite, sip.ACK, res.To())
}

// newCancel is the CANCEL of an INVITE (RFC 3261 §9.1).
func newCancel(invite Outbound, extra []sip.Header) Outbound {
	out := within(invite, sip.CANCEL, invite.To())
	for _, h := range extra {
		out.AppendHeader(h)
	}
	return out
}

// within is a request that belongs to an INVITE's transaction.
func within(invite Outbound, method sip.RequestMethod, to *sip.ToHeader) Outbound {
	req := sip.NewRequest(method, *invite.Recipient.Clone())
	req.AppendHeader(invite.Via().Clone())
	for h := range Named(invite, "Route") {
		req.AppendHeader(sip.HeaderClone(h))
	}
	maxForwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&maxForwards)
	req.AppendHeader(sip.HeaderClone(invite.From()))
	if to == nil {
		to = invite.To()
	}
	req.AppendHeader(sip.HeaderClone(to))
	req.AppendHeader(sip.HeaderClone(invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: method})
	return Outbound{Request: req, RequestURI: invite.RequestURI}
}

// essence is what CANCEL and the ACK of a refusal take from an INVITE, copied, so that its owner may change it.
func essence(invite Outbound) Outbound {
	req := sip.NewRequest(invite.Method, invite.Recipient)
	for _, h := range invite.Headers() {
		switch fieldOf(h.Name()) {
		case via, route, from, to, callID, cseq:
			req.AppendHeader(sip.HeaderClone(h))
		}
	}
	return Outbound{Request: req, RequestURI: invite.RequestURI}
}
