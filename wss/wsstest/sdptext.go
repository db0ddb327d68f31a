package wsstest

import (
	"slices"
	"strings"
)

// directions as the lines that say them.
var directionLines = [...]string{"a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"}

func isDirection(line string) bool { return slices.Contains(directionLines[:], line) }

func lines(text string) []string {
	return strings.Split(strings.ReplaceAll(strings.TrimRight(text, "\r\n"), "\r\n", "\n"), "\n")
}

func join(lines []string) string { return strings.Join(lines, "\r\n") + "\r\n" }

// direction is what SIP.js takes for the direction: the first such line of the whole SDP; sendrecv where there is none.
func direction(text string) string {
	for _, line := range lines(text) {
		if isDirection(line) {
			return line[len("a="):]
		}
	}
	return "sendrecv"
}

// reverse is the widest direction that answers an offered one (RFC 3264 §6.1).
func reverse(offered string) string {
	switch offered {
	case "sendonly":
		return "recvonly"
	case "recvonly":
		return "sendonly"
	}
	return offered
}

func sends(direction string) bool    { return direction == "sendrecv" || direction == "sendonly" }
func receives(direction string) bool { return direction == "sendrecv" || direction == "recvonly" }

// both is what two directions, seen from the same side, have in common.
func both(a, b string) string {
	send, receive := sends(a) && sends(b), receives(a) && receives(b)
	switch {
	case send && receive:
		return "sendrecv"
	case send:
		return "sendonly"
	case receive:
		return "recvonly"
	}
	return "inactive"
}

// alwaysSendrecv is what pion hears: every stream sendrecv, also where the line is missing (RFC 8866 §6.7).
func alwaysSendrecv(text string) string {
	var out []string
	missing := false
	for _, line := range lines(text) {
		if strings.HasPrefix(line, "m=") && missing {
			out = append(out, "a=sendrecv")
		}
		switch {
		case strings.HasPrefix(line, "m="):
			missing = true
		case isDirection(line):
			missing = false
			line = "a=sendrecv"
		}
		out = append(out, line)
	}
	if missing {
		out = append(out, "a=sendrecv")
	}
	return join(out)
}

// withDirection gives every stream the direction.
func withDirection(text, direction string) string {
	out := lines(text)
	for i, line := range out {
		if isDirection(line) {
			out[i] = "a=" + direction
		}
	}
	return join(out)
}

// withWrongFingerprint changes each fingerprint's last byte.
func withWrongFingerprint(text string) string {
	out := lines(text)
	for i, line := range out {
		if !strings.HasPrefix(line, "a=fingerprint:") {
			continue
		}
		last := "00"
		if strings.HasSuffix(line, last) {
			last = "11"
		}
		out[i] = line[:len(line)-2] + last
	}
	return join(out)
}

// invariants are the lines of an answer that must stay the same from the 183 to the 200.
func invariants(body []byte) string {
	var kept []string
	for _, line := range lines(string(body)) {
		for _, prefix := range [...]string{"m=", "a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:", "a=mid:"} {
			if strings.HasPrefix(line, prefix) {
				kept = append(kept, line)
			}
		}
	}
	return strings.Join(kept, "\n")
}
