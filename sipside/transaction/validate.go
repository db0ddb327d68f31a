package transaction

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Fault is what Validate found wrong with a request: the status that answers it, why, and what the response has to say more.
type Fault struct {
	Status  int
	Why     string
	Headers []sip.Header
}

// Served is what the user agent server behind a door can do.
type Served struct {
	Extensions string // option tags, as Supported lists them
}

// rule is one row of the table: a fault, or nil.
type rule func(req *sip.Request, s Served) *Fault

// Validate is what RFC 3261 §8.2 has a user agent server check before anything else looks at a request that Parse took, in
// the order of that section; nil where nothing is wrong. Pure. Which of the registered methods are served (405) is known
// where they are served.
func Validate(req *sip.Request, s Served) *Fault {
	if req.Method == sip.ACK || req.Method == sip.CANCEL { // §8.2.2.3: they are never refused for what they want
		return nil
	}
	for _, check := range [...]rule{knownMethod, sipScheme, sipUser, hopsLeft, knownExtension, knownEncoding, namedBody, wantedAnswer, namedTarget} {
		if fault := check(req, s); fault != nil {
			return fault
		}
	}
	return nil
}

// knownMethod is §8.2.1 and §21.5.2: a method that nobody has registered is not implemented.
func knownMethod(req *sip.Request, _ Served) *Fault {
	switch req.Method {
	case "INVITE", "BYE", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE":
		return nil
	}
	return &Fault{Status: 501, Why: "method " + string(req.Method) + " is unknown"}
}

// sipScheme is §8.2.2.1.
func sipScheme(req *sip.Request, _ Served) *Fault {
	switch req.Recipient.Scheme {
	case "sip", "sips", "tel":
		return nil
	}
	return &Fault{Status: 416, Why: "URI scheme " + req.Recipient.Scheme}
}

// sipUser is §10.2: the address of record of a REGISTER is a SIP URI.
func sipUser(req *sip.Request, _ Served) *Fault {
	if req.Method != sip.REGISTER {
		return nil
	}
	if scheme := req.To().Address.Scheme; scheme != "sip" && scheme != "sips" {
		return &Fault{Status: 400, Why: "the address of record is no sip: URI"}
	}
	return nil
}

// hopsLeft is §16.3 step 3 for what would go on to somebody else (RFC 7332 §3.3); in a dialog the hop ends here.
func hopsLeft(req *sip.Request, _ Served) *Fault {
	if hops := req.MaxForwards(); hops == nil || *hops > 0 || req.Method == sip.OPTIONS || toTag(req.To()) != "" {
		return nil
	}
	return &Fault{Status: 483, Why: "Max-Forwards is used up"}
}

// knownExtension is §8.2.2.3. A REGISTER is the registrar's matter, and what is passed on its receiver's.
func knownExtension(req *sip.Request, s Served) *Fault {
	switch req.Method {
	case sip.INVITE, sip.OPTIONS, sip.UPDATE, sip.PRACK, sip.INFO:
	default:
		return nil
	}
	var unknown []string
	for h := range Named(req, "Require") {
		have := elements(s.Extensions)
		for _, option := range elements(h.Value()) {
			if !slices.Contains(have, option) {
				unknown = append(unknown, option)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	list := strings.Join(unknown, ", ")
	return &Fault{Status: 420, Why: "not supported: " + list, Headers: []sip.Header{sip.NewHeader("Unsupported", list)}}
}

// knownEncoding is §8.2.3: nothing is decompressed here.
func knownEncoding(req *sip.Request, _ Served) *Fault {
	for h := range Named(req, "Content-Encoding") {
		for _, coding := range elements(h.Value()) {
			if coding != "identity" {
				return &Fault{Status: 415, Why: "body is encoded by " + coding, Headers: []sip.Header{sip.NewHeader("Accept-Encoding", "identity")}}
			}
		}
	}
	return nil
}

// namedBody is §20.15 and §8.2.3: a body says what it is, and that of an INVITE is a session description, alone or among
// other parts.
func namedBody(req *sip.Request, _ Served) *Fault {
	if len(req.Body()) == 0 {
		return nil
	}
	typ := req.ContentType()
	if typ == nil {
		return &Fault{Status: 400, Why: "body without Content-Type"}
	}
	kind := mediaType(typ.Value())
	if req.Method != sip.INVITE || kind == sdpType || strings.HasPrefix(kind, "multipart/") {
		return nil
	}
	return &Fault{Status: 415, Why: "the body is no application/sdp but " + kind, Headers: []sip.Header{sip.NewHeader("Accept", sdpType)}}
}

// wantedAnswer is §21.4.7: who takes no session description in answer to an INVITE gets none.
func wantedAnswer(req *sip.Request, _ Served) *Fault {
	if req.Method != sip.INVITE {
		return nil
	}
	asked := false
	for h := range Named(req, "Accept") {
		asked = true
		for item := range split(h.Value(), ',') {
			switch mediaType(item) {
			case sdpType, "application/*", "*/*":
				return nil
			}
		}
	}
	if !asked {
		return nil
	}
	return &Fault{Status: 406, Why: "an answer is application/sdp", Headers: []sip.Header{sip.NewHeader("Accept", sdpType)}}
}

// namedTarget is §8.1.1.3 and §8.1.1.8 for what makes a dialog: a From-tag and a Contact. Peers of RFC 2543, known by their
// branch, need neither (RFC 4475 §3.4.1).
func namedTarget(req *sip.Request, _ Served) *Fault {
	switch id, modern := strings.CutPrefix(req.Via().Params.GetOr("branch", ""), sip.RFC3261BranchMagicCookie); {
	case !modern || id == "":
	case tag(req.From()) == "":
		return &Fault{Status: 400, Why: "From has no tag"}
	case req.Method == sip.INVITE && req.Contact() == nil:
		return &Fault{Status: 400, Why: "Contact is missing"}
	}
	return nil
}

const sdpType = "application/sdp"

// mediaType is the type without parameters, in lower case.
func mediaType(value string) string {
	kind, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(kind, " ", ""), "\t", ""))
}

// elements are the tokens of a list, in lower case.
func elements(value string) []string {
	var list []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.ToLower(trim(item)); item != "" {
			list = append(list, item)
		}
	}
	return list
}
