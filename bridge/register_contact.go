package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Errors of a REGISTER that cannot be understood.
var (
	errNotSIP       = errors.New("the address of record is no sip: URI")
	errWildcard     = errors.New("Contact * goes alone and with Expires: 0") // RFC 3261 §10.3 step 6
	errManyContacts = fmt.Errorf("more than %d Contacts", maxContacts)
)

const (
	maxContacts    = 8
	defaultExpires = 3600 // where a REGISTER says none, or none that can be read (RFC 3261 §10.3 step 7)
	maxSeconds     = 1<<31 - 1
)

func statusOfRegister(err error) int {
	if errors.Is(err, errNotSIP) {
		return 416
	}
	return 400
}

// registration is what a REGISTER asks for.
type registration struct {
	aor      string
	contacts []contact // none: a query, or all
	all      bool      // Contact: *, the removal of all bindings
	outbound bool      // the client speaks RFC 5626
	leg      string    // names our leg towards the registrar: the first Contact's token
	callID   string    // of the browser
	seq      uint32
}

// contact is one Contact of a REGISTER.
type contact struct {
	name     string // display name with quotes, verbatim
	uri      string
	params   string // header parameters but expires, verbatim
	q        string
	instance string
	regID    string
	want     int  // seconds
	bounded  bool // want is what is left of the user's proof, not the client's wish
	token    string
}

// registrationOf reads a REGISTER. A phone's Contact is told from another's by its whole URI, a browser's, which is random, by
// its user part.
func (r *registrar) registrationOf(req *sip.Request, phone bool) (registration, error) {
	to := req.To()
	if to.Address.Scheme != "sip" && to.Address.Scheme != "sips" || to.Address.Host == "" {
		return registration{}, errNotSIP
	}
	wish := registration{aor: aorOf(to.Address), callID: req.CallID().Value(), seq: req.CSeq().SeqNo}
	expires := defaultExpires
	if h := req.GetHeader("Expires"); h != nil {
		expires = secondsOf(h.Value(), defaultExpires)
	}
	for _, h := range req.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok {
			continue
		}
		if c.Address.Wildcard {
			wish.all = true
			continue
		}
		if len(wish.contacts) == maxContacts {
			return wish, errManyContacts
		}
		read := contactOf(c, expires)
		key := c.Address.User
		if phone {
			key = read.uri
		}
		read.token = r.mint.token(wish.aor, read.instance, read.regID, key)
		wish.contacts = append(wish.contacts, read)
	}
	if wish.all && (expires != 0 || len(wish.contacts) > 0) {
		return wish, errWildcard
	}
	if len(wish.contacts) > 0 {
		first := wish.contacts[0]
		wish.leg = first.token
		wish.outbound = first.instance != "" && first.regID != "" && listHas(listed(req, "Supported"), "outbound")
	} else {
		wish.leg = r.mint.token(wish.aor, "", "", "")
	}
	return wish, nil
}

// shorten lets no Contact outlive what its user proved; zero is without end.
func (w *registration) shorten(until, now time.Time) {
	if until.IsZero() {
		return
	}
	left := max(int(until.Sub(now)/time.Second), 1)
	for i := range w.contacts {
		if w.contacts[i].want > left {
			w.contacts[i].want, w.contacts[i].bounded = left, true
		}
	}
}

func contactOf(h *sip.ContactHeader, expires int) contact {
	c := contact{uri: h.Address.String(), want: expires}
	if h.DisplayName != "" {
		c.name = `"` + h.DisplayName + `" `
	}
	var kept []string
	for _, p := range h.Params {
		name := strings.TrimSpace(p.K)
		switch sip.HeaderToLower(name) {
		case "expires":
			c.want = secondsOf(p.V, defaultExpires)
			continue
		case "+sip.instance":
			c.instance = instanceOf(p.V)
		case "reg-id":
			c.regID = strings.TrimSpace(p.V)
		case "q":
			c.q = strings.TrimSpace(p.V)
		}
		if p.V != "" {
			name += "=" + p.V
		}
		kept = append(kept, name)
	}
	c.params = strings.Join(kept, ";")
	return c
}

// instanceOf is the URN of +sip.instance="<urn:uuid:…>" (RFC 5626 §4.1); letter case in it does not matter.
func instanceOf(value string) string {
	return strings.ToLower(strings.Trim(strings.TrimSpace(value), `"<>`))
}

func secondsOf(text string, otherwise int) int {
	n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(text), `"`), 10, 64)
	if err != nil {
		return otherwise
	}
	return int(min(n, maxSeconds))
}

// granted is the Contact for the browser: its own, verbatim, with the seconds that it was given.
func (c contact) granted(seconds int) sip.Header {
	text := c.name + "<" + c.uri + ">"
	if c.params != "" {
		text += ";" + c.params
	}
	return sip.NewHeader("Contact", text+";expires="+strconv.Itoa(seconds))
}

// towards is the Contact for a backend: ours with the token. No instance and no reg-id: the token stands for them, and the
// backend would look for a Path.
func (c contact) towards(p peer, seconds int) sip.Header {
	h := &sip.ContactHeader{Address: p.Contact(c.token)}
	if c.q != "" {
		h.Params.Add("q", c.q)
	}
	h.Params.Add("expires", strconv.Itoa(seconds))
	return h
}
