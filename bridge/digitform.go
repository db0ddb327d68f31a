package bridge

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
)

// settleDigits says to both legs' media how digits cross, by what the plan has for them.
func settleDigits(a, b *leg, plan sdp.Plan) {
	s := plan.Streams[sdp.Audio]
	forms := [2]media.DigitForm{a.digitForm(s, 0), b.digitForm(s, 1)}
	for side, l := range []*leg{a, b} {
		l.media.SetDigits(media.Digits{
			Form:   forms[side],
			Detect: l.speaksTones(s, side) && forms[1-side] != media.DigitTones,
		})
	}
}

// digitForm is how digits reach the leg's peer.
func (l *leg) digitForm(s sdp.PlannedStream, side int) media.DigitForm {
	switch {
	case l.digits == DTMFInfo:
		return media.DigitReport
	case l.digits == DTMFEvents || l.digits != DTMFInband && s.Telephone[side].Name != "":
		return media.DigitEvents
	case g711(s.Codec[side]) && (l.digits == DTMFInband || !l.browser()):
		return media.DigitTones
	case l.dialog.allows(sip.INFO):
		return media.DigitReport
	}
	return media.DigitEvents
}

// speaksTones says whether the peer's digits are to be looked for in its audio: it has no other form.
func (l *leg) speaksTones(s sdp.PlannedStream, side int) bool {
	switch l.digits {
	case DTMFInband:
		return true
	case DTMFEvents, DTMFInfo:
		return false
	}
	return !l.browser() && s.Telephone[side].Name == ""
}

func g711(c sdp.Codec) bool {
	return strings.EqualFold(c.Name, "PCMU") || strings.EqualFold(c.Name, "PCMA")
}
