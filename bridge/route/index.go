package route

import (
	"slices"
	"strings"
)

// index finds the rules that may match a query: by origin, by domain, and by what the user has to begin with. What it leaves out
// does not match; what it gives may match.
type index struct {
	scopes map[scope]*bucket
	wild   bool // some domain begins with *
}

// scope is a rule's origin and domain; "" is any.
type scope struct{ from, domain string }

// bucket holds the rules of one scope by their index, ascending.
type bucket struct {
	any      []int32 // whatever the user is
	byPrefix map[string][]int32
	lengths  []int // of the prefixes, ascending
}

func newIndex(rules []rule) index {
	x := index{scopes: map[scope]*bucket{}}
	for i := range rules {
		r := &rules[i]
		x.wild = x.wild || r.wild != ""
		key := scope{r.From, r.Domain}
		b := x.scopes[key]
		if b == nil {
			b = &bucket{byPrefix: map[string][]int32{}}
			x.scopes[key] = b
		}
		b.add(int32(i), r.beginnings())
	}
	return x
}

func (b *bucket) add(rule int32, beginnings []string) {
	if len(beginnings) == 0 || slices.Contains(beginnings, "") {
		b.any = append(b.any, rule)
		return
	}
	for _, p := range beginnings {
		if list := b.byPrefix[p]; len(list) > 0 && list[len(list)-1] == rule {
			continue
		}
		b.byPrefix[p] = append(b.byPrefix[p], rule)
		if at, found := slices.BinarySearch(b.lengths, len(p)); !found {
			b.lengths = slices.Insert(b.lengths, at, len(p))
		}
	}
}

// beginnings are what the user of a matching request begins with, one of them; none: anything.
func (r *rule) beginnings() []string {
	if len(r.Prefix) > 0 {
		return r.Prefix
	}
	if r.User != nil {
		return literalPrefixes(r.User.String())
	}
	return nil
}

// candidates calls take with the indices of the rules that may match, ascending, from q.After on, until it says true.
func (x *index) candidates(q *Query, take func(rule int) bool) {
	var room [64][]int32
	lists := room[:0]
	lists = x.inDomains(lists, "", q)
	if q.From != "" {
		lists = x.inDomains(lists, q.From, q)
	}
	x.merge(lists, int32(q.After), take)
}

// inDomains adds the lists of an origin's rules.
func (x *index) inDomains(lists [][]int32, from string, q *Query) [][]int32 {
	lists = x.inScope(lists, scope{from, ""}, q.User)
	if q.Domain == "" {
		return lists
	}
	lists = x.inScope(lists, scope{from, q.Domain}, q.User)
	if !x.wild {
		return lists
	}
	for at := strings.IndexByte(q.Domain, '.'); at >= 0; {
		lists = x.inScope(lists, scope{from, "*" + q.Domain[at:]}, q.User)
		next := strings.IndexByte(q.Domain[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return lists
}

func (x *index) inScope(lists [][]int32, key scope, user string) [][]int32 {
	b := x.scopes[key]
	if b == nil {
		return lists
	}
	if len(b.any) > 0 {
		lists = append(lists, b.any)
	}
	for _, n := range b.lengths {
		if n > len(user) {
			break
		}
		if found := b.byPrefix[user[:n]]; len(found) > 0 {
			lists = append(lists, found)
		}
	}
	return lists
}

// merge calls take with what stands in sorted lists, in order and once.
func (x *index) merge(lists [][]int32, after int32, take func(rule int) bool) {
	last := after - 1
	for {
		next := int32(-1)
		for i := range lists {
			for len(lists[i]) > 0 && lists[i][0] <= last {
				lists[i] = lists[i][1:]
			}
			if len(lists[i]) > 0 && (next < 0 || lists[i][0] < next) {
				next = lists[i][0]
			}
		}
		if next < 0 || take(int(next)) {
			return
		}
		last = next
	}
}
