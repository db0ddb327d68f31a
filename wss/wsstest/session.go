package wsstest

import (
	"context"
	"strings"
)

// Session makes and takes the SDP of one call. *Media is the one with real media, Fixed one without. Close may be called twice.
type Session interface {
	Offer(ctx context.Context, ch Change) ([]byte, error)
	Answer(ctx context.Context, offer []byte) ([]byte, error)
	Accept(answer []byte) error // the answer to the last Offer
	Rollback() error            // the last Offer was refused
	Close() error
}

var (
	_ Session = (*Media)(nil)
	_ Session = Fixed(nil)
)

// Fixed is a Session that says the same text whenever it is asked (but for the direction), for tests of signalling.
type Fixed []byte

// FixedAudio is a Fixed with the offer, or answer, that Chrome would write; nothing listens behind it.
func FixedAudio() Fixed { return Fixed(fixedAudio) }

const fixedAudio = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n" +
	"a=msid-semantic: WMS stream\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96 9 0 8 97 126\r\nc=IN IP4 0.0.0.0\r\n" +
	"a=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:Yk3R\r\na=ice-pwd:0d3Xg7q2aUvYb8sN5wLrTzKc\r\na=ice-options:trickle\r\n" +
	"a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r\n" +
	"a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=msid:stream track\r\na=rtcp-mux\r\n" +
	"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n" +
	"a=rtpmap:8 PCMA/8000\r\na=rtpmap:97 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n" +
	"a=ssrc:1001 cname:wsstest\r\n"

// Offer is the text with the direction asked for.
func (f Fixed) Offer(_ context.Context, ch Change) ([]byte, error) {
	if ch.Direction == "" {
		return f, nil
	}
	return []byte(withDirection(string(f), ch.Direction)), nil
}

// Answer is the text with a direction that the offer allows, as the active side of DTLS.
func (f Fixed) Answer(_ context.Context, offer []byte) ([]byte, error) {
	text := strings.ReplaceAll(string(f), "a=setup:actpass", "a=setup:active")
	return []byte(withDirection(text, reverse(direction(string(offer))))), nil
}

// Accept, Rollback and Close have nothing to do.
func (f Fixed) Accept([]byte) error { return nil }

// Rollback has nothing to do.
func (f Fixed) Rollback() error { return nil }

// Close has nothing to do.
func (f Fixed) Close() error { return nil }
