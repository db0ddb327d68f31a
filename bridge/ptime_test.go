package bridge

import (
	"strings"
	"testing"
)

// A side that wants longer packets in a running call has the other side asked for them; a refresh that wants nothing new stays here.
func TestNewPacketLengthReachesTheOtherSide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	caller, callee := w.trunkCall([2]string{session(1, "m=audio 4000 RTP/AVP 0", "a=ptime:20"), session(1, "m=audio 4100 RTP/AVP 0")})
	res, err := callee.Reinvite(w.ctx(), session(2, "m=audio 4100 RTP/AVP 0", "a=ptime:20"))
	w.check(err)
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=ptime:20\r\n") {
		t.Errorf("the refresh got %d\n%s", res.StatusCode, res.Body())
	}
	offer, answer := w.reoffer(callee, caller,
		session(3, "m=audio 4100 RTP/AVP 0", "a=ptime:40"), session(2, "m=audio 4000 RTP/AVP 0", "a=ptime:20", "a=maxptime:30"))
	if !strings.Contains(offer, "a=ptime:40\r\n") || !strings.Contains(answer, "a=ptime:20\r\na=maxptime:30\r\n") {
		t.Errorf("offered\n%s\nanswered\n%s", offer, answer)
	}
}
