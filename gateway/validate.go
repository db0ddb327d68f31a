package gateway

import (
	"cmp"
	"crypto/tls"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tandem/bridge/route"
)

// Validate says what is wrong with the meaning of a configuration: Problems, or nil. It reads the files that the
// configuration names and opens no socket.
func (c Config) Validate() error {
	v := validator{source: c.source}
	v.process(c)
	v.https(c.HTTPS)
	v.sip(c)
	v.media(c)
	v.turn(c)
	v.backends(c)
	v.routes(c)
	v.identity(c)
	v.guard(c.Guard)
	v.limits(c.Limits)
	v.fraud(c)
	v.operations(c)
	return v.problems.err()
}

type validator struct {
	source   source
	problems Problems
}

func (v *validator) fail(path, format string, args ...any) {
	v.problems = append(v.problems, v.source.problem(path, format, args...))
}

func (v *validator) oneOf(path, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		v.fail(path, "%q is not one of %s", value, strings.Join(known, ", "))
	}
}

// within checks a duration; 0 stands for the default where the key is not written.
func (v *validator) within(path string, d, least, most time.Duration) {
	_, written := v.source.at[path]
	if (d != 0 || written) && (d < least || d > most) {
		v.fail(path, "%s is not between %s and %s", d, least, most)
	}
}

func (v *validator) process(c Config) {
	if _, written := v.source.at["node"]; written && c.Node == 0 {
		v.fail("node", "0 is not between 1 and 65535")
	}
	if c.Secret != "" && len(c.Secret) < 16 {
		v.fail("secret", "has %d characters; at least 16 are needed", len(c.Secret))
	}
	v.within("shutdown-timeout", c.ShutdownTimeout, time.Second, 24*time.Hour)
	v.within("call.try-timeout", c.Call.TryTimeout, 10*time.Millisecond, 32*time.Second)
	v.within("call.flow-grace", c.Call.FlowGrace, 10*time.Millisecond, time.Hour)
	v.within("call.orphan-limit", c.Call.OrphanLimit, 10*time.Millisecond, 24*time.Hour)
	v.within("call.watch", c.Call.Watch, 10*time.Millisecond, 24*time.Hour)
	v.within("call.ring-limit", c.Call.RingLimit, 10*time.Millisecond, time.Hour)
	v.registration(c.Registration)
}

// pair checks that a certificate can be read and fits its key.
func (v *validator) pair(section, certificate, key string) {
	switch {
	case certificate == "" && key == "":
		return
	case certificate == "":
		v.fail(section+".key", "stands without certificate")
	case key == "":
		v.fail(section+".certificate", "stands without key")
	default:
		if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
			v.fail(section+".certificate", "%s", err)
		}
	}
}

// once refuses a socket that is listed twice; port 0 is a new one each time.
func (v *validator) once(path string, sockets []string) {
	for i, s := range sockets {
		if slices.Contains(sockets[:i], s) && !strings.HasSuffix(s, ":0") {
			v.fail(indexed(path, i), "%s is listed twice", s)
		}
	}
}

// productText is what may stand in User-Agent and Server.
var productText = regexp.MustCompile(`^[!-~]([ -~]{0,98}[!-~])?$`)

func (v *validator) sip(c Config) {
	if len(c.SIP.Listen) == 0 {
		v.fail("sip.listen", "is missing: where the SIP world comes in, such as udp://10.0.0.5:5060")
	}
	var sockets []string
	for i, l := range c.SIP.Listen {
		network := l.Network
		if network == "tls" {
			network = "tcp"
			if c.SIP.Certificate == "" && c.HTTPS.Certificate == "" {
				v.fail(indexed("sip.listen", i), "tls needs sip.certificate and sip.key, or https.certificate and https.key")
			}
		}
		sockets = append(sockets, network+"://"+l.Addr.String())
		if l.Addr.Addr().IsUnspecified() && c.SIP.Advertise == "" {
			v.fail(indexed("sip.listen", i), "%s cannot stand in Via and Contact; listen on an address of this machine or give sip.advertise", l.Addr.Addr())
		}
	}
	v.once("sip.listen", sockets)
	v.dscp("sip.dscp", c.SIP.DSCP)
	if name := c.SIP.UserAgent; name != "" && !productText.MatchString(name) {
		v.fail("sip.user-agent", "%q is not a name, such as Example-Gateway/2: a line of 100 letters of ASCII at most", name)
	}
	v.pair("sip", c.SIP.Certificate, c.SIP.Key)
	if c.SIP.Advertise != "" && !isHost(c.SIP.Advertise) {
		v.fail("sip.advertise", "%q is not an address or a host name; the port is that of the listener", c.SIP.Advertise)
	}
	if c.SIP.CA != "" {
		if _, err := certPool(c.SIP.CA); err != nil {
			v.fail("sip.ca", "%s", err)
		}
	}
}

