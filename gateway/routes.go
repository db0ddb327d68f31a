package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"tandem/bridge/route"
)

// Route is one rule; the first that matches decides. Empty conditions match everything.
type Route struct {
	From       string                    `yaml:"from"`   // "browsers", a pool or a trunk
	Domain     string                    `yaml:"domain"` // of the Request-URI; *.example.com: any name below
	User       *regexp.Regexp            `yaml:"user"`   // of the Request-URI
	Prefix     []string                  `yaml:"prefix"` // of that user, one of them
	Table      string                    `yaml:"table"`  // file of prefixes of that user; see route.ParsePrefixes
	FromUser   *regexp.Regexp            `yaml:"from-user"`
	FromPrefix []string                  `yaml:"from-prefix"`
	FromTable  string                    `yaml:"from-table"`
	Header     map[string]*regexp.Regexp `yaml:"header"` // by name; one that is missing is the empty text
	Claim      map[string]*regexp.Regexp `yaml:"claim"`  // of the sender's token, by path
	Time       []Hours                   `yaml:"time"`   // one of them

	To       []Target `yaml:"to"`
	Reject   int      `yaml:"reject"`   // SIP status 400 to 699
	Fallback bool     `yaml:"fallback"` // where no target can be reached, the next rule that matches has its turn
	Classes  []string `yaml:"classes"`  // the destinations that are allowed, of fraud.classes; default: any
	Register string   `yaml:"register"` // "forward" (default), "vouch", "local"
	Tenant   string   `yaml:"tenant"`
	Rewrite  Rewrite  `yaml:"rewrite"`
	Headers  Headers  `yaml:"headers"`
	Record   string   `yaml:"record"`  // "wav", "pcap", "both"; default: calls are not recorded
	Consent  bool     `yaml:"consent"` // to the recording; stands in the call record
}

// Target is where a route leads to; a plain name stands for one without priority and weight.
type Target struct {
	Name     string `yaml:"name"`     // "browsers", a pool or a trunk
	Priority int    `yaml:"priority"` // the lowest is tried first; default: the place in the list
	Weight   int    `yaml:"weight"`   // share among those of the same priority; default 1
}

// UnmarshalText reads the short form: a plain name.
func (t *Target) UnmarshalText(text []byte) error {
	t.Name = string(text)
	return nil
}

// Hours is a time of the week; what is not written is not asked for.
type Hours struct {
	Days  []Days     `yaml:"days"`
	Hours []DayHours `yaml:"hours"`
	Zone  Zone       `yaml:"zone"` // default: this machine's
}

// Days is "mon" or "mon-fri".
type Days struct{ route.Days }

// UnmarshalText reads the form above.
func (d *Days) UnmarshalText(text []byte) (err error) {
	d.Days, err = route.ParseDays(string(text))
	return err
}

// DayHours is "08:00-18:00"; "22:00-06:00" ends on the next day.
type DayHours struct{ route.Hours }

// UnmarshalText reads the form above.
func (h *DayHours) UnmarshalText(text []byte) (err error) {
	h.Hours, err = route.ParseHours(string(text))
	return err
}

// Zone is a time zone by its name in the IANA database, "Europe/Berlin".
type Zone struct{ *time.Location }

// UnmarshalText reads the form above.
func (z *Zone) UnmarshalText(text []byte) error {
	zone, err := time.LoadLocation(string(text))
	if err != nil || string(text) == "" {
		return fmt.Errorf("%q is not a time zone, such as Europe/Berlin or UTC", text)
	}
	z.Location = zone
	return nil
}

// Rewrite is what changes of the two users; templates as of route.Rewrite.
type Rewrite struct {
	Strip      int    `yaml:"strip"`   // characters off the front of the Request-URI's user
	Prepend    string `yaml:"prepend"` // then before it
	User       string `yaml:"user"`    // in the place of it
	Domain     string `yaml:"domain"`
	FromUser   string `yaml:"from-user"`
	FromDomain string `yaml:"from-domain"`
}

