// Package load is a lean load generator for gateways between WebRTC and RTP. It is both ends of each call: the browser with ICE,
// DTLS and SRTP, and the phone with plain RTP. One goroutine sends and reads the packets of all sessions.
//
// Each session has an address of its own on either side, 127.64.x.y as the browser and 127.128.x.y as the phone, so that a
// gateway has as many peers as there are calls; one socket for each side serves them all, by IP_PKTINFO. A packet's latency is
// taken from before the system call that sends it to the kernel's time stamp of its arrival, so that how often the generator
// reads does not count.
package load
