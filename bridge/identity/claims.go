package identity

import (
	"fmt"
	"strconv"
	"strings"
)

// claims are the values of a token's claims by path. Immutable.
type claims struct{ values map[string][]string }

// claimsOf gives the values of the claims at paths: a claim's name, or names within objects with dots between, as
// "realm_access.roles". A list has as many values; numbers and true or false are written as in JSON; objects have none.
func claimsOf(all map[string]any, paths []string) *claims {
	var out *claims
	for _, path := range paths {
		if values := valuesOf(claimAt(all, path)); len(values) > 0 {
			if out == nil {
				out = &claims{map[string][]string{}}
			}
			out.values[path] = values
		}
	}
	return out
}

// claimAt finds a path; a name may have dots of its own ("https://example.com/role"), which is looked at first.
func claimAt(object map[string]any, path string) any {
	if value, ok := object[path]; ok {
		return value
	}
	for at := range len(path) {
		if path[at] != '.' {
			continue
		}
		if inner, ok := object[path[:at]].(map[string]any); ok {
			if found := claimAt(inner, path[at+1:]); found != nil {
				return found
			}
		}
	}
	return nil
}

func valuesOf(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{strings.Clone(v)}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case bool:
		return []string{fmt.Sprint(v)}
	case []any:
		var all []string
		for _, item := range v {
			if _, isList := item.([]any); !isList {
				all = append(all, valuesOf(item)...)
			}
		}
		return all
	}
	return nil
}
