package bridge

import (
	"fmt"
	"strconv"
	"strings"
)

// sipfrag is the body of a NOTIFY about a REFER: a status line (RFC 3515 §2.4.5, RFC 3420).
func sipfrag(status int, reason string) []byte {
	if reason == "" || !oneLine(reason) {
		reason = phrase(status)
	}
	return fmt.Appendf(nil, "SIP/2.0 %d %s\r\n", status, reason)
}

// parseSipfrag reads the status of such a body, 0 where it has none.
func parseSipfrag(body []byte) int {
	line, _, _ := strings.Cut(string(body), "\n")
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "SIP/") {
		return 0
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil || status < 100 || status > 699 {
		return 0
	}
	return status
}
