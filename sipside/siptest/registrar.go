package siptest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Expiry of a binding where the client names none, and the most that is granted.
const (
	defaultExpiry = 3600
	maxExpiry     = 7200
)

// binding is one registered Contact.
type binding struct {
	uri     sip.Uri
	id      string // instance and reg-id (RFC 5626), else the URI
	params  sip.HeaderParams
	expires time.Time
	via     netip.AddrPort // where the REGISTER came from
}

// Contacts are the Contacts that a user has registered.
func (p *PBX) Contacts(user string) []sip.Uri {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []sip.Uri
	for _, b := range p.current(user) {
		out = append(out, *b.uri.Clone())
	}
	return out
}

// current drops what has expired. Called with mu held.
func (p *PBX) current(user string) []binding {
	now := time.Now()
	live := slices.DeleteFunc(p.bindings[user], func(b binding) bool { return !b.expires.After(now) })
	if len(live) == 0 {
		delete(p.bindings, user)
		return nil
	}
	p.bindings[user] = live
	return live
}

// register is the registrar (RFC 3261 §10.3).
func (p *PBX) register(in *Incoming) {
	p.registers.Add(1)
	req := in.Request()
	user := req.To().Address.User
	if user == "" {
		p.respond(in, Reply{Status: sip.StatusNotFound})
		return
	}
	if !p.admitted(in, user) {
		return
	}
	contacts, star, err := registered(req)
	if err != nil {
		p.respond(in, Reply{Status: sip.StatusBadRequest, Reason: err.Error()})
		return
	}
	p.mu.Lock()
	if star {
		delete(p.bindings, user)
	}
	for _, b := range contacts {
		p.bindings[user] = slices.DeleteFunc(p.bindings[user], func(old binding) bool { return old.id == b.id })
		p.bindings[user] = append(p.bindings[user], b)
	}
	var headers []sip.Header
	for _, b := range p.current(user) {
		params := append(slices.Clone(b.params), sip.HeaderKV{K: "expires", V: fmt.Sprint(int(time.Until(b.expires).Round(time.Second).Seconds()))})
		headers = append(headers, &sip.ContactHeader{Address: *b.uri.Clone(), Params: params})
	}
	p.mu.Unlock()
	headers = append(headers, sip.NewHeader("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	p.respond(in, Reply{Status: sip.StatusOK, Headers: headers})
}

// registered reads the Contacts of a REGISTER; star is "Contact: *" with Expires 0.
func registered(req *sip.Request) (list []binding, star bool, err error) {
	expiry := defaultExpiry
	if h := req.GetHeader("Expires"); h != nil {
		if expiry, err = strconv.Atoi(h.Value()); err != nil || expiry < 0 {
			return nil, false, fmt.Errorf("Malformed Expires")
		}
	}
	source, _ := netip.ParseAddrPort(req.Source())
	for _, h := range req.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok {
			continue
		}
		if c.Address.Wildcard {
			if expiry != 0 || len(req.GetHeaders("Contact")) > 1 {
				return nil, false, fmt.Errorf("Malformed Contact")
			}
			return nil, true, nil
		}
		own := expiry
		if v, ok := c.Params.Get("expires"); ok {
			if own, err = strconv.Atoi(v); err != nil || own < 0 {
				return nil, false, fmt.Errorf("Malformed Contact Expires")
			}
		}
		params := slices.DeleteFunc(c.Params.Clone(), func(kv sip.HeaderKV) bool { return strings.EqualFold(kv.K, "expires") })
		list = append(list, binding{
			uri: *c.Address.Clone(), id: identity(c), params: params, via: source,
			expires: time.Now().Add(time.Duration(min(own, maxExpiry)) * time.Second),
		})
	}
	return list, false, nil
}

// identity tells a binding that replaces another: the same instance and reg-id, else the same URI.
func identity(c *sip.ContactHeader) string {
	if instance, ok := c.Params.Get("+sip.instance"); ok {
		return instance + " " + c.Params.GetOr("reg-id", "")
	}
	return c.Address.String()
}