// hostName is RFC 1123's; names with an underscore are met in the field.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)

func isHost(text string) bool {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return !addr.IsUnspecified()
	}
	return hostName.MatchString(text)
}

func (v *validator) media(c Config) {
	m := c.Media
	if m.Workers < 0 || m.Workers > 256 {
		v.fail("media.workers", "%d is not between 1 and 256", m.Workers)
	}
	v.families("media.advertise", m.Advertise, false)
	v.families("media.rtp.advertise", m.RTP.Advertise, false)
	v.families("media.rtp.address", m.RTP.Address, true)
	rtp := c.rtp()
	if len(rtp.Address) == 0 {
		v.fail("media.rtp.address", "is missing: the address for RTP towards the SIP world (it is that of sip.listen where that is one address)")
	}
	for _, a := range rtp.Address {
		if a.IsUnspecified() && !ofFamily(m.RTP.Advertise, a).IsValid() {
			v.fail("media.rtp.address", "%s cannot stand in SDP; give an address of this machine or media.rtp.advertise", a)
		}
	}
	for i, a := range m.RTP.Advertise {
		if len(rtp.Address) > 0 && !ofFamily(rtp.Address, a).IsValid() {
			v.fail(indexed("media.rtp.advertise", i), "%s is of another family than media.rtp.address", a)
		}
	}
	if rtp.Ports.Low < 1024 || rtp.Ports.High < rtp.Ports.Low || rtp.Ports.High-rtp.Ports.Low < 3 {
		v.fail("media.rtp.ports", "%d-%d is not a range of at least four ports from 1024 on", rtp.Ports.Low, rtp.Ports.High)
	}
	var sockets []string
	for i, addr := range c.mediaListen() {
		sockets = append(sockets, addr.String())
		same := func(a netip.Addr) bool {
			return addr.Addr() == a || addr.Addr().IsUnspecified() || a.IsUnspecified()
		}
		shared := slices.ContainsFunc(rtp.Address, same)
		if shared && addr.Port() >= rtp.Ports.Low && addr.Port() <= rtp.Ports.High {
			v.fail(indexed("media.listen", i), "the port %d lies within media.rtp.ports %d-%d", addr.Port(), rtp.Ports.Low, rtp.Ports.High)
		}
	}
	v.once("media.listen", sockets)
	v.dscp("media.dscp", m.DSCP)
	v.oneOf("media.tick", m.Tick, "adaptive", "0", "250us", "500us", "1ms")
	v.oneOf("media.rtp.learn", m.RTP.Learn, learnModes()...)
}

// families checks a list of addresses, one of each family.
func (v *validator) dscp(path string, value *int) {
	if value != nil && (*value < 0 || *value > 63) {
		v.fail(path, "%d is not within 0 to 63", *value)
	}
}

func (v *validator) families(path string, list []netip.Addr, wildcards bool) {
	for i, a := range list {
		if a.IsMulticast() || a.IsUnspecified() && !wildcards {
			v.fail(indexed(path, i), "%s is nobody's address", a)
		}
		if ofFamily(list[:i], a).IsValid() {
			v.fail(indexed(path, i), "%s is the second of its family; one IPv4 and one IPv6 address can be given", a)
		}
	}
}

// backendName is what a pool or trunk may be called: it stands in log keys, metric labels and Backend.Name.
var backendName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

