package bridge

import (
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/media"
)

// Termination says why a call ended. Reason is stable: it stands in records, metrics and logs. Made by the constructors below.
type Termination struct {
	Reason  string       // "hangup", "cancelled", "refused", "media-timeout", …
	By      string       // "caller", "callee", "gateway"
	Status  int          // the final status for a caller without an answer
	Phrase  string       // its reason phrase; "": the RFC's
	Header  string       // the value of the Reason header for the peers (RFC 3326); "": made of Status and Reason
	Headers []sip.Header // what else the final response carries: challenges, Retry-After, …
}

const (
	byCaller  = "caller"
	byCallee  = "callee"
	byGateway = "gateway"

	reasonChallenged = "challenged"
)

// hungUp is a BYE; header is the Reason that it carried.
func hungUp(by, header string) Termination {
	return Termination{Reason: "hangup", By: by, Status: 487, Header: header}
}

// cancelled is a CANCEL; header is the Reason that it carried.
func cancelled(header string) Termination {
	return Termination{Reason: "cancelled", By: byCaller, Status: 487, Header: header}
}

// refusedBy is the callee's final refusal as the caller is to see it; the status was chosen in status.go.
func refusedBy(r refusal) Termination {
	return Termination{Reason: "refused", By: byCallee, Status: r.status, Phrase: r.phrase, Header: r.reason, Headers: r.headers}
}

// challenged is a 401 or 407 that goes to the caller; it will come again with credentials.
func challenged(r refusal) Termination {
	return Termination{Reason: reasonChallenged, By: byCallee, Status: r.status, Headers: r.headers}
}

// unusableChallenge is a challenge that no browser can answer.
func unusableChallenge(why string) Termination {
	return Termination{Reason: "no-usable-challenge", By: byGateway, Status: 403, Header: reasonValue(403, why)}
}

// unreachable is a callee none of whose members answered.
func unreachable(why string) Termination {
	return Termination{Reason: "unreachable", By: byGateway, Status: 480, Header: reasonValue(480, why)}
}

// noFlow is a browser whose connection is gone before it could answer or be answered.
func noFlow(by string) Termination {
	return Termination{Reason: "flow-lost", By: by, Status: 480, Header: reasonValue(480, "the browser's connection is gone")}
}

// orphaned is a call whose browser did not come back.
func orphaned() Termination {
	return Termination{Reason: "orphaned", By: byGateway, Status: 480, Header: reasonValue(480, "the browser did not come back")}
}

// ringTimeout is a callee that never decides.
func ringTimeout() Termination {
	return Termination{Reason: "ring-timeout", By: byGateway, Status: 480, Header: reasonValue(408, "nobody answered")}
}

// expired is a callee that has not decided when the caller's own limit is over (RFC 3261 §13.3.1).
func expired() Termination {
	return Termination{Reason: "expired", By: byCaller, Status: 487, Header: reasonValue(487, "the INVITE has expired")}
}

// ackTimeout is a caller that never acknowledged the answer.
func ackTimeout() Termination {
	return Termination{Reason: "ack-timeout", By: byGateway, Status: 408, Header: reasonValue(408, "no ACK")}
}

// prackTimeout is a caller that never acknowledged a reliable provisional (RFC 3262 §3).
func prackTimeout() Termination {
	return Termination{Reason: "prack-timeout", By: byGateway, Status: 504, Header: reasonValue(504, "no PRACK")}
}

// dialogLost is a peer that no longer knows the dialog.
func dialogLost(by string) Termination {
	return Termination{Reason: "dialog-lost", By: by, Status: 481, Header: reasonValue(481, "the far end knows the call no more")}
}

// mediaTimeout is a leg from which nothing has come for too long.
func mediaTimeout(leg string) Termination {
	return Termination{Reason: "media-timeout", By: byGateway, Status: 408, Header: reasonValue(408, "no media from the "+leg)}
}

// mediaFailed is a leg whose transport cannot work; the media's own word is the reason.
func mediaFailed(leg string, why media.Reason) Termination {
	return Termination{Reason: string(why), By: byGateway, Status: 488, Header: reasonValue(488, string(why)+" ("+leg+")")}
}

// sessionExpired is a peer that promised to refresh the session and did not (RFC 4028 §10).
func sessionExpired(leg string) Termination {
	return Termination{Reason: "session-expired", By: byGateway, Status: 408, Header: reasonValue(408, "no session refresh from the "+leg)}
}

// badSession is offer and answer that lead nowhere; the status is by the error's class.
func badSession(by string, err error) Termination {
	status := statusOf(err)
	return Termination{Reason: "session-refused", By: by, Status: status, Header: reasonValue(status, err.Error())}
}

// noResources is a gateway that is full.
func noResources(err error) Termination {
	return Termination{
		Reason: "no-resources", By: byGateway, Status: 503, Header: reasonValue(503, err.Error()),
		Headers: []sip.Header{sip.NewHeader("Retry-After", "10")},
	}
}

// full is a pool or trunk that takes no more calls.
func full(over *overQuota) Termination {
	return Termination{
		Reason: "over-quota", By: byGateway, Status: over.status, Header: reasonValue(over.status, over.why), Headers: over.headers(),
	}
}

// tollStopped is a call that costs, or would, what it may not.
func tollStopped(status int, why string) Termination {
	t := Termination{Reason: "toll-stopped", By: byGateway, Status: status, Header: reasonValue(status, why)}
	if status == 503 {
		t.Headers = []sip.Header{retryAfter()}
	}
	return t
}

// shuttingDown is the end of the process.
func shuttingDown() Termination {
	return Termination{Reason: "shutdown", By: byGateway, Status: 503, Header: reasonValue(503, "the gateway shuts down")}
}

// internalError is a fault of ours.
func internalError() Termination {
	return Termination{Reason: "internal-error", By: byGateway, Status: 500, Header: reasonValue(500, "internal error")}
}

// transferredBy is a call whose far leg talks to somebody else now, as its referrer wanted.
func transferredBy(by string) Termination {
	return Termination{Reason: "transferred", By: by, Status: 200, Header: reasonValue(200, "transferred")}
}

// replacedBy is a leg whose place another took (RFC 3891 §3).
func replacedBy(call string) Termination {
	return Termination{Reason: "replaced", By: byGateway, Status: 200, Header: reasonValue(200, "replaced by "+call)}
}

// transferLost is a leg whose transfer failed when nobody was left for it to talk to.
func transferLost(by string, status int) Termination {
	return Termination{Reason: "transfer-failed", By: by, Status: status, Header: reasonValue(status, "the transfer failed")}
}

// reasonFor is the value of the Reason header that a BYE, CANCEL or refusal carries.
func (t Termination) reasonFor() string {
	switch t.Reason {
	case "hangup", "cancelled", "refused", reasonChallenged: // a peer's own doing: only its own words
		return t.Header
	}
	if t.Header == "" {
		return reasonValue(t.Status, t.Reason)
	}
	return t.Header
}

func reasonValue(cause int, text string) string { return reasonHeader("SIP", cause, text).Value() }

// errNoAnswer is a peer that sent an answer without a session description where one was due.
var errNoAnswer = errors.New("the answer has no session description")

// errPanic is a fault of ours, held where it happened.
type errPanic struct {
	where string
	what  any
}

func (e errPanic) Error() string { return fmt.Sprintf("panic in %s: %v", e.where, e.what) }
