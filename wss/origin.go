package wss

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// originList is who may connect, by the web page's origin (RFC 6454).
type originList struct {
	any      bool            // nobody is named
	allowed  map[string]bool // canonical; "null" for pages without an origin of their own
	below    []below
	required bool
}

// below stands for all names below a domain: https://*.example.com:443.
type below struct{ scheme, suffix, port string }

// CheckOrigin says what is wrong with a name of Config.Origins: scheme://host[:port], scheme://*.host[:port] for all names below host, or
// null for sandboxed pages and files.
func CheckOrigin(text string) error {
	var l originList
	return l.add(text)
}

func newOriginList(origins []string, required bool) (originList, error) {
	list := originList{required: required, any: len(origins) == 0}
	for _, text := range origins {
		if err := list.add(text); err != nil {
			return list, fmt.Errorf("wss: origins: %w", err)
		}
	}
	return list, nil
}

func (l *originList) add(text string) error {
	if text == "null" {
		l.allow(text)
		return nil
	}
	scheme, host, found := strings.Cut(text, "://*.")
	if found {
		text = scheme + "://" + host
	}
	origin, ok := canonicalOrigin(text)
	if !ok || strings.Contains(host, "*") || strings.Contains(text, "*") {
		return fmt.Errorf("%q is not an origin, such as https://phone.example.com: scheme, host, port where it is not the usual one; *. before the host stands for all names below", text)
	}
	if !found {
		l.allow(origin)
		return nil
	}
	scheme, host, _ = strings.Cut(origin, "://")
	name, port, _ := net.SplitHostPort(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("%q is not an origin: there are no names below an address", text)
	}
	l.below = append(l.below, below{scheme, "." + name, port})
	return nil
}

func (l *originList) allow(origin string) {
	if l.allowed == nil {
		l.allowed = make(map[string]bool)
	}
	l.allowed[origin] = true
}

func (l originList) admit(header []string) *refusal {
	if len(header) == 0 {
		if l.required {
			return &refusal{http.StatusForbidden, RefusedNoOrigin, "an Origin header is required here"}
		}
		return nil
	}
	if l.any || len(header) == 1 && l.names(header[0]) {
		return nil
	}
	return &refusal{http.StatusForbidden, RefusedOrigin,
		fmt.Sprintf("the origin %q may not connect here; the gateway's list of origins does not name it", header[0])}
}

// names says whether the list has an origin.
func (l originList) names(text string) bool {
	if text == "null" {
		return l.allowed[text]
	}
	origin, ok := canonicalOrigin(text)
	if !ok {
		return false
	}
	if l.allowed[origin] {
		return true
	}
	scheme, host, _ := strings.Cut(origin, "://")
	name, port, _ := net.SplitHostPort(host)
	for _, b := range l.below {
		if b.scheme == scheme && b.port == port && len(name) > len(b.suffix) && strings.HasSuffix(name, b.suffix) {
			return true
		}
	}
	return false
}

// canonicalOrigin is scheme://host:port in lower case with the scheme's port filled in; not ok for anything else ("null").
func canonicalOrigin(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" ||
		u.ForceQuery || strings.Contains(text, "#") {
		return "", false
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil || u.Host[0] != '[' {
			return "", false
		}
	}
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		}
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port), true
}
