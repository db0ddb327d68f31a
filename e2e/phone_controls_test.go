package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// control is what a person finds in web/static/index.html.
type control struct{ role, name string }

var (
	pageButtons = regexp.MustCompile(`(?s)<button([^>]*)>(.*?)</button>`)
	pageLabels  = regexp.MustCompile(`(?s)<label[^>]*>(.*?)</label>`)
	pageFields  = regexp.MustCompile(`<(input|select)([^>]*)>`)
	pageSummary = regexp.MustCompile(`<summary>(.*?)<`)
	pageOptions = regexp.MustCompile(`<option.*?</option>`)
	pageTags    = regexp.MustCompile(`<[^>]*>`)
	pageNamed   = regexp.MustCompile(`aria-label="([^"]*)"`)
)

func plainText(html string) string {
	return strings.TrimSpace(pageTags.ReplaceAllString(pageOptions.ReplaceAllString(html, ""), ""))
}

// controls reads the controls that the page has from the beginning: their roles, and names as a screen reader has them.
func controls(page string) (list []control) {
	for _, m := range pageButtons.FindAllStringSubmatch(page, -1) {
		name := plainText(m[2])
		if named := pageNamed.FindStringSubmatch(m[1]); named != nil {
			name = named[1]
		}
		list = append(list, control{"button", name})
	}
	field := func(m []string, name string) {
		role := "textbox"
		switch {
		case m[1] == "select":
			role = "combobox"
		case strings.Contains(m[2], `type="checkbox"`):
			role = "checkbox"
		}
		list = append(list, control{role, name})
	}
	for _, label := range pageLabels.FindAllStringSubmatch(page, -1) {
		field(pageFields.FindStringSubmatch(label[1]), plainText(label[1]))
	}
	for _, m := range pageFields.FindAllStringSubmatch(pageLabels.ReplaceAllString(page, ""), -1) {
		field(m, pageNamed.FindStringSubmatch(m[2])[1])
	}
	for _, m := range pageSummary.FindAllStringSubmatch(page, -1) {
		list = append(list, control{"DisclosureTriangle", strings.TrimSpace(m[1])})
	}
	return list
}

// Every control of the phone is used by a test, by its role and name.
func TestEveryControlIsUsed(t *testing.T) {
	page, err := os.ReadFile("../web/static/index.html")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("phone*_test.go")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	var tests strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	found := controls(string(page))
	if len(found) < 37 {
		t.Errorf("only %d controls are found: the test has lost its way: %q", len(found), found)
	}
	for _, c := range found {
		used := []string{fmt.Sprintf(".Press(%q, %q", c.role, c.name), fmt.Sprintf(".Focus(%q, %q", c.role, c.name)}
		switch c.role {
		case "textbox":
			used = append(used, fmt.Sprintf(".Write(%q,", c.name))
		case "DisclosureTriangle":
			used = append(used, fmt.Sprintf(".Press(%q, %q", c.role, c.name+"…"))
		}
		if !containsAny(tests.String(), used) {
			t.Errorf("no test uses the %s %q: none has %q", c.role, c.name, used)
		}
	}
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
