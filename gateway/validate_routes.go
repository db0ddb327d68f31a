package gateway

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"tandem/bridge/route"
)

// routes checks each rule, and the tables that it names.
func (v *validator) routes(c Config) {
	if len(c.Routes) == 0 {
		v.fail("routes", "are missing: without a route nothing is let through")
	}
	known := append([]string{route.Browsers}, c.backendNames()...)
	read := map[string]*route.Prefixes{} // tables
	for i, r := range c.Routes {
		path := indexed("routes", i)
		v.oneOf(path+".from", r.From, known...)
		v.targets(path, r, known)
		tables := []*route.Prefixes{v.table(path+".table", r.Table, c, read), v.table(path+".from-table", r.FromTable, c, read)}
		v.action(path, r, tables)
		v.conditions(path, r, c)
		v.rewriting(path, r, c, tables)
		v.register(path+".register", r)
		v.recording(path, r, c.Records.Recordings)
	}
}

func (v *validator) targets(path string, r Route, known []string) {
	for i, t := range r.To {
		at := path + ".to"
		if len(r.To) > 1 {
			at = indexed(at, i)
		}
		v.oneOf(at, t.Name, known...)
		switch {
		case t.Name == "":
			v.fail(at+".name", "is missing: browsers, a pool or a trunk")
		case slices.ContainsFunc(r.To[:i], func(before Target) bool { return before.Name == t.Name }):
			v.fail(at, "%s is listed twice", t.Name)
		}
		v.from1(at+".priority", t.Priority, 1000, "")
		v.from1(at+".weight", t.Weight, 1000, "")
	}
}

// table reads a table; nil where there is none, or it is wrong.
func (v *validator) table(path, file string, c Config, read map[string]*route.Prefixes) *route.Prefixes {
	if file == "" || read[file] != nil {
		return read[file]
	}
	table, err := route.ReadPrefixes(file, c.knows)
	var lines interface{ Unwrap() []error }
	switch {
	case errors.As(err, &lines):
		for _, fault := range lines.Unwrap() {
			v.fail(path, "%s", fault)
		}
	case err != nil:
		v.fail(path, "%s", err)
	default:
		read[file] = table
	}
	return table
}

// action checks that the rule does one thing.
func (v *validator) action(path string, r Route, tables []*route.Prefixes) {
	silent := true // there are calls of which no table says where to
	for _, t := range tables {
		if t != nil {
			_, of := t.Targets()
			silent = silent && of
		}
	}
	switch {
	case len(r.To) == 0 && r.Reject == 0 && r.Table == "" && r.FromTable == "":
		v.fail(path, "has neither to nor reject")
	case len(r.To) == 0 && r.Reject == 0 && silent:
		v.fail(path, "has neither to nor reject, and its table has prefixes that say no target either")
	case len(r.To) > 0 && r.Reject != 0:
		v.fail(path, "has both to and reject")
	case r.Reject != 0 && (r.Reject < 400 || r.Reject > 699):
		v.fail(path+".reject", "%d is not a SIP status from 400 to 699", r.Reject)
	case r.Reject != 0 && r.Fallback:
		v.fail(path+".fallback", "is for targets that cannot be reached, and the rule rejects")
	}
}

func (v *validator) conditions(path string, r Route, c Config) {
	if domain := strings.TrimPrefix(r.Domain, "*."); r.Domain != "" && !isHost(domain) {
		v.fail(path+".domain", "%q is not a domain", r.Domain)
	}
	v.prefixes(path+".prefix", r.Prefix)
	v.prefixes(path+".from-prefix", r.FromPrefix)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !headerName.MatchString(name) {
			v.fail(path+".header."+name, "%q is not the name of a header", name)
		}
	}
	switch {
	case len(r.Claim) > 0 && !fromBrowsers(r):
		v.fail(path+".claim", "only browsers have tokens, and the rule is for %s", r.From)
	case len(r.Claim) > 0 && (c.Identity == nil || c.Identity.Tokens == nil):
		v.fail(path+".claim", "needs identity.tokens: how tokens are verified")
	}
	for i, t := range r.Time {
		if len(t.Days) == 0 && len(t.Hours) == 0 {
			v.fail(indexed(path+".time", i), "has neither days nor hours")
		}
	}
}

