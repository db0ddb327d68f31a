package gateway

import (
	"log/slog"
	"regexp"
	"strings"
	"time"

	"tandem/bridge"
	"tandem/bridge/identity/stir"
	"tandem/bridge/route"
)

// STIR is how a trunk proves who calls (STIR/SHAKEN).
type STIR struct {
	Sign   *STIRSign   `yaml:"sign"`   // calls to it
	Verify *STIRVerify `yaml:"verify"` // calls from it
}

// STIRSign says what the gateway attests.
type STIRSign struct {
	Certificate string     `yaml:"certificate"` // URL at which everybody finds it
	Key         string     `yaml:"key"`         // PEM file, P-256; read again when it changes
	Attest      string     `yaml:"attest"`      // where no rule matches: "A", "B", "C" (default), "none"
	Rules       []STIRRule `yaml:"rules"`
	OrigID      string     `yaml:"orig-id"` // a UUID; default: one for each origin
}

// STIRRule is one rule; what it asks for has to hold together, and the first that does decides.
type STIRRule struct {
	From   string                    `yaml:"from"`   // origin: "browsers", a pool or trunk
	Caller *regexp.Regexp            `yaml:"caller"` // the number that is signed, with + and country code
	Callee *regexp.Regexp            `yaml:"callee"`
	Claim  map[string]*regexp.Regexp `yaml:"claim"` // of the sender's token, by path
	Attest string                    `yaml:"attest"`
}

// STIRVerify says what becomes of what a call proves.
type STIRVerify struct {
	CA           string           `yaml:"ca"`      // PEM file: the trust anchors; read again when it changes
	CRL          string           `yaml:"crl"`     // PEM or DER file: certificates that are revoked; read again when it changes
	MaxAge       time.Duration    `yaml:"max-age"` // default 60 s
	Failed       string           `yaml:"failed"`  // "pass" (default), "reject"
	Missing      string           `yaml:"missing"` // "pass" (default), "reject"
	Tell         string           `yaml:"tell"`    // "identity" (default), "from", "both", "headers"
	Certificates STIRCertificates `yaml:"certificates"`
}

// STIRCertificates says how the certificates of signers are had.
type STIRCertificates struct {
	Timeout time.Duration `yaml:"timeout"` // default 2 s
	Cache   time.Duration `yaml:"cache"`   // default 24 h
	Hosts   []string      `yaml:"hosts"`   // the only ones that are asked
	Private []string      `yaml:"private"` // that may have private addresses and any port
	CA      string        `yaml:"ca"`      // PEM file: who signs the servers' certificates; default: the system's
}

// noAttestation is the word for a call that is not signed.
const noAttestation = "none"

// bridge is it as the bridge wants it.
func (s *STIR) bridge(log *slog.Logger) (out bridge.STIR) {
	if s == nil {
		return out
	}
	if sign := s.Sign; sign != nil {
		out.Sign = &bridge.Signing{
			Signer: stir.NewSigner(sign.Certificate, sign.Key, log), Attest: attestation(sign.Attest), OrigID: strings.ToLower(sign.OrigID),
		}
		for _, r := range sign.Rules {
			out.Sign.Rules = append(out.Sign.Rules, bridge.AttestRule{
				From: r.From, Caller: r.Caller, Callee: r.Callee, Claim: r.Claim, Attest: attestation(r.Attest),
			})
		}
	}
	if v := s.Verify; v != nil {
		c := v.Certificates
		out.Verify = &bridge.Verifying{
			Verifier: stir.NewVerifier(stir.Config{CA: v.CA, CRL: v.CRL, MaxAge: v.MaxAge, Fetch: stir.FetchConfig{
				Timeout: c.Timeout, Cache: c.Cache, Hosts: c.Hosts, Private: c.Private, CA: c.CA,
			}}, log),
			RejectFailed: v.Failed == "reject", RejectMissing: v.Missing == "reject", Tell: bridge.Tell(v.Tell),
		}
	}
	return out
}