func (v *validator) backends(c Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		path := "pools." + name
		v.name(path, name)
		if _, twice := c.Trunks[name]; twice {
			v.fail(path, "a trunk has the same name")
		}
		v.pool(path, c.Pools[name], c.SIP.Listen)
		v.peering(path, c.Pools[name].Peering)
		v.direct(path, c.Pools[name].Peering, false)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Trunks)) {
		v.name("trunks."+name, name)
		v.trunk("trunks."+name, c.Trunks[name], c.SIP.Listen)
		v.stir("trunks."+name+".stir", c, c.Trunks[name].STIR)
	}
}

// headerName is RFC 3261's token.
var headerName = regexp.MustCompile("^[A-Za-z0-9.!%*_+`'~-]+$")

// learnModes say whom to believe about the source of RTP.
func learnModes() []string { return []string{"strict", "signalling", "any"} }

func (v *validator) peering(path string, p Peering) {
	v.oneOf(path+".srtp", p.SRTP, "off", "accept", "optional", "sdes", "dtls")
	v.oneOf(path+".dtmf", p.DTMF, "auto", "rfc4733", "info", "inband")
	v.oneOf(path+".reliable", p.Reliable, "auto", "off", "require")
	if e := p.SessionExpires; e != nil && *e != 0 && (*e < 90*time.Second || *e > 24*time.Hour) {
		v.fail(path+".session-expires", "%v is not 0s, nor between 90s and 24h", *e)
	}
	v.oneOf(path+".redirect", p.Redirect, "follow", "pass")
	for i, name := range p.Strip {
		if err := route.Writable(strings.TrimSuffix(name, "*")); err != nil {
			v.fail(indexed(path+".strip", i), "%s", err)
		}
	}
	v.failover(path+".failover", p.Failover)
	if p.TryTimeout != 0 {
		v.within(path+".try-timeout", p.TryTimeout, 10*time.Millisecond, 32*time.Second)
	}
	v.oneOf(path+".refer", p.Refer, "pass", "local")
	v.oneOf(path+".learn", p.Learn, learnModes()...)
	v.cap(path, p.MaxCalls)
	v.full(path, p.Full, p.Emergency)
}

// direct checks what cannot be kept where media goes from peer to peer; hides is the default of hide.
func (v *validator) direct(path string, p Peering, hides bool) {
	v.oneOf(path+".media", p.Media, "relay", "direct")
	if p.Media != "direct" {
		return
	}
	if p.Hide != nil {
		hides = *p.Hide
	}
	if hides {
		v.fail(path+".media", "direct shows it the addresses of the other side, which hide keeps from it; say hide: false, or media: relay")
	}
	if p.SRTP == "off" || p.SRTP == "optional" {
		v.fail(path+".srtp", "%s is for our own offers; with media: direct the ends agree on keys themselves: accept, or sdes or dtls to insist on them", p.SRTP)
	}
}

func (v *validator) name(path, name string) {
	if name == route.Browsers {
		v.fail(path, "the name %s stands for the browsers", name)
	} else if !backendName.MatchString(name) {
		v.fail(path, "the name %q has more than letters, digits, - and _", name)
	}
}

func (v *validator) registration(r Registration) {
	v.within("registration.max-expires", r.MaxExpires, time.Second, time.Hour)
	v.within("registration.min-expires", r.MinExpires, time.Second, time.Hour)
	if most := cmp.Or(r.MaxExpires, 2*time.Minute); r.MinExpires > most {
		v.fail("registration.min-expires", "%s is more than max-expires, %s", r.MinExpires, most)
	}
	v.folderOf("registration.store", r.Store)
}

// folderOf checks that a file can be where it is to be made; "" is none.
func (v *validator) folderOf(path, file string) {
	if file == "" {
		return
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		v.fail(path, "%s", err)
	}
}

func (v *validator) operations(c Config) {
	if folder := c.Records.Recordings; folder != "" {
		if err := writable(folder); err != nil {
			v.fail("records.recordings", "%s", err)
		}
	}
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.folderOf("records.file", c.Records.File)
	v.folderOf("state", c.State)
}

// writable tries whether a file can be made in a folder.
func writable(folder string) error {
	probe, err := os.CreateTemp(folder, ".tandem-check-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
