// Package gateway is the process: the only place that knows everyone. It reads the configuration, opens the doors, the
// media engine and the bridge, serves, and drains.
package gateway

import (
	"net/netip"
	"time"
)

// Config is the configuration file. Its keys are the yaml tags; tandem.sample.yaml explains each. A zero value means
// that the key was not written; the default is applied where the value is used.
type Config struct {
	Node            uint16           `yaml:"node"`   // 1 to 65535, default 1; carried by tokens, Call-IDs, tags and ufrags
	Secret          string           `yaml:"secret"` // at least 16 characters; keys the Contact tokens
	ShutdownTimeout time.Duration    `yaml:"shutdown-timeout"`
	State           string           `yaml:"state"` // file where bans, trust and what was spent outlive a restart; default: nowhere
	HTTPS           HTTPS            `yaml:"https"`
	SIP             SIP              `yaml:"sip"`
	Media           Media            `yaml:"media"`
	TURN            *TURN            `yaml:"turn"`
	Pools           map[string]Pool  `yaml:"pools"`
	Trunks          map[string]Trunk `yaml:"trunks"`
	Routes          []Route          `yaml:"routes"`
	Identity        *Identity        `yaml:"identity"`
	Guard           Guard            `yaml:"guard"`
	Limits          Limits           `yaml:"limits"`
	Fraud           Fraud            `yaml:"fraud"`
	Call            Call             `yaml:"call"`
	Registration    Registration     `yaml:"registration"`
	Admin           Admin            `yaml:"admin"`
	Records         Records          `yaml:"records"`
	Log             Log              `yaml:"log"`

	source source // where the keys stand; empty for a Config that no file holds
}

// SIP is the listener towards the SIP world.
type SIP struct {
	Listen      []SIPListen `yaml:"listen"`
	Advertise   string      `yaml:"advertise"`   // host in Via and Contact
	UserAgent   string      `yaml:"user-agent"`  // what User-Agent and Server say at both doors; default: neither is sent
	Certificate string      `yaml:"certificate"` // of tls:// listeners; default: those of https
	Key         string      `yaml:"key"`
	DSCP        *int        `yaml:"dscp"` // of what is sent; default 24, CS3
	CA          string      `yaml:"ca"`   // PEM file: who may sign the certificates of backends; default: the system's
	// the name server that is asked for NAPTR, SRV, A and AAAA (RFC 3263); default: the system's
	Resolver netip.AddrPort `yaml:"resolver"`
}

// Media is the packets' part.
type Media struct {
	Listen    []netip.AddrPort `yaml:"listen"`    // UDP and TCP, for all browsers
	Advertise []netip.Addr     `yaml:"advertise"` // one of each family; default: the address that the browser's WebSocket reached
	TCP       Toggle           `yaml:"tcp"`       // passive TCP candidates: media.listen and https.listen
	Workers   int              `yaml:"workers"`   // default: one for two CPUs
	Tick      string           `yaml:"tick"`      // "adaptive" (default), "0", "250us", "500us", "1ms"
	DSCP      *int             `yaml:"dscp"`      // of packets; default 46, EF
	RTP       RTP              `yaml:"rtp"`
}

// RTP is the side towards the SIP world.
type RTP struct {
	Address   []netip.Addr `yaml:"address"`   // one of each family
	Advertise []netip.Addr `yaml:"advertise"` // one of each family; default: address
	Ports     PortRange    `yaml:"ports"`     // default 20000-29999
	Shared    bool         `yaml:"shared"`    // one port for the audio of many calls
	Learn     string       `yaml:"learn"`     // "strict", "signalling" (default), "any"
}

// TURN is the relay for browsers whose network lets nothing else through. `turn: on` is all of it by default.
type TURN struct {
	Listen      []TURNListen  `yaml:"listen"`      // default: UDP and TCP 3478; TLS on https.listen in any case
	Secret      []string      `yaml:"secret"`      // of time-limited credentials; any is taken, the first makes new ones; default: one derived from secret
	Users       string        `yaml:"users"`       // password file of long-term users, in the form of identity.users
	Realm       string        `yaml:"realm"`       // default "tandem"
	Advertise   string        `yaml:"advertise"`   // host in /ice.json; default: the one that it was asked from
	Credentials time.Duration `yaml:"credentials"` // how long those of /ice.json open allocations; default 12 h
	Relay       TURNRelay     `yaml:"relay"`
	Peers       []TURNPeers   `yaml:"peers"` // that relays may reach besides the gateway's media
	Quota       TURNQuota     `yaml:"quota"`

	off bool
}

