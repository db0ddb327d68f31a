package bridge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Dialog is our half of one dialog (RFC 3261 §12), and of its INVITE before there is one. Plain value, JSON-able. Its texts are its own:
// it holds no message.
type Dialog struct {
	CallID     string
	LocalTag   string
	RemoteTag  string // "" before a response brought one
	LocalName  string // display names and URIs of From and To, without tags
	LocalURI   string
	RemoteName string
	RemoteURI  string
	LocalSeq   uint32   // the last CSeq that we used
	RemoteSeq  uint32   // the highest that the peer used
	InviteSeq  uint32   // of the INVITE that is ours and to be ACKed
	FirstSeq   uint32   // of the INVITE that is theirs and opened the dialog
	Target     string   // the remote target: the peer's Contact
	Routes     []string // the route set, first hop first
	Token      string   // the user part of our Contact
	Allow      string   // the peer's Allow, as last heard
	Timer      bool     // the peer supports session timers (RFC 4028)
}

// dialogOfInvite is the dialog that an incoming INVITE may open; we are the UAS (§12.1.1).
func dialogOfInvite(req *sip.Request, localTag, token string) Dialog {
	from, to := req.From(), req.To()
	tag, _ := from.Params.Get("tag")
	d := Dialog{
		CallID:     strings.Clone(req.CallID().Value()),
		LocalTag:   localTag,
		RemoteTag:  strings.Clone(tag),
		LocalName:  strings.Clone(to.DisplayName),
		LocalURI:   bareText(to.Address),
		RemoteName: strings.Clone(from.DisplayName),
		RemoteURI:  bareText(from.Address),
		RemoteSeq:  req.CSeq().SeqNo,
		FirstSeq:   req.CSeq().SeqNo,
		Token:      token,
	}
	for h := range transaction.Named(req, "Record-Route") {
		d.Routes = append(d.Routes, h.Value())
	}
	d.Target = d.RemoteURI // RFC 2543 needs no Contact
	d.hear(req)
	return d
}

// answered is the dialog that a response with a To-tag opens on a branch; we are the UAC (§12.1.2).
func (d Dialog) answered(res *sip.Response) Dialog {
	if tag, _ := res.To().Params.Get("tag"); tag != d.RemoteTag {
		d.RemoteTag = strings.Clone(tag)
	}
	d.Routes = nil
	for h := range transaction.Named(res, "Record-Route") {
		d.Routes = append(d.Routes, h.Value())
	}
	slices.Reverse(d.Routes)
	d.hear(res)
	return d
}

// headed is what requests and responses share here.
type headed interface {
	Contact() *sip.ContactHeader
	Headers() []sip.Header
}

// hear takes what any message of the INVITE or a target refresh says of the peer (§12.2.1.2).
func (d *Dialog) hear(msg headed) {
	if contact := msg.Contact(); contact != nil && !contact.Address.Wildcard {
		d.Target = bareText(contact.Address)
	}
	if allow := joined(listed(msg, "Allow")); allow != "" && allow != d.Allow {
		d.Allow = strings.Clone(allow)
	}
	if listHas(listed(msg, "Supported"), "timer") || listHas(listed(msg, "Require"), "timer") {
		d.Timer = true
	}
}

// allows says whether the peer's Allow names a method; without an Allow nothing beyond RFC 3261's is presumed.
func (d *Dialog) allows(method sip.RequestMethod) bool {
	return listHas(splitList(d.Allow), string(method))
}

// request builds a request within the dialog with the next CSeq (§12.2.1.1); the door adds the Via.
func (d *Dialog) request(method sip.RequestMethod) transaction.Outbound {
	d.LocalSeq++
	return d.build(method, d.LocalSeq)
}

// ack builds the ACK of a 2xx: the INVITE's CSeq number, the route set and remote target of the dialog (§13.2.2.4).
func (d *Dialog) ack(seq uint32) transaction.Outbound { return d.build(sip.ACK, seq) }

