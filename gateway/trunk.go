package gateway

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"tandem/bridge"
	"tandem/bridge/identity"
	"tandem/bridge/numbers"
	"tandem/sipside"
)

// Trunk is one plain SIP trunk.
type Trunk struct {
	URI          []URI          `yaml:"uri"`       // its servers, in the order in which they are tried
	Addresses    []Network      `yaml:"addresses"` // whence its requests may come, besides the addresses of uri
	Username     string         `yaml:"username"`  // where it challenges the gateway, and of the registration
	Password     string         `yaml:"password"`
	Authenticate *Authenticate  `yaml:"authenticate"` // what its own requests have to prove, beside their address
	Register     bool           `yaml:"register"`     // keep a binding of the gateway there
	Expires      *time.Duration `yaml:"expires"`      // what is asked for; default 1h

	CA          string `yaml:"ca"`          // PEM file: who may sign its certificate; default: that of sip
	Certificate string `yaml:"certificate"` // PEM file: ours, where it asks for one; read anew for each connection
	Key         string `yaml:"key"`
	ServerName  string `yaml:"server-name"` // whom its certificate has to name (RFC 5922); default: the host of uri

	Probe *Probe `yaml:"probe"` // nil: none; its calls alone say how it is
	Drain bool   `yaml:"drain"` // it takes no new calls

	Domain  string   `yaml:"domain"` // of the Request-URI and To of what goes there, REGISTER too; default: as they come
	Numbers *Numbers `yaml:"numbers"`
	Caller  *Caller  `yaml:"caller"`
	STIR    *STIR    `yaml:"stir"`
	Peering
}

// Authenticate are a trunk's credentials at the gateway.
type Authenticate struct {
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	Realm    string `yaml:"realm"` // default: the host of the Request-URI
	// Algorithms are those that are offered, the strongest first, whatever their order here; default: all, SHA-512-256, SHA-256, MD5.
	Algorithms []string `yaml:"algorithms"`
}

// Numbers is how a trunk writes telephone numbers; the gateway itself has them with + and country code.
type Numbers struct {
	Format        string       `yaml:"format"`        // towards the trunk: "e164", "plain", "international", "national"; default: as they come
	Country       string       `yaml:"country"`       // the country code of national numbers
	National      string       `yaml:"national"`      // the prefix before those
	International string       `yaml:"international"` // the prefix before a country code
	In            []NumberRule `yaml:"in"`            // of the trunk's users, in the place of the above
	Out           []NumberRule `yaml:"out"`           // of ours on their way there
}

// NumberRule rewrites the user part of a URI.
type NumberRule struct {
	Match   *regexp.Regexp `yaml:"match"`
	Replace string         `yaml:"replace"` // $1, $2, … are the groups of match
}

// Caller is who a trunk is told to be calling.
type Caller struct {
	From     string           `yaml:"from"`     // user of From: "caller" (default), "account", a number
	Identity string           `yaml:"identity"` // user of header: "caller", "account", "none", a number; default: as trust says
	Header   string           `yaml:"header"`   // "P-Asserted-Identity" (default), "P-Preferred-Identity", "Remote-Party-ID"
	Domain   string           `yaml:"domain"`   // of both; default: the caller's
	Allowed  []*regexp.Regexp `yaml:"allowed"`  // callers that are shown; default: those with a number
	Instead  string           `yaml:"instead"`  // the number shown instead of others
	Heard    string           `yaml:"heard"`    // who calls from there: "from" (default), "asserted"
}

func (t Trunk) sipside(name string) sipside.TrunkConfig {
	cfg := sipside.TrunkConfig{Name: name, URI: t.URI[0].Uri, Account: sipside.Account{Username: t.Username, Domain: t.Domain, Register: t.Register}, Drain: t.Drain}
	if t.Probe != nil {
		cfg.Probe = t.Probe.sipside()
	}
	for _, uri := range t.URI[1:] {
		cfg.More = append(cfg.More, uri.Uri)
	}
	cfg.Account.Version = t.Password
	for _, n := range t.Addresses {
		cfg.Sources = append(cfg.Sources, n.Prefix)
	}
	if t.Expires != nil {
		cfg.Account.Expires = *t.Expires
	}
	if t.Password != "" {
		account := identity.NewAccount(t.Username, t.Password)
		cfg.Account.Answer, cfg.Account.Ahead = account.Answer, account.Ahead
	}
	return cfg
}