// TURNRelay says where allocations are.
type TURNRelay struct {
	Address   []netip.Addr `yaml:"address"`   // one of each family; default: the address of media.listen
	Advertise []netip.Addr `yaml:"advertise"` // one of each family; default: that of media.advertise, else address
	Ports     PortRange    `yaml:"ports"`     // of relays that are sockets (turn.peers); default 49152-65535
	Virtual   PortRange    `yaml:"virtual"`   // of relays that are none; default 61000-65535
}

// TURNQuota bounds what clients can use; turn.Quota has the defaults.
type TURNQuota struct {
	User           int           `yaml:"user"`
	Total          int           `yaml:"total"`
	Rate           int           `yaml:"rate"`
	Bandwidth      int           `yaml:"bandwidth"`
	TotalBandwidth int           `yaml:"total-bandwidth"`
	Lifetime       time.Duration `yaml:"lifetime"`
}

// Pool is a set of interchangeable backends.
type Pool struct {
	Order          string        `yaml:"order"`           // one of sipside.Orders; default "round-robin"
	Hash           string        `yaml:"hash"`            // what the order hash goes by: one of sipside.HashKeys; default "caller"
	SharedLocation bool          `yaml:"shared-location"` // all members know where the users of each are: users have no member of their own
	Members        []Member      `yaml:"members"`
	Source         *Source       `yaml:"source"`     // names more members
	Probe          *Probe        `yaml:"probe"`      // nil: all by default
	SlowStart      time.Duration `yaml:"slow-start"` // in which a member that is up again comes to its whole share; default: at once

	Username string `yaml:"username"` // of the gateway, for routes that say vouch; default: the members trust its address
	Password string `yaml:"password"`
	Peering
}

// Peering is how calls with a pool or trunk are made; its keys stand among theirs.
type Peering struct {
	Media          string         `yaml:"media"`           // "relay" (default), "direct": from peer to peer, where both sides say so
	SRTP           string         `yaml:"srtp"`            // "off", "accept" (default), "optional", "sdes", "dtls"
	ICE            bool           `yaml:"ice"`             // our offers carry it; a caller that offers it is answered in any case
	Video          *bool          `yaml:"video"`           // default true: carried where both ends want it
	Transcode      *bool          `yaml:"transcode"`       // default true: where the ends share no codec
	DTMF           string         `yaml:"dtmf"`            // "auto" (default), "rfc4733", "info", "inband"
	Reliable       string         `yaml:"reliable"`        // "auto" (default), "off", "require"
	SessionExpires *time.Duration `yaml:"session-expires"` // what our INVITEs ask for; default 30m; 0s: nothing
	Shared         *bool          `yaml:"shared"`          // default: media.rtp.shared
	Refer          string         `yaml:"refer"`           // "pass", "local"; default: pass for pools, local for trunks
	Redirect       string         `yaml:"redirect"`        // "follow" (default), "pass"
	Trust          *bool          `yaml:"trust"`           // RFC 3325; default: true for pools, false for trunks
	Hide           *bool          `yaml:"hide"`            // topology hiding; default: false for pools, true for trunks
	Strip          []string       `yaml:"strip"`           // with hide: headers that do not go there, * at an end; default: hiding.Vendors
	Learn          string         `yaml:"learn"`           // "strict", "signalling", "any"; default: media.rtp.learn
	Failover       []Statuses     `yaml:"failover"`        // refusals that another member is tried after, besides 408 and 503
	TryTimeout     time.Duration  `yaml:"try-timeout"`     // default: call.try-timeout

	MaxCalls  int      `yaml:"max-calls"` // at once, both ways together; default: any
	MaxRate   Rate     `yaml:"max-rate"`  // new ones a second; default: any
	Full      int      `yaml:"full"`      // the status of a refusal: 503 with Retry-After (default), 480 or 486
	Emergency []string `yaml:"emergency"` // numbers that no cap of anything holds back
}

// Member is one server of a pool; a plain SIP URI stands for one of weight 1.
type Member struct {
	URI      URI  `yaml:"uri"`
	Weight   int  `yaml:"weight"`    // 1 to 100
	Priority int  `yaml:"priority"`  // lower ones first, where the order is priority
	Drain    bool `yaml:"drain"`     // it takes no new calls
	MaxCalls int  `yaml:"max-calls"` // at once, both ways together; a full member is passed over; default: any
	MaxRate  Rate `yaml:"max-rate"`  // new ones a second; default: any
}

// Probe says how members are watched by OPTIONS.
type Probe struct {
	Every     *time.Duration `yaml:"every"`      // default 5s; 0s: no probing
	Timeout   time.Duration  `yaml:"timeout"`    // default: every, 2s at most
	DownAfter int            `yaml:"down-after"` // default 3
	UpAfter   int            `yaml:"up-after"`   // default 2
	Accept    []Statuses     `yaml:"accept"`     // what counts as an answer; default: all but 408 and 503
}

