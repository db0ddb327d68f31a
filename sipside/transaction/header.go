package transaction

import (
	"iter"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// longName expands compact header names (RFC 3261 §7.3.3 and the registry of header fields).
func longName(name string) string {
	if len(name) != 1 {
		return name
	}
	switch name[0] | 0x20 {
	case 'a':
		return "Accept-Contact"
	case 'b':
		return "Referred-By"
	case 'c':
		return "Content-Type"
	case 'd':
		return "Request-Disposition"
	case 'e':
		return "Content-Encoding"
	case 'f':
		return "From"
	case 'i':
		return "Call-ID"
	case 'j':
		return "Reject-Contact"
	case 'k':
		return "Supported"
	case 'l':
		return "Content-Length"
	case 'm':
		return "Contact"
	case 'o':
		return "Event"
	case 'r':
		return "Refer-To"
	case 's':
		return "Subject"
	case 't':
		return "To"
	case 'u':
		return "Allow-Events"
	case 'v':
		return "Via"
	case 'x':
		return "Session-Expires"
	case 'y':
		return "Identity"
	}
	return name
}

// Named gives a message's headers of a name, whatever its case, one after another. Compact names are not meant: Parse expands them.
// It makes nothing; sipgo's GetHeader and GetHeaders make strings of all names that they pass by.
func Named(msg interface{ Headers() []sip.Header }, name string) iter.Seq[sip.Header] {
	return func(yield func(sip.Header) bool) {
		for _, h := range msg.Headers() {
			if strings.EqualFold(h.Name(), name) && !yield(h) {
				return
			}
		}
	}
}

// First is the first of them, nil where there is none.
func First(msg interface{ Headers() []sip.Header }, name string) sip.Header {
	for h := range Named(msg, name) {
		return h
	}
	return nil
}

// field is a header that is known here; all others are kept as they are.
type field uint8

const (
	other field = iota
	via
	from
	to
	callID
	cseq
	contact
	maxForwards
	contentLength
	contentType
	route
	recordRoute
	referTo
	referredBy
	timestamp
)

// fieldOf tells which header a name means, whatever its case.
func fieldOf(name string) field {
	var lower [len("content-length")]byte
	if len(name) > len(lower) {
		return other
	}
	for i := range len(name) {
		lower[i] = name[i] | 0x20 // a token's hyphen has the bit
	}
	switch string(lower[:len(name)]) {
	case "via":
		return via
	case "from":
		return from
	case "to":
		return to
	case "call-id":
		return callID
	case "cseq":
		return cseq
	case "contact":
		return contact
	case "max-forwards":
		return maxForwards
	case "content-length":
		return contentLength
	case "content-type":
		return contentType
	case "route":
		return route
	case "record-route":
		return recordRoute
	case "refer-to":
		return referTo
	case "referred-by":
		return referredBy
	case "timestamp":
		return timestamp
	}
	return other
}

// single says whether a message carries the header once: two of them mean two things to two elements.
func (f field) single() bool {
	switch f {
	case from, to, callID, cseq, maxForwards, contentLength, contentType:
		return true
	}
	return false
}

// listed says whether its values are parted at commas, each of them a header.
func (f field) listed() bool {
	switch f {
	case via, contact, route, recordRoute:
		return true
	}
	return false
}

// read takes one header line's values into the message, by sipgo's types. It is false where something of it is malformed; taken
// is then what could be read, and a header that a response must echo as it stands.
func (p *headParser) read(f field, name, value string) bool {
	switch f {
	case via:
		return p.vias(value)
	case contact, route, recordRoute:
		return p.addresses(f, value)
	case from, to, referTo, referredBy:
		return p.address(f, name, value)
	case callID:
		p.parts.callID = sip.CallIDHeader(value)
		p.add(&p.parts.callID)
		return value != "" && !strings.ContainsAny(value, " \t")
	case cseq:
		return p.cseq(value)
	case maxForwards:
		n, err := strconv.ParseUint(value, 10, 8) // 0 to 255 (RFC 3261 §20.22)
		p.parts.maxForwards = sip.MaxForwardsHeader(n)
		p.add(&p.parts.maxForwards)
		return err == nil
	case contentLength:
		n, err := strconv.ParseUint(value, 10, 32)
		p.parts.contentLength = sip.ContentLengthHeader(n)
		p.add(&p.parts.contentLength)
		return err == nil
	case contentType:
		p.parts.contentType = sip.ContentTypeHeader(value)
		p.add(&p.parts.contentType)
		media, _, _ := strings.Cut(value, ";")
		kind, sub, _ := strings.Cut(media, "/")
		return isToken(trim(kind)) && isToken(trim(sub))
	}
	p.add(sip.NewHeader(name, value))
	return true
}

func (p *headParser) vias(value string) bool {
	sound := true
	for item := range split(value, ',') {
		v := &p.parts.via
		if p.again(via) {
			v = new(sip.ViaHeader)
		}
		whole, ok := parseVia(v, item, &p.parts.room)
		if whole {
			p.add(v)
		}
		sound = sound && ok
	}
	return sound
}

// cseq reads number and method; the number is below 2^31 (RFC 3261 §8.1.1.5).
func (p *headParser) cseq(value string) bool {
	number, method := value, ""
	if i := strings.IndexAny(value, " \t"); i >= 0 {
		number, method = value[:i], trim(value[i:])
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || !isToken(method) {
		p.add(sip.NewHeader("CSeq", value))
		return false
	}
	p.parts.cseq = sip.CSeqHeader{SeqNo: uint32(n), MethodName: sip.RequestMethod(method)}
	p.add(&p.parts.cseq)
	return true
}

func (p *headParser) addresses(f field, value string) bool {
	if f == contact && value == "*" {
		p.add(&sip.ContactHeader{Address: sip.Uri{Wildcard: true, Host: "*"}})
		return true
	}
	for item := range split(value, ',') {
		a := p.addressOf(f)
		if !a.parse(item, &p.parts.room) {
			return false
		}
		p.add(a.header(f))
	}
	return true
}

func (p *headParser) address(f field, name, value string) bool {
	a := p.addressOf(f)
	ok := a.parse(value, &p.parts.room)
	switch {
	case ok:
		p.add(a.header(f))
	case f == from || f == to:
		p.add(sip.NewHeader(name, value))
	}
	return ok
}

// addressOf is where the address of a header is read to.
func (p *headParser) addressOf(f field) *address {
	switch {
	case f == from:
		return &p.parts.from
	case f == to:
		return &p.parts.to
	case f == contact && !p.again(contact):
		return &p.parts.contact
	}
	return new(address)
}
