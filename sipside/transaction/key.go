package transaction

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// clientKey finds the client transaction of a response (RFC 3261 §17.1.3). The flow is no part of it: a response may come
// over another connection (§18.2.2).
type clientKey struct {
	branch string
	method sip.RequestMethod
}

func responseKey(res *sip.Response) clientKey {
	return clientKey{branch: res.Via().Params.GetOr("branch", ""), method: res.CSeq().MethodName}
}

// serverKey finds the server transaction of a request (§17.2.3).
type serverKey struct {
	flow, host, branch string
	port               int
	method             sip.RequestMethod
}

// kept is the key without the message that it was read from: transactions outlive their requests by half a minute.
func (k serverKey) kept() serverKey {
	text := k.host + k.branch + string(k.method)
	k.host, text = text[:len(k.host)], text[len(k.host):]
	k.branch, k.method = text[:len(k.branch)], sip.RequestMethod(text[len(k.branch):])
	return k
}

// invite is the key of the INVITE that a CANCEL with this key means (§9.2).
func (k serverKey) invite() serverKey {
	k.method = sip.INVITE
	return k
}

func requestKey(msg Message, req *sip.Request, flow Flow) serverKey {
	via := req.Via()
	method := req.Method
	if method == sip.ACK {
		method = sip.INVITE
	}
	key := serverKey{flow: flow.Identity(), host: strings.ToLower(via.Host), port: via.Port, method: method}
	branch := via.Params.GetOr("branch", "")
	if rest, ok := strings.CutPrefix(branch, sip.RFC3261BranchMagicCookie); ok && rest != "" {
		key.branch = branch
	} else {
		key.branch = legacyBranch(msg, req)
	}
	return key
}

// legacyBranch stands for the branch of RFC 2543 peers, which is not unique: Request-URI, From-tag, Call-ID, CSeq number and
// the whole top Via. The To-tag of an ACK is the response's (Server.matchesAck); that of any other request but
// INVITE and CANCEL belongs here.
func legacyBranch(msg Message, req *sip.Request) string {
	uri := msg.RequestURI
	if uri == "" {
		uri = req.Recipient.String()
	}
	parts := []string{uri, tag(req.From()), string(*req.CallID()), strconv.Itoa(int(req.CSeq().SeqNo)), req.Via().Value()}
	switch req.Method {
	case sip.INVITE, sip.ACK, sip.CANCEL:
	default:
		parts = append(parts, toTag(req.To()))
	}
	return strings.Join(parts, "\n")
}

func tag(from *sip.FromHeader) string {
	if from == nil {
		return ""
	}
	return from.Params.GetOr("tag", "")
}

func toTag(to *sip.ToHeader) string {
	if to == nil {
		return ""
	}
	return to.Params.GetOr("tag", "")
}