func (v *validator) prefixes(path string, prefixes []string) {
	for i, p := range prefixes {
		if p == "" || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			v.fail(indexed(path, i), "%q is not a prefix, such as +49 or 900", p)
		}
	}
}

// rewriting checks what changes on the way. A browser's digest covers the Request-URI, so that who checks it must not get another one.
func (v *validator) rewriting(path string, r Route, c Config, tables []*route.Prefixes) {
	at, w := path+".rewrite", r.Rewrite
	var names []string
	for _, t := range r.To {
		names = append(names, t.Name)
	}
	for _, t := range tables {
		if t != nil {
			more, _ := t.Targets()
			names = append(names, more...)
		}
	}
	for _, name := range names {
		if _, pool := c.Pools[name]; pool && fromBrowsers(r) && w.requestURI() && r.Register != route.Vouch && r.Register != route.Local {
			v.fail(at, "a browser's password check at %s covers the Request-URI, which this changes; register: vouch lets the gateway check it", name)
			break
		}
	}
	if w.User != "" && (w.Strip != 0 || w.Prepend != "") {
		v.fail(at+".user", "stands beside strip or prepend; one of them makes the user")
	}
	if w.Strip < 0 || w.Strip > 64 {
		v.fail(at+".strip", "%d is not between 0 and 64", w.Strip)
	}
	for key, host := range map[string]string{"domain": w.Domain, "from-domain": w.FromDomain} {
		if host != "" && !isHost(host) {
			v.fail(at+"."+key, "%q is not a domain", host)
		}
	}
	v.template(at+".prepend", w.Prepend, nil)
	v.template(at+".user", w.User, route.CheckTemplate(w.User, r.User))
	v.template(at+".from-user", w.FromUser, route.CheckTemplate(w.FromUser, r.FromUser))
	v.headers(path+".headers", r)
}

// template reports what is wrong with one; users have no blanks.
func (v *validator) template(path, text string, err error) {
	switch {
	case err != nil:
		v.fail(path, "%s", err)
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		v.fail(path, "%q cannot be a user: printable ASCII without blanks can", text)
	}
}

func (v *validator) headers(path string, r Route) {
	for key, headers := range map[string]map[string]string{"set": r.Headers.Set, "add": r.Headers.Add} {
		for name, value := range headers {
			at := path + "." + key + "." + name
			if err := route.Writable(name); err != nil {
				v.fail(at, "%s", err)
			}
			if err := route.CheckTemplate(value, r.User); err != nil {
				v.fail(at, "%s", err)
			}
		}
	}
	for i, name := range r.Headers.Remove {
		if err := route.Writable(name); err != nil {
			v.fail(indexed(path+".remove", i), "%s", err)
		}
	}
}

func (v *validator) register(path string, r Route) {
	towards := r.Table != "" || len(r.To) > 0 && r.To[0].Name != route.Browsers
	switch r.Register {
	case "":
	case route.Forward, route.Vouch:
		if !towards || !fromBrowsers(r) {
			v.fail(path, "%s needs a route from browsers to a pool or trunk", r.Register)
		}
	case route.Local:
		if r.Reject != 0 {
			v.fail(path, "what is rejected registers nowhere")
		}
	default:
		v.fail(path, "%q is not forward, vouch or local", r.Register)
	}
}

func (v *validator) recording(path string, r Route, folder string) {
	v.oneOf(path+".record", r.Record, "wav", "pcap", "both")
	switch {
	case r.Record != "" && folder == "":
		v.fail(path+".record", "needs records.recordings: the folder to write to")
	case r.Record != "" && r.Reject != 0:
		v.fail(path+".record", "a call that is rejected has nothing to record")
	case r.Record == "" && r.Consent:
		v.fail(path+".consent", "is said of a recording, and there is no record")
	}
}
