// Package media relays the packets of calls as bridge/sdp's Plan says: ICE, DTLS-SRTP and plain RTP, one UDP port for all
// browsers, workers that own their relays, nothing allocated per packet.
//
// A packet's path: a worker's poll (worker.go) reads a batch (batch_linux.go) from the browsers' port or from a SIP-side
// port, demux.go says what it is and whose, srtp.go decrypts in place, relay.go rewrites by the Plan, the other leg
// encrypts in place and the batch goes out. Signalling reaches a worker only through its mailbox (mailbox.go).
package media