// tls is how the trunk is known by TLS; nil: as all backends are.
func (t Trunk) tls(c SIP) (*sipside.TLS, error) {
	if t.CA == "" && t.Certificate == "" && t.ServerName == "" {
		return nil, nil
	}
	out := &sipside.TLS{Name: t.ServerName, Config: &tls.Config{MinVersion: tls.VersionTLS12}}
	if file := cmp.Or(t.CA, c.CA); file != "" {
		pool, err := certPool(file)
		if err != nil {
			return nil, err
		}
		out.Config.RootCAs = pool
	}
	if t.Certificate != "" {
		out.Config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
			return &pair, err
		}
	}
	return out, nil
}

// gate judges who has to prove what Authenticate says.
func (a Authenticate) gate(log *slog.Logger) *identity.Gate {
	algorithms := identity.Algorithms()
	if len(a.Algorithms) > 0 {
		algorithms = nil
	}
	for _, name := range a.Algorithms {
		algorithms = append(algorithms, identity.Algorithm(name))
	}
	return identity.NewGate(identity.GateConfig{
		Realm: a.Realm, Secrets: identity.OneUser{Username: a.Username, Password: a.Password}, Algorithms: algorithms, Log: log,
	})
}

// bridge is the trunk as the bridge wants it.
func (t Trunk) bridge(media RTP, log *slog.Logger) bridge.Peering {
	p := media.peering(t.Peering, bridge.ReferLocal)
	p.Username, p.Password, p.Own = t.Username, t.Password, t.Username != ""
	p.STIR = t.STIR.bridge(log)
	if a := t.Authenticate; a != nil {
		p.Gate = a.gate(log)
	}
	if t.Domain == "" && t.Numbers == nil && t.Caller == nil {
		return p
	}
	p.Presentation = &bridge.Presentation{Domain: t.Domain}
	if n := t.Numbers; n != nil {
		p.Presentation.Numbers = numbers.Plan{
			Format: numbers.Format(n.Format), Country: n.Country, National: n.National, International: n.International,
			In: numberRules(n.In), Out: numberRules(n.Out),
		}
	}
	if c := t.Caller; c != nil {
		p.Presentation.Caller = numbers.Caller{
			From: c.From, Identity: c.Identity, Header: c.Header, Domain: cmp.Or(c.Domain, t.Domain),
			Allowed: c.Allowed, Instead: c.Instead, Asserted: c.Heard == "asserted",
		}
	}
	return p
}

func numberRules(list []NumberRule) []numbers.Rule {
	rules := make([]numbers.Rule, len(list))
	for i, r := range list {
		rules[i] = numbers.Rule{Match: r.Match, Replace: r.Replace}
	}
	return rules
}

func (v *validator) trunk(path string, t Trunk, listen []SIPListen) {
	if len(t.URI) == 0 {
		v.fail(path+".uri", "is missing: a SIP URI, such as sip:sbc.carrier.example")
	}
	for i, uri := range t.URI {
		at := path + ".uri"
		if len(t.URI) > 1 {
			at = indexed(at, i)
		}
		v.backend(at, uri, listen)
		if way := wayOf(uri); way != wayOf(t.URI[0]) {
			v.fail(at, "%s is reached by %s, the first by %s; the servers of a trunk have one transport", uri.String(), way, wayOf(t.URI[0]))
		}
	}
	if t.Probe != nil {
		v.probe(path+".probe", *t.Probe)
	}
	v.peering(path, t.Peering)
	v.direct(path, t.Peering, true)
	v.account(path, t)
	v.pair(path, t.Certificate, t.Key)
	if t.CA != "" {
		if _, err := certPool(t.CA); err != nil {
			v.fail(path+".ca", "%s", err)
		}
	}
	if name := t.ServerName; name != "" && !isHost(strings.TrimPrefix(name, "*.")) {
		v.fail(path+".server-name", "%q is not a domain", name)
	}
	if t.Domain != "" && !isHost(t.Domain) {
		v.fail(path+".domain", "%q is not a domain", t.Domain)
	}
	v.numbers(path+".numbers", t.Numbers)
	v.caller(path+".caller", t)
}

// wayOf is the transport that a URI says.
func wayOf(uri URI) string {
	if uri.IsEncrypted() {
		return "tls"
	}
	return strings.ToLower(uri.UriParams.GetOr("transport", "udp"))
}

