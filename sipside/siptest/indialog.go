package siptest

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// serve takes the requests within an extension's dialog.
func (x *exten) serve(in *Incoming) {
	switch in.Request().Method {
	case sip.BYE:
		x.mu.Lock()
		x.gone = true
		x.mu.Unlock()
		x.pbx.respond(in, Reply{Status: sip.StatusOK})
		x.end()
	case sip.INVITE, sip.UPDATE:
		x.renegotiate(in)
	case sip.INFO:
		x.dial(in)
	case sip.OPTIONS, sip.MESSAGE:
		x.pbx.respond(in, Reply{Status: sip.StatusOK, Headers: []sip.Header{allow()}})
	default:
		x.pbx.respond(in, Reply{Status: sip.StatusMethodNotAllowed, Headers: []sip.Header{allow()}})
	}
}

// renegotiate answers a re-INVITE or UPDATE: hold, resume, another address, or a mere refresh.
func (x *exten) renegotiate(in *Incoming) {
	req := in.Request()
	x.mu.Lock()
	dialog := x.dialog
	x.mu.Unlock()
	if req.Method == sip.INVITE && dialog == nil {
		x.pbx.respond(in, Reply{Status: sip.StatusInternalServerError, Headers: []sip.Header{sip.NewHeader("Retry-After", "1")}})
		return
	}
	var sdp string
	var err error
	switch {
	case in.SDP() != "":
		sdp, err = x.media.Answer(in.SDP())
	case req.Method == sip.INVITE:
		sdp = x.media.Offer("sendrecv")
	}
	if err != nil {
		x.pbx.respond(in, Reply{Status: sip.StatusNotAcceptableHere})
		return
	}
	if dialog != nil {
		dialog.refresh(req.Contact())
	}
	if req.Method == sip.UPDATE {
		x.pbx.respond(in, Reply{Status: sip.StatusOK, SDP: sdp})
		return
	}
	x.pbx.wg.Go(func() {
		d, err := in.Accept(x.pbx.ctx, Reply{SDP: sdp})
		if err == nil && in.SDP() == "" {
			err = x.media.Connect(d.Remote)
		}
		if err != nil && x.pbx.ctx.Err() == nil {
			x.pbx.agent.log.Warn("siptest: re-INVITE failed", "call", req.CallID().Value(), "error", err)
		}
	})
}

// dial takes a digit that comes by INFO, as application/dtmf-relay or application/dtmf.
func (x *exten) dial(in *Incoming) {
	key := infoDigit(string(in.Request().Body()))
	x.pbx.respond(in, Reply{Status: sip.StatusOK})
	if key == "" {
		return
	}
	x.mu.Lock()
	x.info += key
	x.mu.Unlock()
	select {
	case x.dialed <- struct{}{}:
	default:
	}
}

// infoDigit is the key in an INFO's body: "Signal=5\r\nDuration=100", or just "5".
func infoDigit(body string) string {
	key := strings.TrimSpace(body)
	for line := range strings.Lines(body) {
		if name, value, ok := strings.Cut(line, "="); ok && strings.EqualFold(strings.TrimSpace(name), "Signal") {
			key = strings.TrimSpace(value)
			break
		}
	}
	if len(key) == 1 && strings.Contains(keys, strings.ToUpper(key)) {
		return strings.ToUpper(key)
	}
	return ""
}
