package bridge

import (
	"strings"

	"tandem/sipside/transaction"
)

// splitList splits a comma-separated header value into its trimmed elements.
func splitList(value string) []string {
	var out []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// listed are the elements of all headers of a name; Supported is also found by its short form.
func listed(msg headed, name string) []string {
	var out []string
	for h := range transaction.Named(msg, name) {
		out = append(out, splitList(h.Value())...)
	}
	if name == "Supported" {
		for h := range transaction.Named(msg, "k") {
			out = append(out, splitList(h.Value())...)
		}
	}
	return out
}

func listHas(list []string, item string) bool {
	for _, have := range list {
		if strings.EqualFold(have, item) {
			return true
		}
	}
	return false
}

func joined(list []string) string { return strings.Join(list, ", ") }
