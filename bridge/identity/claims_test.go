package identity

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestClaimsByPath(t *testing.T) {
	t.Parallel()
	var all map[string]any
	text := `{"role": "agent", "level": 3, "share": 0.5, "admin": true, "none": null, "object": {"a": {"b": ["x", 7, {"c": 1}, ["y"]]}},
		"https://example.com/role": "by name", "object.a": "dotted", "empty": []}`
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"role": {"agent"}, "level": {"3"}, "share": {"0.5"}, "admin": {"true"}, "none": nil, "missing": nil, "object": nil, "empty": nil,
		"object.a.b": {"x", "7"}, "https://example.com/role": {"by name"}, "object.a": {"dotted"}, "role.x": nil, ".": nil, "": nil,
	} {
		s := Subject{claims: claimsOf(all, []string{path})}
		if got := s.Claim(path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if s.Claim("another") != nil {
			t.Errorf("%s: another is kept", path)
		}
	}
	if (Subject{}).Claim("role") != nil {
		t.Error("a claim of no token")
	}
}