// attestation is a level as the bridge has it.
func attestation(word string) string {
	switch word {
	case "":
		return stir.Gateway
	case noAttestation:
		return ""
	}
	return word
}

func (v *validator) stir(path string, c Config, s *STIR) {
	if s == nil {
		return
	}
	if s.Sign == nil && s.Verify == nil {
		v.fail(path, "has neither sign nor verify")
	}
	if s.Sign != nil {
		v.stirSign(path+".sign", c, *s.Sign)
	}
	if s.Verify != nil {
		v.stirVerify(path+".verify", *s.Verify)
	}
}

func (v *validator) stirSign(path string, c Config, s STIRSign) {
	if err := stir.CheckURL(s.Certificate); err != nil {
		v.fail(path+".certificate", "%q is not where others find the certificate, such as https://certs.example.com/us.pem: %s", s.Certificate, err)
	}
	if s.Key == "" {
		v.fail(path+".key", "is missing: a PEM file with the private key")
	} else if err := stir.CheckKey(s.Key); err != nil {
		v.fail(path+".key", "%s", err)
	}
	v.oneOf(path+".attest", s.Attest, stir.Full, stir.Partial, stir.Gateway, noAttestation)
	if s.OrigID != "" && !uuid.MatchString(s.OrigID) {
		v.fail(path+".orig-id", "%q is not a UUID", s.OrigID)
	}
	for i, r := range s.Rules {
		at := indexed(path+".rules", i)
		if r.Attest == "" {
			v.fail(at+".attest", "is missing: A, B, C or none")
		}
		v.oneOf(at+".attest", r.Attest, stir.Full, stir.Partial, stir.Gateway, noAttestation)
		_, pool := c.Pools[r.From]
		_, trunk := c.Trunks[r.From]
		if r.From != "" && r.From != route.Browsers && !pool && !trunk {
			v.fail(at+".from", "there is no pool or trunk %q", r.From)
		}
		if len(r.Claim) > 0 && r.From != "" && r.From != route.Browsers {
			v.fail(at+".claim", "only browsers have tokens, and the rule is for %s", r.From)
		}
		if len(r.Claim) > 0 && (c.Identity == nil || c.Identity.Tokens == nil) {
			v.fail(at+".claim", "needs identity.tokens: how tokens are verified")
		}
	}
}

// uuid is RFC 9562's form.
var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func (v *validator) stirVerify(path string, s STIRVerify) {
	if s.CA == "" {
		v.fail(path+".ca", "is missing: a PEM file with the trust anchors")
	} else {
		v.anchors(path+".ca", s.CA)
	}
	v.crl(path+".crl", s.CRL)
	v.within(path+".max-age", s.MaxAge, time.Second, time.Hour)
	v.oneOf(path+".failed", s.Failed, "pass", "reject")
	v.oneOf(path+".missing", s.Missing, "pass", "reject")
	v.oneOf(path+".tell", s.Tell, string(bridge.TellIdentity), string(bridge.TellFrom), string(bridge.TellBoth), string(bridge.TellHeaders))
	c := s.Certificates
	v.within(path+".certificates.timeout", c.Timeout, 100*time.Millisecond, 10*time.Second)
	v.within(path+".certificates.cache", c.Cache, time.Minute, 7*24*time.Hour)
	for key, hosts := range map[string][]string{"hosts": c.Hosts, "private": c.Private} {
		for i, host := range hosts {
			if !isHost(strings.TrimPrefix(host, "*.")) {
				v.fail(indexed(path+".certificates."+key, i), "%q is not a host", host)
			}
		}
	}
	if c.CA != "" {
		v.anchors(path+".certificates.ca", c.CA)
	}
}

func (v *validator) anchors(path, file string) {
	if _, err := certPool(file); err != nil {
		v.fail(path, "%s", err)
	}
}
