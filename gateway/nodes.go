package gateway

import (
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// mapping gives the pairs of a mapping node, nil for another node. goccy/go-yaml has a node of its own for one pair.
func mapping(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return append([]*ast.MappingValueNode{}, n.Values...)
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func isScalar(node ast.Node) bool {
	_, yes := node.(ast.ScalarNode)
	return yes
}

// rejoin makes one word again of what stands as word:word within braces. goccy/go-yaml v1.19.2 takes it for a pair there, and
// for a word elsewhere; in YAML 1.2 (§7.3.3) it is a word, for no space follows the colon.
func rejoin(node ast.Node) ast.Node {
	pairs := mapping(node)
	if len(pairs) != 1 || !isScalar(pairs[0].Key) || pairs[0].Key.GetToken().Indicator == token.QuotedScalarIndicator {
		return node
	}
	value := rejoin(pairs[0].Value)
	key, colon, rest := pairs[0].Key.GetToken(), pairs[0].Start, value.GetToken()
	if !isScalar(value) || rest.Position.Offset != colon.Position.Offset+1 {
		return node
	}
	return ast.String(token.New(key.Value+":"+rest.Value, key.Origin+":"+rest.Origin, key.Position))
}

// scalarText is a scalar as it was written: 0123 stays 0123, whatever YAML takes it for.
func scalarText(node ast.Node) string {
	if literal, isLiteral := node.(*ast.LiteralNode); isLiteral {
		return literal.Value.Value
	}
	return node.GetToken().Value
}

// hasKeys says whether a struct is decoded key by key.
func hasKeys(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") != "" {
			return true
		}
	}
	return false
}

// later finds the words for a key of a later version.
func later(path string) string {
	if words, found := laterKeys[path]; found {
		return words
	}
	parts := strings.Split(path, ".")
	for i := range parts {
		one := slices.Clone(parts)
		one[i] = "*"
		if words, found := laterKeys[strings.Join(one, ".")]; found {
			return words
		}
	}
	return ""
}

// suggestion names the known key that was probably meant: the same letters but for one, or but for separators and case.
func suggestion(key string, fields map[string][]int) string {
	plain := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)) }
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if editDistance(plain(name), plain(key)) <= 1 {
			return "; did you mean " + name + "?"
		}
	}
	return "; known here: " + strings.Join(names, ", ")
}

// editDistance counts inserted, deleted and changed bytes (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func nodeWords(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "the word " + node.GetToken().Value
}

func typeWords(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration, such as 5s"
	case reflect.TypeFor[netip.Addr]():
		return "an IP address"
	case reflect.TypeFor[netip.AddrPort]():
		return "an IP address with a port"
	case reflect.TypeFor[regexp.Regexp]():
		return "a regular expression"
	case reflect.TypeFor[PortRange]():
		return "a range of ports, such as 20000-29999"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a mapping (key: value)"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Uint16:
		return "a number"
	}
	return "a word"
}
