package route

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// maxLiterals bounds what is made of one expression: the more, the rarer is what it has to be tried on.
const maxLiterals = 64

// literalPrefixes are texts of which every text that matches the expression begins with one; none: nothing is known of the
// beginning. `^(\+|00)49[12]` has +491, +492, 00491 and 00492.
func literalPrefixes(expression string) []string {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil
	}
	re = re.Simplify()
	if !anchored(re) {
		return nil
	}
	return beginningsOf(re).texts
}

// anchored says whether the expression matches at the beginning of the text only.
func anchored(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return anchored(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if anchored(sub) {
				return true
			}
			if !empty(sub) {
				return false
			}
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !anchored(sub) {
				return false
			}
		}
		return true
	}
	return false
}

// empty says whether the expression takes no character.
func empty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpCapture:
		return empty(re.Sub[0])
	}
	return false
}

// beginning is how what matches an expression begins; whole says that the texts are all that it may be.
type beginning struct {
	texts []string
	whole bool
}

// anything is the beginning of which nothing is known.
func anything() beginning { return beginning{texts: []string{""}} }

func beginningsOf(re *syntax.Regexp) beginning {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 && !slices.Contains(re.Rune, utf8.RuneError) { // which is any byte that is no UTF-8, too
			return beginning{[]string{string(re.Rune)}, true}
		}
	case syntax.OpCharClass:
		return ofClass(re.Rune)
	case syntax.OpCapture:
		return beginningsOf(re.Sub[0])
	case syntax.OpPlus:
		return beginning{texts: beginningsOf(re.Sub[0]).texts}
	case syntax.OpQuest:
		return either(beginning{[]string{""}, true}, beginningsOf(re.Sub[0]))
	case syntax.OpAlternate:
		all := beginning{whole: true}
		for _, sub := range re.Sub {
			all = either(all, beginningsOf(sub))
		}
		return all
	case syntax.OpConcat:
		all := beginning{[]string{""}, true}
		for _, sub := range re.Sub {
			all = then(all, beginningsOf(sub))
		}
		return all
	default:
		if empty(re) {
			return beginning{[]string{""}, true}
		}
	}
	return anything()
}

// ofClass lists a small class, such as [1-9].
func ofClass(ranges []rune) beginning {
	b := beginning{whole: true}
	for i := 0; i+1 < len(ranges); i += 2 {
		if int(ranges[i+1]-ranges[i])+len(b.texts) >= maxLiterals || ranges[i] <= utf8.RuneError && utf8.RuneError <= ranges[i+1] {
			return anything()
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			b.texts = append(b.texts, string(r))
		}
	}
	return b
}

func either(a, b beginning) beginning {
	if len(a.texts)+len(b.texts) > maxLiterals {
		return anything()
	}
	return beginning{append(append([]string{}, a.texts...), b.texts...), a.whole && b.whole}
}

// then is a followed by b.
func then(a, b beginning) beginning {
	if !a.whole || len(a.texts)*len(b.texts) > maxLiterals {
		return beginning{texts: a.texts}
	}
	all := beginning{whole: b.whole}
	for _, x := range a.texts {
		for _, y := range b.texts {
			all.texts = append(all.texts, x+y)
		}
	}
	return all
}
