package stir

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tandem/bridge/identity/watched"
	"tandem/turn/ranges"
)

// Bounds of what a server can answer.
const (
	maxDocument  = 64 << 10
	maxRedirects = 3
	maxChain     = 8
)

// FetchConfig says how certificates are fetched. Whoever calls names the URL, so nothing but what a certificate needs is done with
// it: HTTPS on 443 or 8443, at public addresses.
type FetchConfig struct {
	Timeout time.Duration // how long a call waits; default 2 s
	Cache   time.Duration // how long a certificate serves at most; default 24 h; less where Cache-Control says so
	Hosts   []string      // the only ones that are asked, "*.example.com" for all below; none: any
	Private []string      // hosts that may have private addresses and any port
	CA      string        // PEM file: who signs the servers' certificates; "": the system's
}

func (c FetchConfig) withDefaults() FetchConfig {
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Cache == 0 {
		c.Cache = 24 * time.Hour
	}
	return c
}

// CheckURL says what is wrong with the URL of a certificate.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("it is no URL")
	case u.Scheme != "https":
		return errors.New("its scheme is not https")
	case u.User != nil, u.RawQuery != "" || u.ForceQuery, u.Fragment != "", strings.ContainsAny(text, "\"<> \\^`{|};"):
		return errors.New("it has more than a host and a path")
	}
	return nil
}

// check says what is wrong with a URL that somebody else names.
func (c FetchConfig) check(text string) error {
	if err := CheckURL(text); err != nil {
		return fmt.Errorf("the certificate's URL: %w", err)
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	host := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && port != "443" && port != "8443" && !c.private(host) {
		return errors.New("the certificate's URL: its port is neither 443 nor 8443")
	}
	if len(c.Hosts) > 0 && !slices.ContainsFunc(c.Hosts, func(h string) bool { return matches(h, host) }) {
		return errors.New("the certificate's URL: its host is not one to be asked")
	}
	return nil
}

func (c FetchConfig) private(host string) bool {
	return slices.ContainsFunc(c.Private, func(h string) bool { return matches(h, host) })
}

// matches says whether a host is the one named, or below "*.NAME".
func matches(pattern, host string) bool {
	if rest, wild := strings.CutPrefix(strings.ToLower(pattern), "*"); wild {
		return strings.HasSuffix(host, rest) && len(host) > len(rest)
	}
	return strings.EqualFold(pattern, host)
}

// fetch gets a chain, leaf first, and how long it serves.
func (c FetchConfig) fetch(ctx context.Context, text string) ([]*x509.Certificate, time.Duration, error) {
	client, err := c.client()
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/pem-certificate-chain, application/pkix-cert;q=0.5, */*;q=0.1")
	res, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the answer is %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return nil, 0, err
	}
	chain, err := readChain(body)
	return chain, c.age(res.Header), err
}

// client makes a client for one fetch: those are rare, and no connection is left behind.
func (c FetchConfig) client() (*http.Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err == nil {
			settings.RootCAs, err = watched.ReadPool(text)
		}
		if err != nil {
			return nil, err
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: c.dial, TLSClientConfig: settings, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			DisableCompression: true, MaxResponseHeaderBytes: maxDocument,
		},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirections")
			}
			return c.check(to.URL.String())
		},
	}, nil
}

// dial refuses addresses of this machine and of private networks; it sees the address that is really connected to, whatever DNS says.
func (c FetchConfig) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: func(_, at string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(at)
		if err != nil {
			return err
		}
		if !c.private(strings.ToLower(host)) && !ranges.Public(to.Addr()) {
			return fmt.Errorf("%s has no public address", host)
		}
		return nil
	}}
	return d.DialContext(ctx, network, address)
}

// age is how long a document serves (RFC 9111 §5.2.2).
func (c FetchConfig) age(h http.Header) time.Duration {
	age := c.Cache
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			age = 0
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err == nil {
				age = min(age, time.Duration(seconds)*time.Second)
			}
		}
	}
	return max(age, min(leastAge, c.Cache))
}

// readChain reads certificates in PEM, or one in DER.
func readChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the answer holds a %s", block.Type)
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if chain = append(chain, one); len(chain) > maxChain {
			return nil, errors.New("the chain is too long")
		}
	}
	if len(chain) > 0 {
		return chain, nil
	}
	one, err := x509.ParseCertificate(text)
	if err != nil {
		return nil, errors.New("the answer is no certificate")
	}
	return []*x509.Certificate{one}, nil
}
