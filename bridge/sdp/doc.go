// Package sdp is offer and answer (RFC 3264, RFC 8829, RFC 8866) between legs of different profiles, as pure functions:
// text in, text and a Plan for the media out. Nothing here does I/O, keeps state or knows SIP.
//
// A browser (leg a) calls a PBX (leg b):
//
//	a := NewLeg(WebRTC, mediaA.Local(), idA)
//	b := NewLeg(RTP, mediaB.Local(), idB)
//	a, err = a.HearOffer(invite)              // parse.go cuts, describe.go reads, choose.go picks the audio stream
//	b, offer, err := b.Offer(a.Heard)         // offer.go: the browser's codecs under b's payload types
//	b, err = b.HearAnswer(ok)                 // answer.go fits it to the offer
//	a, answer, err := a.Answer(b.Heard)       // the PBX's codecs and direction under the browser's payload types
//	plan, err := Join(a, b)                   // join.go: payload tables and directions for the media engine
//
// Each method gives the changed copy. A branch keeps the copy that made its offer and lets it hear each fork's answer, or
// that of a 183 and again that of the 200; a failed attempt is forgotten by using the older value. The 200 after a 183
// says a.Repeat(). Mid-call either leg hears an offer in the same way; a.Alters(a.Before) says whether the far side must
// be asked at all, and a.Restarted whether Local must be renewed before the Answer. A refused offer is undone by Rollback.
//
// Payload types belong to a leg for its life. Packets to a peer carry the number in the peer's description, packets from
// it that in ours; Join's tables know both.
package sdp
