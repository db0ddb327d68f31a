package route

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Limits of a table file.
const (
	maxPrefix  = 64 // characters
	maxTargets = 16 // of a prefix
	maxFaults  = 10 // told at once
)

// FileError is a fault in a table file.
type FileError struct {
	File  string
	Line  int // from 1
	Words string
}

// Error is "file:line: words".
func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Words) }

// ReadPrefixes reads a table file; see ParsePrefixes.
func ReadPrefixes(file string, known func(target string) bool) (*Prefixes, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ParsePrefixes(file, text, known)
}

// ParsePrefixes reads a table: a line is a prefix and what is done with the numbers that begin with it, apart by blanks, tabs,
// commas or semicolons:
//
//	+49 carrier other   these targets, tried in this order
//	+49900 !403         rejected with that status
//	+49800 -            not of the table: the rule does not match
//	+43                 what the rule says
//
// Empty lines, and those that begin with #, say nothing. known says which targets there are. The error joins FileErrors.
func ParsePrefixes(file string, text []byte, known func(target string) bool) (*Prefixes, error) {
	r := prefixReader{file: file, known: known, kinds: map[string]uint32{}}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	r.lines = make([]prefixLine, 0, bytes.Count(text, []byte("\n"))+1)
	for number := int32(1); len(text) > 0 && len(r.faults) < maxFaults; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		r.line(number, line)
	}
	if len(r.faults) > 0 {
		return nil, r.err()
	}
	p, twice := newPrefixes(file, r.lines, r.entries)
	for _, l := range twice[:min(len(twice), maxFaults)] {
		r.fail(l.line, "the prefix stands here a second time")
	}
	return p, r.err()
}

// prefixReader collects the lines of a table.
type prefixReader struct {
	file    string
	known   func(string) bool
	lines   []prefixLine
	entries []Entry           // the distinct ones
	kinds   map[string]uint32 // their index + 1 by the text behind the prefix
	steps   []byte            // room for those of one prefix
	faults  []*FileError
}

func (r *prefixReader) fail(line int32, format string, args ...any) {
	r.faults = append(r.faults, &FileError{File: r.file, Line: int(line), Words: fmt.Sprintf(format, args...)})
}

func (r *prefixReader) err() error {
	slices.SortFunc(r.faults, func(a, b *FileError) int { return cmp.Compare(a.Line, b.Line) })
	var all []error
	for _, f := range r.faults {
		all = append(all, f)
	}
	return errors.Join(all...)
}

func separates(c rune) bool { return c == ' ' || c == '\t' || c == ',' || c == ';' || c == '\r' }

func (r *prefixReader) line(number int32, line []byte) {
	line = bytes.TrimFunc(line, separates)
	if len(line) == 0 || line[0] == '#' {
		return
	}
	prefix, rest := line, []byte(nil)
	if end := bytes.IndexFunc(line, separates); end >= 0 {
		prefix, rest = line[:end], line[end:]
	}
	if len(prefix) > maxPrefix || bytes.ContainsFunc(prefix, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		r.fail(number, "%.70q is not a prefix: up to %d printable characters, such as +4930", prefix, maxPrefix)
		return
	}
	entry, ok := r.kinds[string(rest)]
	if !ok {
		var words string
		if entry, words = r.entry(string(rest)); words != "" {
			r.fail(number, "%s", words)
			return
		}
	}
	r.steps = steps(r.steps[:0], Plain(string(prefix)))
	r.lines = append(r.lines, prefixLine{steps: string(r.steps), entry: entry, line: number})
}

// entry reads what stands behind a prefix; words say what is wrong with it.
func (r *prefixReader) entry(rest string) (index uint32, words string) {
	var e Entry
	fields := strings.FieldsFunc(rest, separates)
	switch {
	case len(fields) == 1 && fields[0] == "-":
		e.Not = true
	case len(fields) == 1 && strings.HasPrefix(fields[0], "!"):
		status, err := strconv.Atoi(fields[0][1:])
		if err != nil || status < 400 || status > 699 {
			return 0, fmt.Sprintf("%.40q rejects with no SIP status from 400 to 699", fields[0])
		}
		e.Reject = status
	case len(fields) > maxTargets:
		return 0, fmt.Sprintf("%d targets; %d are the most", len(fields), maxTargets)
	default:
		for i, name := range fields {
			if !r.known(name) {
				return 0, fmt.Sprintf("%.40q is no pool or trunk, nor %s, nor !STATUS or - alone", name, Browsers)
			}
			if slices.Contains(fields[:i], name) {
				return 0, fmt.Sprintf("%q stands twice", name)
			}
			e.Targets = append(e.Targets, Target{Name: name, Priority: i + 1, Weight: 1})
		}
	}
	r.entries = append(r.entries, e)
	index = uint32(len(r.entries))
	r.kinds[rest] = index
	return index, ""
}
