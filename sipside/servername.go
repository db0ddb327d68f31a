package sipside

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// TLS is how a trunk is known by TLS, and we to it.
type TLS struct {
	Config *tls.Config // our certificate, and who may sign the trunk's
	Name   string      // whom its certificate must name; default: the host of its URI
}

// connKeyOf is the key of the connection to a server of a backend's. host is where the request goes by name. A dialog's remote
// target is often an address: there the server has to be the backend's all the same.
func (b *Backend) connKeyOf(p place, host string) connKey {
	key := connKey{transport: p.transport, addr: p.addr}
	if p.transport != tlsT {
		return key
	}
	own := b.settings.Load().tls
	key.name, key.trunk = cmp.Or(p.host, host), own
	if _, err := netip.ParseAddr(key.name); err == nil && p.host == "" {
		key.name = b.target.host
	}
	if own != nil {
		key.name = cmp.Or(own.Name, key.name)
	}
	return key
}

// clientConfig is the TLS of a connection that we open.
func (e *Endpoints) clientConfig(key connKey) *tls.Config {
	config := &tls.Config{}
	switch {
	case key.trunk != nil:
		config = key.trunk.Config.Clone()
	case e.clientTLS != nil:
		config = e.clientTLS.Clone()
	}
	name := cmp.Or(config.ServerName, key.name)
	config.ServerName = strings.TrimPrefix(name, "*.")
	if !config.InsecureSkipVerify {
		config.InsecureSkipVerify = true // crypto/tls knows no SIP domains: we verify
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyServer(state.PeerCertificates, config.RootCAs, name)
		}
	}
	return config
}

// verifyServer checks a server's chain, and that its certificate is of the domain.
func verifyServer(chain []*x509.Certificate, roots *x509.CertPool, domain string) error {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	sipDomain := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 20} // RFC 5924 §4
	if slices.ContainsFunc(chain[0].UnknownExtKeyUsage, sipDomain.Equal) {
		opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return err
	}
	if ids := sipDomains(chain[0]); !slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(id, domain) }) {
		return fmt.Errorf("the certificate is of %s, not of %s", cmp.Or(strings.Join(ids, ", "), "no SIP domain"), domain)
	}
	return nil
}

// sipDomains are the identities of a server's certificate (RFC 5922 §7.1): the sip URIs without a user among its alternative names;
// without any of those its DNS names; without alternative names its common name. Names match whole: a wildcard is none (§7.2). Addresses
// are for servers that are configured by address.
func sipDomains(c *x509.Certificate) []string {
	var ids []string
	for _, uri := range c.URIs {
		host := uri.Host
		if host == "" { // sip:example.com has no slashes
			host = uri.Opaque
		}
		if strings.EqualFold(uri.Scheme, "sip") && uri.User == nil && host != "" && !strings.ContainsAny(host, "@:;?") {
			ids = append(ids, host)
		}
	}
	if len(ids) == 0 {
		ids = append(ids, c.DNSNames...)
	}
	for _, ip := range c.IPAddresses {
		ids = append(ids, ip.String())
	}
	if len(ids) == 0 && len(c.EmailAddresses)+len(c.URIs) == 0 && c.Subject.CommonName != "" {
		ids = append(ids, c.Subject.CommonName)
	}
	return ids
}
