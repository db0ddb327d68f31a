package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// digit is one DTMF digit as an INFO says it.
type digit struct {
	key      byte // 0-9, *, #, A-D
	duration time.Duration
}

var errNoDigit = errors.New("no DTMF digit in the INFO")

const (
	defaultDigit = 100 * time.Millisecond
	shortDigit   = 40 * time.Millisecond // what receivers still hear
	longDigit    = 6 * time.Second
)

// digitOf reads application/dtmf-relay ("Signal=5\r\nDuration=100") and application/dtmf ("5").
func digitOf(kind string, body []byte) (digit, error) {
	d := digit{duration: defaultDigit}
	text := strings.TrimSpace(string(body))
	if kind == "application/dtmf" && !strings.Contains(text, "=") {
		return d.with(text)
	}
	signal := ""
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "signal":
			signal = value
		case "duration":
			if ms, err := strconv.ParseUint(value, 10, 16); err == nil && ms > 0 {
				d.duration = min(max(time.Duration(ms)*time.Millisecond, shortDigit), longDigit)
			}
		}
	}
	return d.with(signal)
}

func (d digit) with(signal string) (digit, error) {
	switch signal = strings.ToUpper(signal); signal {
	case "10":
		signal = "*" // the event numbers of RFC 4733, as some phones write them
	case "11":
		signal = "#"
	}
	if len(signal) != 1 || !strings.Contains("0123456789*#ABCD", signal) {
		return digit{}, errNoDigit
	}
	d.key = signal[0]
	return d, nil
}

// trickled is what RFC 8840 §4.3 sends candidates in. Who talks to an ICE-lite agent needs none to be heard: its checks tell where it is.
const trickled = "application/trickle-ice-sdpfrag"

// onInfo is an INFO within the dialog: a digit becomes RFC 4733 towards the other side, and the peer hears 200 at once. Where the
// other side has no telephone-event the INFO itself goes on. Trickled candidates are passed over.
func (l *leg) onInfo(in inbound) {
	kind, _ := contentType(in.req)
	switch {
	case len(in.req.Body()) == 0, kind == trickled:
		l.call.respond(l, in.tx, reply{status: 200})
		return
	case kind != "application/dtmf-relay" && kind != "application/dtmf":
		l.call.respond(l, in.tx, reply{status: 415, why: "INFO of " + kind, headers: []sip.Header{
			sip.NewHeader("Accept", "application/dtmf-relay, application/dtmf"),
		}})
		return
	}
	d, err := digitOf(kind, in.req.Body())
	if err != nil {
		l.call.respond(l, in.tx, reply{status: 400, why: err.Error()})
		return
	}
	l.call.respond(l, in.tx, reply{status: 200})
	far := l.call.far(l)
	switch {
	case far == nil:
		return
	case far.neg.Direct:
		far.sendInfo(kind, in.req.Body())
		return
	case far.media == nil:
		return
	}
	if err := far.media.SendDigit(d.key, d.duration); err != nil {
		far.log.Debug("digit goes on as INFO", "error", err)
		far.sendInfo(kind, in.req.Body())
	}
}

// sendDigit tells the peer of a digit by INFO, in the form that every library and PBX reads.
func (l *leg) sendDigit(key byte, duration time.Duration) {
	l.sendInfo("application/dtmf-relay", fmt.Appendf(nil, "Signal=%c\r\nDuration=%d\r\n", key, duration.Milliseconds()))
}

// sendInfo passes an INFO on.
func (l *leg) sendInfo(kind string, body []byte) {
	if l.state != legConfirmed {
		return
	}
	out := l.dialog.request(sip.INFO)
	value := sip.ContentTypeHeader(kind)
	out.AppendHeader(&value)
	out.SetBody(body)
	l.send(out, func(ev transaction.Event) {
		if ev.Response != nil && lostDialog(ev.Response.StatusCode) {
			l.lost()
		}
	})
}
