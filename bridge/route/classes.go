package route

import "strings"

// Class is a kind of destinations, such as premium numbers, by how they begin.
type Class struct {
	Name   string
	Prefix []string
	Table  *Prefixes // may be nil
}

// Classes tell the class of a number: that of its longest prefix. They never change, so any goroutine may ask them.
type Classes struct{ list []Class }

// NewClasses makes Classes of a list, which is not kept.
func NewClasses(list []Class) *Classes {
	out := &Classes{}
	for _, c := range list {
		c.Prefix = plainAll(c.Prefix)
		out.list = append(out.list, c)
	}
	return out
}

// Of is the class of a user, seen as Plain has it; "" where it is of none. Of two classes with the same prefix it is the first.
func (c *Classes) Of(user string) string {
	user = Plain(user)
	found, longest := "", -1
	for _, class := range c.list {
		if n := class.length(user); n > longest {
			found, longest = class.Name, n
		}
	}
	return found
}

// length is that of the longest prefix of a user; -1 where the class has none.
func (c Class) length(user string) int {
	longest := -1
	for _, p := range c.Prefix {
		if len(p) > longest && strings.HasPrefix(user, p) {
			longest = len(p)
		}
	}
	if c.Table != nil {
		if entry, ok := c.Table.Lookup(user); ok {
			longest = max(longest, len(entry.Prefix))
		}
	}
	return longest
}