// requestURI says whether the Request-URI changes.
func (r Rewrite) requestURI() bool {
	return r.Strip != 0 || r.Prepend != "" || r.User != "" || r.Domain != ""
}

// Headers are changes of the headers that go on; values are templates.
type Headers struct {
	Set    map[string]string `yaml:"set"` // in the place of what is there
	Add    map[string]string `yaml:"add"` // beside it
	Remove []string          `yaml:"remove"`
}

func fromBrowsers(r Route) bool { return r.From == "" || r.From == route.Browsers }

// backendNames are the pools and trunks, sorted.
func (c Config) backendNames() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(c.Pools)), maps.Keys(c.Trunks))
	slices.Sort(names)
	return names
}

// knows says whether a name is a target.
func (c Config) knows(name string) bool {
	return name == route.Browsers || slices.Contains(c.backendNames(), name)
}

// routes are the rules, with the tables that readTables gave.
func (c Config) routes(with tables) []route.Rule {
	rules := make([]route.Rule, len(c.Routes))
	classes := c.classes(with)
	for i, r := range c.Routes {
		rules[i] = r.rule()
		rules[i].Allowed, rules[i].Classes = r.Classes, classes
		rules[i].Line = c.source.at[indexed("routes", i)].line
		rules[i].Table, rules[i].FromTable = with.prefixes(r.Table), with.prefixes(r.FromTable)
	}
	return rules
}

// rule is the route without what stands in files.
func (r Route) rule() route.Rule {
	return route.Rule{
		From: r.From, Domain: strings.ToLower(r.Domain),
		User: r.User, Prefix: r.Prefix, FromUser: r.FromUser, FromPrefix: r.FromPrefix,
		Headers: patterns(r.Header), Claims: patterns(r.Claim), Times: r.times(),
		Targets: r.targets(), Reject: r.Reject, Fallback: r.Fallback, Register: r.Register, Tenant: r.Tenant,
		Rewrite: r.rewrite(),
		Record:  route.Recording{Format: r.Record, Consent: r.Consent},
	}
}

func (r Route) rewrite() route.Rewrite {
	return route.Rewrite{
		Strip: r.Rewrite.Strip, Prepend: r.Rewrite.Prepend, User: r.Rewrite.User, Domain: r.Rewrite.Domain,
		FromUser: r.Rewrite.FromUser, FromDomain: r.Rewrite.FromDomain,
		Set: headers(r.Headers.Set), Add: headers(r.Headers.Add), Remove: r.Headers.Remove,
	}
}

func (r Route) targets() (list []route.Target) {
	for i, t := range r.To {
		list = append(list, route.Target{Name: t.Name, Priority: cmp.Or(t.Priority, i+1), Weight: cmp.Or(t.Weight, 1)})
	}
	return list
}

func (r Route) times() (list []route.Window) {
	for _, t := range r.Time {
		w := route.Window{Zone: t.Zone.Location}
		if w.Zone == nil {
			w.Zone = time.Local
		}
		for _, d := range t.Days {
			w.Days |= d.Days
		}
		for _, h := range t.Hours {
			w.Hours = append(w.Hours, h.Hours)
		}
		list = append(list, w)
	}
	return list
}

func patterns(byName map[string]*regexp.Regexp) (list []route.Pattern) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, route.Pattern{Name: name, Value: byName[name]})
	}
	return list
}

func headers(byName map[string]string) (list []route.Header) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, route.Header{Name: name, Value: byName[name]})
	}
	return list
}

// claims are the paths of the claims that routes and attestations ask for.
func (c Config) claims() []string {
	all := map[string]bool{}
	for _, r := range c.Routes {
		for path := range r.Claim {
			all[path] = true
		}
	}
	for _, t := range c.Trunks {
		if t.STIR == nil || t.STIR.Sign == nil {
			continue
		}
		for _, r := range t.STIR.Sign.Rules {
			for path := range r.Claim {
				all[path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}
