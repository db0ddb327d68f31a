package gateway

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"tandem/bridge"
	"tandem/bridge/route"
	"tandem/gateway/guard"
)

// Fraud says what calls may cost.
type Fraud struct {
	Classes  map[string]Class    `yaml:"classes"`  // destinations, by a name that routes and spending use
	Spending map[string]Spending `yaml:"spending"` // what may be spent on some of them
	Hold     time.Duration       `yaml:"hold"`     // after which a stop ends by itself; default: not before it is released
	Status   int                 `yaml:"status"`   // of refused calls: 403 (default) or 503
	Webhook  string              `yaml:"webhook"`  // gets each alarm by POST
}

// Class is destinations by how their numbers begin; a number is of the class with its longest prefix.
type Class struct {
	Prefix []string `yaml:"prefix"`
	Table  string   `yaml:"table"` // file of prefixes; see route.ParsePrefixes
}

// Spending bounds what is spent. What it is spent on are the destinations of any of its classes and prefixes; with neither all.
type Spending struct {
	Class  []string      `yaml:"class"`
	Prefix []string      `yaml:"prefix"`
	Via    []string      `yaml:"via"`    // the pools and trunks that count; default: all
	Per    time.Duration `yaml:"per"`    // default 24 h
	User   Budget        `yaml:"user"`   // of each user
	Total  Budget        `yaml:"total"`  // of all together
	Action string        `yaml:"action"` // "stop" (default), "end", "alarm"
}

// Budget is what may be spent.
type Budget struct {
	Minutes int `yaml:"minutes"` // talked
	Calls   int `yaml:"calls"`   // answered
}

func (b Budget) guard() guard.Budget {
	return guard.Budget{Talked: time.Duration(b.Minutes) * time.Minute, Calls: b.Calls}
}

// classes are those of the configuration, in the order of their names; nil: there are none.
func (c Config) classes(with tables) *route.Classes {
	var list []route.Class
	for _, name := range slices.Sorted(maps.Keys(c.Fraud.Classes)) {
		class := c.Fraud.Classes[name]
		list = append(list, route.Class{Name: name, Prefix: class.Prefix, Table: with.prefixes(class.Table)})
	}
	return route.NewClasses(list)
}

// tolls is what is spent, and on what, as the guard wants it.
func (c Config) tolls(with tables) guard.TollConfig {
	out := guard.TollConfig{Hold: c.Fraud.Hold, Status: cmp.Or(c.Fraud.Status, 403)}
	classes := c.classes(with)
	for _, name := range slices.Sorted(maps.Keys(c.Fraud.Spending)) {
		s := c.Fraud.Spending[name]
		out.Spending = append(out.Spending, guard.Spending{
			Name: name, Match: s.match(classes), Via: s.Via, Per: cmp.Or(s.Per, 24*time.Hour),
			User: s.User.guard(), Total: s.Total.guard(), Action: guard.Action(cmp.Or(s.Action, string(guard.StopNew))),
		})
	}
	return out
}

// match says which destinations are meant; nil: all.
func (s Spending) match(classes *route.Classes) func(number string) bool {
	if len(s.Class) == 0 && len(s.Prefix) == 0 {
		return nil
	}
	return func(number string) bool {
		return slices.ContainsFunc(s.Prefix, func(p string) bool { return strings.HasPrefix(number, p) }) ||
			len(s.Class) > 0 && slices.Contains(s.Class, classes.Of(number))
	}
}

// watchTolls has a configuration's spending watched.
func (g *Gateway) watchTolls(cfg Config, with tables) {
	g.webhook.to.Store(&cfg.Fraud.Webhook)
	g.tolls.Reload(cfg.tolls(with))
}

// tollGuard is the guard as the bridge asks it for calls that cost.
type tollGuard struct{ of *guard.Tolls }

var _ bridge.Tolls = tollGuard{}

// Place implements bridge.Tolls.
func (g tollGuard) Place(t bridge.Toll, end func(why string)) (bridge.Meter, *bridge.TollRefusal) {
	m, no := g.of.Place(guard.Toll(t), end)
	if no != nil {
		return nil, &bridge.TollRefusal{Status: no.Status, Why: no.Why}
	}
	return m, nil
}

func (v *validator) fraud(c Config) {
	f := c.Fraud
	read := map[string]*route.Prefixes{}
	for _, name := range slices.Sorted(maps.Keys(f.Classes)) {
		path := "fraud.classes." + name
		if !backendName.MatchString(name) {
			v.fail(path, "the name %q has more than letters, digits, - and _", name)
		}
		if len(f.Classes[name].Prefix) == 0 && f.Classes[name].Table == "" {
			v.fail(path, "has neither prefix nor table")
		}
		v.table(path+".table", f.Classes[name].Table, c, read)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Spending)) {
		v.spending("fraud.spending."+name, name, f.Spending[name], c)
	}
	for i, r := range c.Routes {
		path := indexed("routes", i) + ".classes"
		v.knownClasses(path, r.Classes, f)
		if len(r.Classes) > 0 && r.Reject != 0 {
			v.fail(path, "the rule rejects everything")
		}
	}
	if f.Hold != 0 {
		v.within("fraud.hold", f.Hold, time.Second, 366*24*time.Hour)
	}
	if f.Status != 0 && f.Status != 403 && f.Status != 503 {
		v.fail("fraud.status", "%d is not one of 403, 503", f.Status)
	}
	if u, err := url.Parse(f.Webhook); f.Webhook != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		v.fail("fraud.webhook", "%q is not an address of the web, such as https://alarms.example.com/calls", f.Webhook)
	}
}

func (v *validator) spending(path, name string, s Spending, c Config) {
	if !backendName.MatchString(name) {
		v.fail(path, "the name %q has more than letters, digits, - and _", name)
	}
	v.knownClasses(path+".class", s.Class, c.Fraud)
	for i, via := range s.Via {
		v.oneOf(indexed(path+".via", i), via, c.backendNames()...)
	}
	if s.Per != 0 {
		v.within(path+".per", s.Per, time.Minute, 366*24*time.Hour)
	}
	v.oneOf(path+".action", s.Action, string(guard.StopNew), string(guard.EndAll), string(guard.Notify))
	if s.User == (Budget{}) && s.Total == (Budget{}) {
		v.fail(path, "says neither of user nor of total how many minutes or calls there may be")
	}
	for key, b := range map[string]Budget{"user": s.User, "total": s.Total} {
		if b.Minutes < 0 || b.Calls < 0 {
			v.fail(path+"."+key, "minutes and calls are numbers above 0")
		}
	}
}

// knownClasses checks names of classes.
func (v *validator) knownClasses(path string, names []string, f Fraud) {
	for i, name := range names {
		if _, known := f.Classes[name]; !known {
			v.fail(indexed(path, i), "%q is no class; fraud.classes names them", name)
		}
	}
}
