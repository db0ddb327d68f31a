// Package stir signs and verifies who calls: PASSporTs (RFC 8225) with SHAKEN's claims (RFC 8588) in Identity headers (RFC 8224),
// by certificates for telephone numbers (RFC 8226). It knows no SIP messages; numbers are digits of E.164 without a plus sign.
package stir
