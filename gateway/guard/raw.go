package guard

import "bytes"

// What is seen of a SIP message without parsing it: enough to drop it.

// isResponse says whether a message answers one of ours.
func isResponse(data []byte) bool { return bytes.HasPrefix(data, []byte("SIP/2.0 ")) }

// header gives the value of the first header of a name, in any case, or of its compact form; nil where there is none. A name is in
// lower case; compact may be 0.
func header(data []byte, name string, compact byte) []byte {
	for len(data) > 0 {
		line := data
		if end := bytes.IndexByte(data, '\n'); end >= 0 {
			line, data = data[:end], data[end+1:]
		} else {
			data = nil
		}
		if len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		if len(line) == 0 {
			return nil // the body
		}
		colon := len(name)
		if compact != 0 && line[0]|0x20 == compact && (len(line) > 1 && (line[1] == ':' || line[1] == ' ')) {
			colon = 1
		} else if !foldPrefix(line, name) {
			continue
		}
		if rest := bytes.TrimLeft(line[colon:], " \t"); len(rest) > 0 && rest[0] == ':' {
			return bytes.TrimSpace(rest[1:])
		}
	}
	return nil
}

func foldPrefix(line []byte, name string) bool {
	if len(line) < len(name) {
		return false
	}
	for i := range len(name) {
		c := line[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// addressIn gives the URI in a To or From, without parameters: nil where there is none.
func addressIn(value []byte) []byte {
	at := bytes.Index(value, []byte("sip"))
	if at < 0 {
		return nil
	}
	uri := value[at:]
	if end := bytes.IndexAny(uri, ">;? \t\""); end >= 0 {
		uri = uri[:end]
	}
	return uri
}

// withCredentials says whether a request carries any.
func withCredentials(data []byte) bool {
	return header(data, "authorization", 0) != nil || header(data, "proxy-authorization", 0) != nil
}
