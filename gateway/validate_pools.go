package gateway

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"tandem/sipside"
)

// credentials are the gateway's own, of which the username stands in headers.
func (v *validator) credentials(path, username, password string) {
	if strings.ContainsFunc(username, func(r rune) bool { return r < ' ' || r == 0x7f || r == '"' || r == '\\' }) {
		v.fail(path+".username", "%q has quotes, backslashes or control characters", username)
	}
	if strings.ContainsAny(password, "\r\n\x00") {
		v.fail(path+".password", "has line ends or NUL")
	}
}

func (v *validator) pool(path string, p Pool, listen []SIPListen) {
	v.oneOf(path+".order", p.Order, sipside.Orders()...)
	v.oneOf(path+".hash", p.Hash, sipside.HashKeys()...)
	if p.Hash != "" && p.Order != sipside.Hash {
		v.fail(path+".hash", "is for the order hash")
	}
	v.within(path+".slow-start", p.SlowStart, 0, time.Hour)
	v.credentials(path, p.Username, p.Password)
	if (p.Username == "") != (p.Password == "") {
		v.fail(path+".username", "username and password stand together")
	}
	if p.Source != nil {
		v.memberSource(path+".source", *p.Source)
	}
	if len(p.Members) == 0 && p.Source == nil {
		v.fail(path+".members", "a pool needs at least one member")
	}
	v.members(path+".members", p.Members, listen)
	if p.Probe != nil {
		v.probe(path+".probe", *p.Probe)
	}
}

func (v *validator) members(path string, members []Member, listen []SIPListen) {
	var seen []string
	for i, m := range members {
		at := indexed(path, i)
		v.backend(at+".uri", m.URI, listen)
		v.from1(at+".weight", m.Weight, 100, "; drain: true keeps new calls away")
		if m.Priority < 0 || m.Priority > 65535 {
			v.fail(at+".priority", "%d is not between 0 and 65535", m.Priority)
		}
		v.cap(at, m.MaxCalls)
		if text := strings.ToLower(m.URI.String()); slices.Contains(seen, text) {
			v.fail(at, "%s is listed twice", m.URI.String())
		} else {
			seen = append(seen, text)
		}
	}
}

func (v *validator) probe(path string, p Probe) {
	if every := p.every(); every != 0 {
		v.within(path+".every", every, 10*time.Millisecond, time.Hour)
		v.within(path+".timeout", p.Timeout, 10*time.Millisecond, every)
	}
	v.from1(path+".down-after", p.DownAfter, 100, "")
	v.from1(path+".up-after", p.UpAfter, 100, "")
}

// from1 checks a number from 1 on; 0 stands for the default where the key is not written.
func (v *validator) from1(path string, n, most int, advice string) {
	_, written := v.source.at[path]
	if (n != 0 || written) && (n < 1 || n > most) {
		v.fail(path, "%d is not between 1 and %d%s", n, most, advice)
	}
}

func (v *validator) backend(path string, uri URI, listen []SIPListen) {
	if uri.Host == "" {
		v.fail(path, "is missing: a SIP URI, such as sip:10.0.0.10:5060")
		return
	}
	if uri.Port < 0 || uri.Port > 65535 {
		v.fail(path, "the port %d is not between 1 and 65535", uri.Port)
	}
	overUDP := !uri.IsEncrypted()
	if uri.UriParams != nil {
		transport, found := uri.UriParams.Get("transport")
		overUDP = overUDP && (!found || strings.EqualFold(transport, "udp"))
	}
	if hasUDP := slices.ContainsFunc(listen, func(l SIPListen) bool { return l.Network == "udp" }); overUDP && !hasUDP {
		v.fail(path, "%s is reached by UDP, and sip.listen has no udp:// address; add one, or ;transport=tcp here", uri.String())
	}
}

func (v *validator) memberSource(path string, s Source) {
	given := 0
	for _, text := range []string{s.SRV, s.File, s.URL} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		v.fail(path, "says one of srv, file and url")
	}
	if s.SRV != "" && !serviceName.MatchString(s.SRV) {
		v.fail(path+".srv", "%q is not a name of SRV records, such as _sip._udp.pbx.example.com", s.SRV)
	}
	if u, err := url.Parse(s.URL); s.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		v.fail(path+".url", "%q is not an address of the web, such as https://pbx.example.com/members", s.URL)
	}
	if s.Every != 0 {
		v.within(path+".every", s.Every, 10*time.Millisecond, 24*time.Hour)
	}
}

// serviceName is the form of RFC 3263 §4.1.
var serviceName = regexp.MustCompile(`^(_sip\._udp|_sip\._tcp|_sips\._tcp)\.[A-Za-z0-9._-]+$`)

// failover checks the refusals after which another member is tried: never one that is the callee's, or asks for credentials.
func (v *validator) failover(path string, list []Statuses) {
	for i, s := range list {
		if s.Low < 400 || s.High >= 600 || slices.ContainsFunc([]int{401, 407, 486, 487}, s.Has) {
			v.fail(indexed(path, i), "says nothing of the member; statuses from 400 to 599 without 401, 407, 486 and 487 can")
		}
	}
}
