package stir

// Why a request is not validated; each is a metric's label.
const (
	Missing     = "missing"     // no PASSporT that says who calls
	NoNumber    = "no-number"   // the caller has none that could be validated
	Malformed   = "malformed"   // the Identity header or its PASSporT
	Stale       = "stale"       // iat or Date
	Mismatch    = "mismatch"    // of the numbers with the request's
	Location    = "location"    // the certificate's URL is not one to be asked
	Unreachable = "unreachable" // the certificate cannot be fetched
	Unsupported = "unsupported" // another algorithm or kind of key
	Untrusted   = "untrusted"   // the certificate's chain, or its time
	Authority   = "authority"   // the certificate is not for the number
	Revoked     = "revoked"     // the certificate, by its authority's list
	Signature   = "signature"
	Replayed    = "replayed" // the PASSporT was for another call
	Busy        = "busy"     // too much is to be verified already
)

// Fault is why a request is not validated.
type Fault struct {
	Reason string // one of the above
	Why    string
}

// Error implements error.
func (f *Fault) Error() string { return f.Why }

// Status is the response with which the request is refused (RFC 8224 §6.2.2), and its phrase.
func (f *Fault) Status() (int, string) {
	switch f.Reason {
	case Missing, NoNumber:
		return 428, "Use Identity Header"
	case Stale:
		return 403, "Stale Date"
	case Location, Unreachable:
		return 436, "Bad Identity Info"
	case Unsupported, Untrusted, Authority, Revoked:
		return 437, "Unsupported Credential"
	case Busy:
		return 503, "Service Unavailable"
	}
	return 438, "Invalid Identity Header"
}

func fault(reason, why string) *Fault { return &Fault{reason, why} }
