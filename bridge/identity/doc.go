// Package identity says who a browser is. In forward mode it shows browsers one MD5 challenge of a backend, and finds the backend
// that issued a nonce again (RFC 2617, RFC 7616, RFC 8760). For vouch and local a Gate judges credentials itself: digest against a
// password file or an HTTP callback, and signed tokens (RFC 7519, RFC 8898).
package identity