func (d *Dialog) build(method sip.RequestMethod, seq uint32) transaction.Outbound {
	var recipient sip.Uri
	h := new(requestHeaders)
	// What does not parse is still written by the door: the Request-URI byte for byte, the rest as it can be.
	parseURI(d.Target, &recipient)
	parseURI(d.LocalURI, &h.from.Address)
	parseURI(d.RemoteURI, &h.to.Address)
	req := sip.NewRequest(method, recipient)
	for _, route := range d.Routes {
		var hop sip.RouteHeader
		if _, err := sip.ParseAddressValue(route, &hop.Address, nil); err == nil {
			req.AppendHeader(&hop)
		}
	}
	h.maxForwards = 70
	req.AppendHeader(&h.maxForwards)
	h.from.DisplayName, h.from.Params = displayable(d.LocalName), append(h.params[0:0:1], sip.HeaderKV{K: "tag", V: d.LocalTag})
	req.AppendHeader(&h.from)
	h.to.DisplayName = displayable(d.RemoteName)
	if d.RemoteTag != "" {
		h.to.Params = append(h.params[1:1:2], sip.HeaderKV{K: "tag", V: d.RemoteTag})
	}
	req.AppendHeader(&h.to)
	h.callID = sip.CallIDHeader(d.CallID)
	req.AppendHeader(&h.callID)
	h.cseq = sip.CSeqHeader{SeqNo: seq, MethodName: method}
	req.AppendHeader(&h.cseq)
	req.AppendHeader(&h.contentLength) // sipgo's SetBody looks for one under each name else
	return transaction.Outbound{Request: req, RequestURI: d.Target}
}

// requestHeaders are those that every request of a dialog has, in one piece: they come and go together.
type requestHeaders struct {
	from          sip.FromHeader
	to            sip.ToHeader
	callID        sip.CallIDHeader
	cseq          sip.CSeqHeader
	maxForwards   sip.MaxForwardsHeader
	contentLength sip.ContentLengthHeader
	params        [2]sip.HeaderKV
}

// bare is a URI without headers: From, To and a Request-URI have none (RFC 3261 §19.1.1), and what follows a Contact's question mark
// would be an INVITE's.
func bare(uri sip.Uri) sip.Uri {
	uri.Headers = nil
	return uri
}

func bareText(uri sip.Uri) string {
	uri.Headers = nil
	return transaction.URI(&uri)
}

// withoutHeaders is bare of a URI's text.
func withoutHeaders(text string) string {
	host := strings.IndexByte(text, '@') + 1
	if at := strings.IndexByte(text[host:], '?'); at >= 0 {
		return text[:host+at]
	}
	return text
}

// displayable is a display name as it may stand between quotes; what would end them, or a line, makes it none.
func displayable(name string) string {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '\\' && i+1 < len(name) && name[i+1] >= ' ':
			i++
		case c == '\\' || c == '"' || c < ' ' && c != '\t' || c == 0x7f:
			return ""
		}
	}
	return name
}

// parseURI reads a URI as the doors do, which takes users that sipgo's reader does not; that one's for the rest.
func parseURI(text string, uri *sip.Uri) {
	if !transaction.ParseURI(text, uri) {
		_ = sip.ParseUri(text, uri)
	}
}

// errForeign is a request that names the dialog but not its peer.
type errForeign struct{ tag string }

func (e errForeign) Error() string { return fmt.Sprintf("From tag %q is not this dialog's", e.tag) }

// check takes an incoming request's CSeq (§12.2.2): inOrder is false for one that is older than what was served.
func (d *Dialog) check(req *sip.Request) (inOrder bool, err error) {
	if tag, _ := req.From().Params.Get("tag"); tag != d.RemoteTag {
		return false, errForeign{tag}
	}
	seq := req.CSeq().SeqNo
	if req.Method == sip.ACK {
		return true, nil
	}
	if seq <= d.RemoteSeq && d.RemoteSeq != 0 {
		return false, nil
	}
	d.RemoteSeq = seq
	return true, nil
}
