package sdp

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of a heard text: real ones stay far below (a browser with twenty video senders says 60 kB), and a hostile one
// costs little. All work on a text is linear in its length.
const (
	maxText    = 64 << 10
	maxLines   = 4096
	maxMedia   = 32
	maxFormats = 128

	maxBandwidth = 4
)

// Errors have a class, for the SIP status is chosen from it in one place (the bridge).
var (
	ErrMalformed     = errors.New("sdp: malformed")            // → 400
	ErrNotAcceptable = errors.New("sdp: nothing acceptable")   // → 488: no common codec, profile or stream
	ErrNoState       = errors.New("sdp: answer without offer") // a fault of ours
)

// attribute is one a= line.
type attribute struct {
	key, value string
	line       int
}

// section is the session's part of a text or one m-line's.
type section struct {
	line           int
	media          string // the m= line's value
	connection     string // the c= line's value
	connectionLine int
	bandwidth      []string // the b= lines' values
	attributes     []attribute
}

// get is the first value of an attribute.
func (s section) get(key string) (value string, ok bool) {
	for _, a := range s.attributes {
		if a.key == key {
			return a.value, true
		}
	}
	return "", false
}

// has says whether the attribute is there.
func (s section) has(key string) bool {
	_, ok := s.get(key)
	return ok
}

// rtpmap is the rtpmap of one format, empty where there is none.
func (s section) rtpmap(format string) string {
	format += " "
	for _, a := range s.attributes {
		if value, ok := strings.CutPrefix(a.value, format); ok && a.key == "rtpmap" {
			return value
		}
	}
	return ""
}

// document is a text cut into sections.
type document struct {
	origin  string
	session section
	media   []section
}

// words are the first words of a text, as many as there is room for.
func words(text string, room []string) []string {
	n := 0
	for word := range strings.FieldsSeq(text) {
		if n == len(room) {
			break
		}
		room[n] = word
		n++
	}
	return room[:n]
}

// malformed is an ErrMalformed with its line.
func malformed(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrMalformed, line, fmt.Sprintf(format, args...))
}

// parse cuts a text into sections (RFC 8866 §5). It is more tolerant than pion/sdp, which refuses whole texts for what
// PBXs really send: m=image with udptl, unknown b= types, lines out of order, no newline at the end. It takes CRLF and LF,
// empty lines, Latin-1 names and any order after v=; unknown lines are passed over.
func parse(text []byte) (document, error) {
	var d document
	if len(text) > maxText {
		return d, fmt.Errorf("%w: %d bytes, more than %d", ErrMalformed, len(text), maxText)
	}
	begun := false
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if number > maxLines {
			return d, malformed(number, "more than %d lines", maxLines)
		}
		line = strings.ToValidUTF8(strings.TrimRight(line, " \t\r\n"), "?") // a snapshot's JSON could not keep other bytes
		if line == "" {
			continue
		}
		if err := checkLine(line, number); err != nil {
			return d, err
		}
		if !begun && line != "v=0" {
			return d, malformed(number, "v=0 expected")
		}
		begun = true
		if err := d.add(line[0], line[2:], number); err != nil {
			return d, err
		}
	}
	if !begun {
		return d, fmt.Errorf("%w: empty", ErrMalformed)
	}
	if d.origin == "" {
		return d, fmt.Errorf("%w: no o= line", ErrMalformed)
	}
	return d, nil
}

// checkLine refuses what is not a line of SDP. Control characters must not come through: parts of a line are repeated in
// our own texts, and a lone CR would be a new line to some.
func checkLine(line string, number int) error {
	if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
		return malformed(number, "not of the form x=value")
	}
	for i := range len(line) {
		if line[i] < ' ' && line[i] != '\t' || line[i] == 0x7f {
			return malformed(number, "control character")
		}
	}
	return nil
}

func (d *document) add(kind byte, value string, line int) error {
	value = strings.TrimLeft(value, " \t")
	current := &d.session
	if len(d.media) > 0 {
		current = &d.media[len(d.media)-1]
	}
	switch kind {
	case 'o':
		if d.origin == "" {
			d.origin = value
		}
	case 'c':
		if current.connection == "" {
			current.connection, current.connectionLine = value, line
		}
	case 'b':
		if len(current.bandwidth) < maxBandwidth {
			current.bandwidth = append(current.bandwidth, value)
		}
	case 'a':
		key, value, _ := strings.Cut(value, ":")
		if current.attributes == nil {
			current.attributes = make([]attribute, 0, 8)
		}
		current.attributes = append(current.attributes, attribute{key, strings.TrimSpace(value), line})
	case 'm':
		if len(d.media) == maxMedia {
			return malformed(line, "more than %d m-lines", maxMedia)
		}
		d.media = append(d.media, section{media: value, line: line})
	}
	return nil
}
