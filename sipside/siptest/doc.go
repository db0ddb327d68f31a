// Package siptest is the SIP world for tests and the demo: real SIP over UDP and TCP, real RTP, on plain sockets of its own.
// Agent is a user agent that a test scripts message by message; Media is its voice and ear; PBX is a small telephone
// exchange built on both.
package siptest
