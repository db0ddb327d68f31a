package bridge

import (
	"reflect"
	"testing"
)

// What belongs to events and to bodies crosses with requests that make no call, and nothing else does so.
func TestEventHeadersPass(t *testing.T) {
	t.Parallel()
	events := []string{
		"Require: eventlist", "Event: presence", "Allow-Events: presence, dialog", "Subscription-State: active;expires=60",
		"Accept: application/pidf+xml", "Expires: 600", "Min-Expires: 60", "SIP-ETag: x1", "SIP-If-Match: x0", "Suppress-If-Match: x0",
	}
	bodies := []string{
		"Content-Type: text/plain", "Content-Encoding: identity", "Content-Language: de", "Content-Disposition: render", "MIME-Version: 1.0",
	}
	legs := []string{"Contact: <sip:a@x.invalid>", "Route: <sip:10.0.0.1;lr>", "Supported: path", "Session-Expires: 90", "Allow: INVITE"}
	req := parsed(t, "PUBLISH", append(append(append([]string{}, events...), bodies...), legs...)...)
	if got := lines(pick(req.Headers(), tellsOfEvents)); !reflect.DeepEqual(got, events) {
		t.Errorf("of events:\ngot  %q\nwant %q", got, events)
	}
	if got := lines(pick(req.Headers(), describesBody)); !reflect.DeepEqual(got, bodies) {
		t.Errorf("of bodies:\ngot  %q\nwant %q", got, bodies)
	}
}
