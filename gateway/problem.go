package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of the configuration.
type Problem struct {
	File         string // "" where no file holds it
	Line, Column int    // from 1; 0 where the key was not written
	Key          string // the path: "pools.pbx.members[1].uri"
	Words        string // what is wrong, and what to write
}

// String is "file:line:col: key: words".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Words)
	return b.String()
}

// Problems are all faults of a configuration, in the order of the file. As an error it has a line for each.
type Problems []Problem

// Error implements error.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// err is nil for no problems; sorted otherwise.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p
}

// position is a place in a file, from 1.
type position struct{ line, column int }

// source says where the keys of a configuration stand.
type source struct {
	file string
	at   map[string]position // by path
}

// problem words a fault of the key at path; a key that is not written gets the place of the section that lacks it.
func (s source) problem(path, format string, args ...any) Problem {
	p := Problem{File: s.file, Key: path, Words: fmt.Sprintf(format, args...)}
	for at := path; at != ""; at = parentPath(at) {
		if pos, found := s.at[at]; found {
			p.Line, p.Column = pos.line, pos.column
			break
		}
	}
	return p
}

// parentPath is "a.b" for "a.b.c" and for "a.b[0]"; "" for "a".
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
