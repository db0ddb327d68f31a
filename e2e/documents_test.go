package e2e

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every file that a document names is there.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	bases := map[string]bool{}
	for _, s := range sources(t) {
		bases[path.Base(s.path)] = true
	}
	named := regexp.MustCompile("`([a-zA-Z0-9_./-]+\\.go)`|\\]\\(([^):]+)\\)")
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "BENCHMARKS.md", "SIP.md"} {
		found := named.FindAllStringSubmatch(document(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s names no file: the test has lost its way", name)
		}
		for _, m := range found {
			file := m[1] + m[2]
			if _, err := os.Stat("../" + file); err != nil && (strings.Contains(file, "/") || !bases[file]) {
				t.Errorf("%s names %s, which is not there", name, file)
			}
		}
	}
}

// Every make target that a document names is one.
func TestDocumentsNameTargetsThatExist(t *testing.T) {
	makefile := document(t, "Makefile")
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "BENCHMARKS.md"} {
		for _, m := range named.FindAllStringSubmatch(document(t, name), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s names make %s, which the Makefile does not know", name, m[1])
			}
		}
	}
}

// Every direct dependency has its sentence.
func TestDependenciesAreExplained(t *testing.T) {
	architecture := document(t, "ARCHITECTURE.md")
	direct, _, _ := strings.Cut(document(t, "go.mod"), ")")
	modules := regexp.MustCompile(`(?m)^\t(?:github\.com/)?(\S+?)(?:/v\d+)? v`).FindAllStringSubmatch(direct, -1)
	if len(modules) == 0 {
		t.Fatal("go.mod has no requirement: the test has lost its way")
	}
	for _, m := range modules {
		if !strings.Contains(architecture, m[1]) {
			t.Errorf("ARCHITECTURE.md says nothing of %s", m[1])
		}
	}
}
