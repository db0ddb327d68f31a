// Package identity holds what the gateway does with digest (RFC 2617, RFC 7616, RFC 8760): it shows browsers one MD5
// challenge, and finds the backend that issued a nonce again. It computes no digest here: forward mode passes credentials through.
package identity