func (v *validator) numbers(path string, n *Numbers) {
	if n == nil {
		return
	}
	v.oneOf(path+".format", n.Format, "e164", "plain", "international", "national")
	for key, digits := range map[string]string{"country": n.Country, "national": n.National, "international": n.International} {
		if !onlyDigits.MatchString(digits) {
			v.fail(path+"."+key, "%q has more than digits", digits)
		}
	}
	switch {
	case n.Format == "national" && (n.Country == "" || n.International == ""):
		v.fail(path+".format", "national needs country, and international for the numbers of other countries")
	case n.Format == "international" && n.International == "":
		v.fail(path+".format", "international needs the prefix, such as international: \"00\"")
	case n.National != "" && n.Country == "":
		v.fail(path+".national", "stands without country")
	}
	for key, rules := range map[string][]NumberRule{"in": n.In, "out": n.Out} {
		for i, r := range rules {
			at := indexed(path+"."+key, i)
			if r.Match == nil {
				v.fail(at, "has no match")
			}
			if !replacement.MatchString(r.Replace) {
				v.fail(at+".replace", "%q is not a user of a SIP URI with $1, $2, … in it: letters, digits and +*#.-_ are", r.Replace)
			}
		}
	}
}

var (
	onlyDigits  = regexp.MustCompile(`^[0-9]*$`)
	replacement = regexp.MustCompile(`^([A-Za-z0-9+*.;=_-]|%23|\$[0-9]|\$\{[0-9A-Za-z_]+\})+$`)
)

func (v *validator) caller(path string, t Trunk) {
	c := t.Caller
	if c == nil {
		return
	}
	v.shown(path+".from", c.From, t, numbers.TheCaller, numbers.TheAccount)
	v.shown(path+".identity", c.Identity, t, numbers.TheCaller, numbers.TheAccount, numbers.Nobody)
	v.oneOf(path+".header", c.Header, "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
	v.oneOf(path+".heard", c.Heard, "from", "asserted")
	if c.Domain != "" && !isHost(c.Domain) {
		v.fail(path+".domain", "%q is not a domain", c.Domain)
	}
	if c.Instead != "" && !userPart.MatchString(c.Instead) {
		v.fail(path+".instead", "%q is not a number", c.Instead)
	}
	if len(c.Allowed) > 0 && c.Instead == "" {
		v.fail(path+".allowed", "says who may be shown, and instead is missing: who is shown for the others")
	}
}

// shown checks a word for who is shown: one of those known, or a number.
func (v *validator) shown(path, word string, t Trunk, known ...string) {
	_, isNumber := numbers.Number(word)
	switch {
	case word == "" || isNumber:
	case word == numbers.TheAccount && t.Username == "":
		v.fail(path, "account is the username of the trunk, which has none")
	default:
		v.oneOf(path, word, known...)
	}
}

// account is what a trunk's own part says about credentials and registration.
func (v *validator) account(path string, t Trunk) {
	v.credentials(path, t.Username, t.Password)
	if t.Caller != nil && (t.Caller.From == numbers.TheAccount || t.Caller.Identity == numbers.TheAccount) && !userPart.MatchString(t.Username) {
		v.fail(path+".username", "%q cannot be the user of a caller's address: letters, digits and -_.+ can", t.Username)
	}
	if t.Password != "" && t.Username == "" {
		v.fail(path+".password", "username and password stand together")
	}
	v.authenticate(path+".authenticate", t.Authenticate)
	if t.Register && t.Username == "" {
		v.fail(path+".register", "a registration needs a username")
	}
	if t.Register && !userPart.MatchString(t.Username) {
		v.fail(path+".username", "%q cannot be the user of a Contact: letters, digits and -_.+ can", t.Username)
	}
	switch {
	case t.Expires == nil:
	case !t.Register:
		v.fail(path+".expires", "is for trunks that say register: true")
	default:
		v.within(path+".expires", *t.Expires, 30*time.Second, 24*time.Hour)
	}
}

func (v *validator) authenticate(path string, a *Authenticate) {
	if a == nil {
		return
	}
	if a.Username == "" || a.Password == "" {
		v.fail(path, "has no username or no password")
	}
	if strings.ContainsAny(a.Realm+a.Username, "\r\n\"\\") {
		v.fail(path, "realm and username have no quotes, backslashes and line breaks")
	}
	for i, name := range a.Algorithms {
		at := indexed(path+".algorithms", i)
		if slices.Contains(a.Algorithms[:i], name) {
			v.fail(at, "%s is said twice", name)
		}
		if name == "" {
			v.fail(at, "is empty")
		}
		v.oneOf(at, name, string(identity.SHA512256), string(identity.SHA256), string(identity.MD5))
	}
}

// userPart needs no escapes in a SIP URI.
var userPart = regexp.MustCompile(`^[A-Za-z0-9._+-]+$`)
