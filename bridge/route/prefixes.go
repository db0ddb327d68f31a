package route

import (
	"math/bits"
	"slices"
	"strings"
)

// Prefixes finds the longest of millions of prefixes with which a number begins. It never changes, so any goroutine may ask it.
// It is a trie of 16-way nodes of twelve bytes, whose children stand side by side: a look-up touches one node for each
// digit, and the upper levels stay in the processor's caches.
type Prefixes struct {
	name    string
	nodes   []prefixNode
	entries []Entry
	count   int
}

// Entry is what stands in a table beside a prefix. The zero Entry leaves it to the rule.
type Entry struct {
	Targets []Target
	Reject  int  // status, where not 0
	Not     bool // the prefix is not of the table: the rule does not match
	Prefix  string
}

func (e Entry) silent() bool { return len(e.Targets) == 0 && e.Reject == 0 }

// prefixNode is where a beginning leads; has says for which steps there is a child, the first of which stands at first.
type prefixNode struct {
	first uint32
	entry uint32 // index + 1; 0: nothing ends here
	has   uint16
}

// Steps of a byte: those of telephone numbers take one, in the order of ASCII, all others three, of which the first is stepEscape.
const stepEscape = 15

func stepOf(c byte) uint8 {
	switch {
	case c >= '0' && c <= '9':
		return 3 + c - '0'
	case c == '+':
		return 2
	case c == '*':
		return 1
	case c == '#':
		return 0
	}
	return stepEscape
}

// steps appends those of a text.
func steps(to []byte, text string) []byte {
	for i := range len(text) {
		s := stepOf(text[i])
		to = append(to, s)
		if s == stepEscape {
			to = append(to, text[i]>>4, text[i]&15)
		}
	}
	return to
}

// Name is the table's file.
func (p *Prefixes) Name() string { return p.name }

// Len counts the prefixes.
func (p *Prefixes) Len() int { return p.count }

// Targets are the names that stand in the table, and whether some prefix leaves it to the rule.
func (p *Prefixes) Targets() (names []string, silent bool) {
	for _, e := range p.entries {
		silent = silent || e.silent() && !e.Not
		for _, t := range e.Targets {
			if !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	return names, silent
}

// Lookup gives the entry of the longest prefix of a user, with the prefix itself; false where there is none, or it is not of the
// table.
func (p *Prefixes) Lookup(user string) (Entry, bool) {
	var found uint32
	length := 0
	at := uint32(0)
	if len(p.nodes) == 0 {
		return Entry{}, false
	}
	for i := 0; ; i++ {
		if e := p.nodes[at].entry; e != 0 {
			found, length = e, i
		}
		if i == len(user) {
			break
		}
		var ok bool
		if at, ok = p.follow(at, user[i]); !ok {
			break
		}
	}
	if found == 0 || p.entries[found-1].Not {
		return Entry{}, false
	}
	e := p.entries[found-1]
	e.Prefix = user[:length]
	return e, true
}

// follow goes from a node along one byte.
func (p *Prefixes) follow(at uint32, c byte) (uint32, bool) {
	s := stepOf(c)
	at, ok := p.child(at, s)
	if s == stepEscape && ok {
		if at, ok = p.child(at, c>>4); ok {
			at, ok = p.child(at, c&15)
		}
	}
	return at, ok
}

func (p *Prefixes) child(at uint32, step uint8) (uint32, bool) {
	n := &p.nodes[at]
	if n.has&(1<<step) == 0 {
		return 0, false
	}
	return n.first + uint32(bits.OnesCount16(n.has&(1<<step-1))), true
}

// prefixLine is one prefix as it was read.
type prefixLine struct {
	steps string
	entry uint32 // index + 1
	line  int32
}

// newPrefixes builds the trie of lines, which it sorts; twice are the lines of a prefix that stands there a second time.
func newPrefixes(name string, lines []prefixLine, entries []Entry) (p *Prefixes, twice []prefixLine) {
	slices.SortStableFunc(lines, func(a, b prefixLine) int { return strings.Compare(a.steps, b.steps) })
	for i := 1; i < len(lines); i++ {
		if lines[i].steps == lines[i-1].steps {
			twice = append(twice, lines[i])
		}
	}
	if len(twice) > 0 {
		return nil, twice
	}
	p = &Prefixes{name: name, entries: entries, count: len(lines), nodes: make([]prefixNode, 1, 1+len(lines)*2)}
	p.grow(0, lines, 0)
	p.nodes = slices.Clip(p.nodes)
	return p, nil
}

// grow makes the children of a node from sorted lines that all lead through it, having taken depth steps. It goes as deep as the
// longest prefix has steps.
func (p *Prefixes) grow(at uint32, lines []prefixLine, depth int) {
	if len(lines) > 0 && len(lines[0].steps) == depth {
		p.nodes[at].entry = lines[0].entry
		lines = lines[1:]
	}
	var ends [16]int
	var has uint16
	for i := 0; i < len(lines); {
		s := lines[i].steps[depth]
		i += len(sharing(lines[i:], depth, s))
		ends[s] = i
		has |= 1 << s
	}
	first := uint32(len(p.nodes))
	p.nodes[at].first, p.nodes[at].has = first, has
	p.nodes = append(p.nodes, make([]prefixNode, bits.OnesCount16(has))...)
	begin, child := 0, first
	for s := range 16 {
		if has&(1<<s) != 0 {
			p.grow(child, lines[begin:ends[s]], depth+1)
			begin = ends[s]
			child++
		}
	}
}

// sharing are the lines at the front that take the same step.
func sharing(lines []prefixLine, depth int, step byte) []prefixLine {
	n, _ := slices.BinarySearchFunc(lines, step, func(l prefixLine, s byte) int {
		if l.steps[depth] <= s {
			return -1
		}
		return 1
	})
	return lines[:n]
}
