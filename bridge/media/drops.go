package media

// DropReason says why a packet went no further. Its String is the metric's label.
type DropReason uint8

// The reasons, in the order in which a packet meets them.
const (
	dropNone DropReason = iota
	DropOversize
	DropProtocol
	DropSTUNMalformed
	DropSTUNUnexpected
	DropSTUNUfrag
	DropSTUNNode
	DropSTUNIntegrity
	DropSTUNRole
	DropSTUNRate
	DropHandoffFull
	DropNotValidated
	DropFailed
	DropDTLSMalformed
	DropDTLSEarly
	DropDTLSAlert
	DropDTLSUnexpected
	DropDTLSBusy
	DropBeforeDTLS
	DropSRTPAuth
	DropSRTPReplay
	DropSSRCLimit
	DropRTPMalformed
	DropRTCPMalformed
	DropUnclaimed
	DropEnded
	DropSource
	DropInjected
	DropSSRC
	DropNotJoined
	DropHeld
	DropPayload
	DropDigit
	DropConverter
	DropDuplicate
	DropLate
	DropFeedback
	DropFeedbackRate
	DropRTCPType
	DropPeerNotReady
	DropConsent
	DropSRTPSend
	DropSendBuffer
	DropSendError
	DropTCPLimit
	DropTCPSilent
	DropTCPQueue
	DropControlFull
	DropAllocation
	DropChannel
	DropPermission
	DropMeter
	DropPanic
	dropCount
)

func dropNames() [dropCount]string {
	return [dropCount]string{
		dropNone:           "none",
		DropOversize:       "oversize",
		DropProtocol:       "unknown-protocol",
		DropSTUNMalformed:  "stun-malformed",
		DropSTUNUnexpected: "stun-unexpected",
		DropSTUNUfrag:      "stun-unknown-ufrag",
		DropSTUNNode:       "stun-other-node",
		DropSTUNIntegrity:  "stun-integrity",
		DropSTUNRole:       "stun-role-conflict",
		DropSTUNRate:       "stun-rate",
		DropHandoffFull:    "handoff-full",
		DropNotValidated:   "not-validated",
		DropFailed:         "leg-failed",
		DropDTLSMalformed:  "dtls-malformed",
		DropDTLSEarly:      "dtls-early",
		DropDTLSAlert:      "dtls-alert",
		DropDTLSUnexpected: "dtls-unexpected",
		DropDTLSBusy:       "dtls-busy",
		DropBeforeDTLS:     "before-dtls",
		DropSRTPAuth:       "srtp-auth",
		DropSRTPReplay:     "srtp-replay",
		DropSSRCLimit:      "ssrc-limit",
		DropRTPMalformed:   "rtp-malformed",
		DropRTCPMalformed:  "rtcp-malformed",
		DropUnclaimed:      "unclaimed", // the shared port knows no leg at that source
		DropEnded:          "ended",     // a late packet of a call that is over
		DropSource:         "source",
		DropInjected:       "injected",
		DropSSRC:           "ssrc-unlearnt",
		DropNotJoined:      "not-joined",
		DropHeld:           "held",
		DropPayload:        "payload-type",
		DropDigit:          "digit",
		DropConverter:      "converter-full",
		DropDuplicate:      "rtp-duplicate",
		DropLate:           "rtp-late",
		DropFeedback:       "rtcp-feedback",      // the other leg has not negotiated it
		DropFeedbackRate:   "rtcp-feedback-rate", // asked for too often
		DropRTCPType:       "rtcp-type",
		DropPeerNotReady:   "peer-not-ready",
		DropConsent:        "no-consent",
		DropSRTPSend:       "srtp-send",
		DropSendBuffer:     "send-buffer",
		DropSendError:      "send-error",
		DropTCPLimit:       "tcp-limit",
		DropTCPSilent:      "tcp-silent",
		DropTCPQueue:       "tcp-queue",
		DropControlFull:    "turn-full",          // a TURN server, or a TURN client's connection, does not keep up
		DropAllocation:     "turn-no-allocation", // ChannelData of nobody, or for a client that has gone
		DropChannel:        "turn-no-channel",    // ChannelData of a channel that is not bound
		DropPermission:     "turn-no-permission", // RFC 8656 §9
		DropMeter:          "turn-bandwidth",
		DropPanic:          "panic",
	}
}

// String is the reason's label.
func (r DropReason) String() string {
	if r >= dropCount {
		return "unknown"
	}
	return dropNames()[r]
}
