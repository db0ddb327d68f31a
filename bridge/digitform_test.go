package bridge

import (
	"testing"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
)

func TestDigitForms(t *testing.T) {
	t.Parallel()
	const allows, deaf = "INVITE, INFO", "INVITE"
	events := sdp.Codec{Name: "telephone-event", Clock: 8000}
	for _, c := range []struct {
		mode    DTMF
		browser bool
		codec   string
		events  bool
		allow   string
		form    media.DigitForm
		tones   bool // looked for in the peer's audio
	}{
		{"", false, "PCMU", true, allows, media.DigitEvents, false},
		{"", false, "PCMA", false, allows, media.DigitTones, true},
		{"", false, "opus", false, allows, media.DigitReport, true},
		{"", false, "opus", false, deaf, media.DigitEvents, true},
		{"", true, "opus", true, allows, media.DigitEvents, false},
		{"", true, "PCMU", false, allows, media.DigitReport, false},
		{DTMFAuto, false, "PCMU", true, deaf, media.DigitEvents, false},
		{DTMFEvents, false, "PCMU", false, allows, media.DigitEvents, false},
		{DTMFInfo, false, "PCMU", true, deaf, media.DigitReport, false},
		{DTMFInband, false, "PCMU", true, allows, media.DigitTones, true},
		{DTMFInband, false, "G722", true, allows, media.DigitReport, true},
	} {
		l := &leg{profile: sdp.RTP, digits: c.mode}
		if c.browser {
			l.profile = sdp.WebRTC
		}
		l.dialog.Allow = c.allow
		var s sdp.PlannedStream
		s.Codec[1] = sdp.Codec{Name: c.codec, Clock: 8000}
		if c.events {
			s.Telephone[1] = events
		}
		if form, tones := l.digitForm(s, 1), l.speaksTones(s, 1); form != c.form || tones != c.tones {
			t.Errorf("%+v: form %d, tones %v", c, form, tones)
		}
	}
}