// Call holds the time limits of calls.
type Call struct {
	TryTimeout  time.Duration `yaml:"try-timeout"`  // default 2 s: nothing but 100, then the next living member
	FlowGrace   time.Duration `yaml:"flow-grace"`   // default 35 s: a call whose browser is gone and whose media is dead
	OrphanLimit time.Duration `yaml:"orphan-limit"` // default 10 min: a call whose browser is gone, in any case
	Watch       time.Duration `yaml:"watch"`        // default 1 min: how often the ends of a direct call are asked whether they know it
	RingLimit   time.Duration `yaml:"ring-limit"`   // default 3 min: a call that nobody answers (RFC 3261 §16.6 timer C)
}

// Registration holds the limits of registrations, and where they are kept.
type Registration struct {
	MaxExpires time.Duration `yaml:"max-expires"` // default 120 s
	MinExpires time.Duration `yaml:"min-expires"` // default 10 s; of local ones
	Store      string        `yaml:"store"`       // file; default: a restart forgets them
}

// Identity says who the browsers' users are, for routes that say vouch or local.
type Identity struct {
	Realm    string    `yaml:"realm"`    // default: the domain of the address of record
	Users    string    `yaml:"users"`    // password file: user:realm:HA1 or user:password
	Callback *Callback `yaml:"callback"` // instead of users
	Tokens   *Tokens   `yaml:"tokens"`
}

// Callback is a web service that knows the users.
type Callback struct {
	URL     string        `yaml:"url"`
	Timeout time.Duration `yaml:"timeout"` // default 3 s
}

// Tokens says which signed tokens are good: those that any of the keys has signed.
type Tokens struct {
	Secret   string `yaml:"secret"`   // HS256; at least 32 characters
	Keys     string `yaml:"keys"`     // file: a key set (JWKS), or public keys in PEM; RS256 and ES256
	JWKS     string `yaml:"jwks"`     // URL of a key set
	Issuer   string `yaml:"issuer"`   // iss; default: not looked at
	Audience string `yaml:"audience"` // aud; default: not looked at
}

// Guard says how often strangers and browsers may come; `guard: off` lets everybody in at any rate.
type Guard struct {
	Connections GuardLimit `yaml:"connections"` // to https.listen, of one address; default 50 a second, 1000 at once
	Handshakes  GuardLimit `yaml:"handshakes"`  // WebSocket handshakes of one address; default as connections
	Requests    GuardLimit `yaml:"requests"`    // of one connection; default 30 a second, 300 at once
	Unproven    GuardLimit `yaml:"unproven"`    // requests of all connections of one address that proved no identity; default 300 a second, 3000 at once
	Identity    GuardLimit `yaml:"identity"`    // requests outside dialogs of one user; default 20 a second, 200 at once
	Failures    Failures   `yaml:"failures"`
	Bans        Bans       `yaml:"bans"`
	Allow       []Network  `yaml:"allow"`     // never limited nor banned, beside pools and trunks
	Scanners    *[]string  `yaml:"scanners"`  // parts of the User-Agent of who gets no answer; default: guard.ScannerAgents
	Strangers   string     `yaml:"strangers"` // who is neither member nor trunk, by UDP: "silent" (default), "refuse"

	off bool
}

// Failures says how many wrong credentials make a ban.
type Failures struct {
	Identity *int          `yaml:"identity"` // of one user from one address; default 10; 0: any number
	Address  *int          `yaml:"address"`  // users that fail from one address; default 30; 0: any number
	Within   time.Duration `yaml:"within"`   // default 10 min
}

// Bans says how long a ban lasts.
type Bans struct {
	First   time.Duration `yaml:"first"`   // default 5 min; each next one of the same twice as long
	Longest time.Duration `yaml:"longest"` // default 24 h
	UDP     bool          `yaml:"udp"`     // datagrams may ban their source, which anybody can forge
}

// GuardLimit is a rate that bursts may exceed; `off` is no limit.
type GuardLimit struct {
	Rate  Rate `yaml:"rate"`  // a second
	Burst int  `yaml:"burst"` // at once, after a rest

	off bool
}

// Admin is the operator's listener: /healthz, /readyz, /metrics, /api/status, /api/calls, /api/bans. Without an address there is none.
type Admin struct {
	Listen netip.AddrPort `yaml:"listen"`
}

// Records says where call records go, one JSON object a line; the file is opened again on SIGHUP.
type Records struct {
	File       string `yaml:"file"`
	Recordings string `yaml:"recordings"` // folder for the calls of routes that say record
}

// Log is what the process says on standard error.
type Log struct {
	Level  string `yaml:"level"`  // "debug", "info" (default), "warn", "error"
	Format string `yaml:"format"` // "text" (default), "json"
}
