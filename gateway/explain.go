package gateway

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
)

// Question is a request of which Explain says where it would go.
type Question struct {
	Origin  string // "browsers", a pool or a trunk
	To      string // the Request-URI: a SIP or tel URI, "USER@DOMAIN", or a user alone; of a REGISTER: who registers
	From    string // the sender's, in the same forms; may be empty
	Method  string // default: INVITE
	Headers map[string][]string
	Claims  map[string][]string // of the sender's token, by path
	At      time.Time
}

// Explain writes what each rule says to a question, up to the one that decides, and what becomes of the request. It opens
// no socket: which members are alive it does not know.
func (c Config) Explain(q Question, out io.Writer) error {
	if !c.knows(q.Origin) {
		return fmt.Errorf("%q is no pool or trunk, nor %s", q.Origin, route.Browsers)
	}
	to, err := addressOf(q.To)
	if err != nil {
		return err
	}
	var from sip.Uri
	if q.From != "" {
		if from, err = addressOf(q.From); err != nil {
			return err
		}
	}
	tables, err := c.readTables()
	if err != nil {
		return err
	}
	switch q.Method {
	case "":
		q.Method = string(sip.INVITE)
	case string(sip.REGISTER): // its Request-URI is the registrar's, without a user (RFC 3261 §10.2)
		if q.From == "" {
			from = to
		}
		to.User = ""
	}
	steps, decisions := route.New(c.routes(tables)).Explain(route.Query{
		From: q.Origin, Domain: to.Host, User: userOf(to), FromUser: userOf(from), Method: q.Method, At: q.At,
		Header: func(name string) []string { return caseless(q.Headers, name) },
		Claim:  func(path string) []string { return q.Claims[path] },
	})
	var b strings.Builder
	for _, s := range steps {
		mark := "no: "
		if s.Matches {
			mark = "yes:"
		}
		fmt.Fprintf(&b, "rule %d%s %s %s\n", s.Rule+1, atLine(s.Line), mark, s.Says)
	}
	for i, d := range decisions {
		if i > 0 {
			b.WriteString("Where none of these can be reached:\n")
		}
		b.WriteString(d.Why() + "\n" + changes(d.Change))
	}
	_, err = io.WriteString(out, b.String())
	return err
}

func atLine(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", line)
}

// changes words what is rewritten, a line for each.
func changes(c *route.Change) string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	say := func(what, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %s: %s\n", what, value)
		}
	}
	say("user", c.User)
	say("domain", c.Domain)
	say("From user", c.FromUser)
	say("From domain", c.FromDomain)
	for _, h := range c.Set {
		say("set "+h.Name, h.Value)
	}
	for _, h := range c.Add {
		say("add "+h.Name, h.Value)
	}
	say("remove", strings.Join(c.Remove, ", "))
	return b.String()
}

// addressOf reads a URI, or what people write in the place of one.
func addressOf(text string) (uri sip.Uri, err error) {
	scheme, _, _ := strings.Cut(strings.ToLower(text), ":")
	switch {
	case scheme == "sip" || scheme == "sips" || scheme == "tel":
		err = sip.ParseUri(text, &uri)
	case strings.Contains(text, "@"):
		err = sip.ParseUri("sip:"+text, &uri)
	default:
		uri.User = text
	}
	if err != nil || uri.User == "" && uri.Host == "" && uri.Raw() == "" {
		return uri, fmt.Errorf("%q is not an address, such as sip:+4930@example.com, alice@example.com or 600", text)
	}
	return uri, nil
}

func userOf(uri sip.Uri) string {
	if strings.EqualFold(uri.Scheme, "tel") {
		return uri.Raw()
	}
	return uri.User
}

// caseless gives the values of a header by its name in any case.
func caseless(headers map[string][]string, name string) (values []string) {
	for known, list := range headers {
		if strings.EqualFold(known, name) {
			values = append(values, list...)
		}
	}
	return values
}
