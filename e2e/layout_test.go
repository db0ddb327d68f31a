package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The map of the project: what there is at the top, and which package of ours may import which.
var (
	topFolders = []string{"gateway", "wss", "bridge", "turn", "sipside", "web", "e2e"}
	topFiles   = regexp.MustCompile(`^(\..*|[A-Z]+(\.md)?|Makefile|go\.(mod|sum|work)|[a-z.-]+\.(md|ya?ml))$`)
	ignored    = []string{".git", ".cache", "node_modules", "bin"}

	// arrows maps a package to those that it may import beside the ones below itself. A package that is not named
	// imports nothing of ours.
	arrows = map[string][]string{
		"gateway/cmd/tandem": {"gateway"},
		"gateway": {"gateway/guard", "wss", "sipside", "sipside/siptest", "sipside/transaction", "bridge", "bridge/admission",
			"bridge/sdp", "bridge/media", "bridge/hiding", "bridge/numbers", "bridge/route", "bridge/identity", "bridge/identity/stir", "bridge/identity/crl",
			"bridge/identity/watched", "bridge/location", "turn", "web"},
		"bridge": {"wss", "sipside", "sipside/transaction", "bridge/admission", "bridge/sdp", "bridge/media", "bridge/hiding", "bridge/numbers", "bridge/route",
			"bridge/identity", "bridge/identity/stir", "bridge/location", "bridge/recording"},
		"bridge/media":         {"bridge/sdp", "bridge/media/dtmf", "bridge/media/codec", "bridge/media/emodel", "bridge/media/ice", "sipside/raw"},
		"bridge/recording":     {"bridge/media", "bridge/media/codec", "bridge/sdp"},
		"bridge/identity":      {"bridge/identity/watched"},
		"turn":                 {"turn/ranges"},
		"bridge/identity/stir": {"bridge/identity/crl", "bridge/identity/watched", "turn/ranges"},
		"wss":                  {"sipside/transaction"},
		"wss/wsstest":          {"sipside/transaction"},
		"sipside":              {"sipside/transaction", "sipside/raw"},
		"sipside/siptest":      {"sipside/transaction"},
	}
	// doubles are the test doubles: any test may import them.
	doubles = []string{"wss/wsstest", "sipside/siptest", "e2e/lab"}
)

const module = "tandem/"

// source is one parsed Go file.
type source struct {
	path   string // from the root, with slashes
	folder string
	test   bool
	lines  int
	file   *ast.File
	set    *token.FileSet
}

// sources parses every Go file of the project.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(ignored, entry.Name()) || entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), "../")
		all = append(all, source{
			path: name, folder: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			lines: strings.Count(string(text), "\n"), file: parsed, set: set,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found: the test has lost its way", len(all))
	}
	return all
}

func TestTopFolder(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch {
		case slices.Contains(ignored, e.Name()):
		case e.IsDir() && !slices.Contains(topFolders, e.Name()) && !strings.HasPrefix(e.Name(), "."):
			t.Errorf("%s/: a folder that the design does not draw", e.Name())
		case !e.IsDir() && !topFiles.MatchString(e.Name()):
			t.Errorf("%s: neither a document nor Makefile nor go.mod", e.Name())
		}
	}
}

func TestArrows(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if ours && !mayImport(s, to) {
				t.Errorf("%s imports %s: the design draws no such arrow", s.path, to)
			}
		}
	}
}

// mayImport says whether an arrow is drawn. A test may use what its package uses, the package itself and the doubles;
// e2e, which looks at the whole, may import everything.
func mayImport(s source, to string) bool {
	switch {
	case slices.Contains(arrows[s.folder], to):
		return true
	case s.folder == "e2e":
		return s.test
	case strings.HasPrefix(s.folder, "e2e/"):
		return s.test || strings.HasPrefix(to, "e2e/") || slices.Contains(doubles, to)
	case s.test:
		return to == s.folder || slices.Contains(doubles, to)
	}
	return false
}

// The map itself: what it must refuse, and what it must let through.
func TestMapOfArrows(t *testing.T) {
	for _, c := range []struct {
		from, to string
		may      bool
	}{
		{"gateway/cmd/tandem/main.go", "gateway", true},
		{"gateway/cmd/tandem/main.go", "bridge", false},
		{"gateway/gateway.go", "bridge/media", true},
		{"gateway/demo.go", "sipside/siptest", true},
		{"gateway/http.go", "wss/wsstest", false},
		{"bridge/bridge.go", "wss", true},
		{"bridge/bridge.go", "gateway", false},
		{"bridge/bridge_test.go", "sipside/siptest", true},
		{"bridge/media/engine.go", "bridge/sdp", true},
		{"bridge/media/engine.go", "bridge", false},
		{"bridge/media/engine.go", "bridge/media/codec", true},
		{"bridge/media/codec/jitter.go", "bridge/media", false},
		{"bridge/sdp/join.go", "bridge/media/codec", false},
		{"bridge/sdp/join.go", "bridge/media", false},
		{"wss/conn.go", "sipside", false},
		{"wss/conn.go", "sipside/transaction", true},
		{"wss/conn_test.go", "wss", true},
		{"sipside/pool.go", "wss", false},
		{"web/web.go", "gateway", false},
		{"turn/turn.go", "bridge/media", false},
		{"e2e/calls_test.go", "gateway", true},
		{"e2e/lab/lab.go", "gateway", false},
	} {
		s := source{folder: path.Dir(c.from), test: strings.HasSuffix(c.from, "_test.go")}
		if got := mayImport(s, c.to); got != c.may {
			t.Errorf("%s → %s: %v", c.from, c.to, got)
		}
	}
}

func TestNamesAndSizes(t *testing.T) {
	const fileLines, functionLines = 500, 60
	vague := []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base"}
	for _, s := range sources(t) {
		if slices.Contains(vague, s.file.Name.Name) {
			t.Errorf("%s: package %s says nothing", s.path, s.file.Name.Name)
		}
		if !s.test && s.lines > fileLines {
			t.Errorf("%s has %d lines of at most %d: split it by subject", s.path, s.lines, fileLines)
		}
		for _, decl := range s.file.Decls {
			f, isFunc := decl.(*ast.FuncDecl)
			if !isFunc {
				continue
			}
			if f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init", s.path)
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > functionLines && !s.test {
				t.Errorf("%s: %s has %d lines of at most %d", s.path, f.Name.Name, n, functionLines)
			}
		}
	}
}

// A package variable is a table, an error, a pattern, an embedded file or a guard line: made once and never changed.
func TestPackageVariablesAreNeverChanged(t *testing.T) {
	byFolder := make(map[string][]source)
	for _, s := range sources(t) {
		if !s.test {
			byFolder[s.folder] = append(byFolder[s.folder], s)
		}
	}
	for _, files := range byFolder {
		constants := make(map[string]string) // variable → where
		for _, s := range files {
			for _, decl := range s.file.Decls {
				if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
					packageVariables(t, s, g, constants)
				}
			}
		}
		for _, s := range files {
			for _, decl := range s.file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
					unchanged(t, s, f, constants)
				}
			}
		}
	}
}

// packageVariables notes a declaration's variables, and refuses those whose type can only be meant to change.
func packageVariables(t *testing.T, s source, g *ast.GenDecl, constants map[string]string) {
	for _, spec := range g.Specs {
		v := spec.(*ast.ValueSpec)
		embedded := g.Doc != nil && strings.Contains(directives(g.Doc), "//go:embed") || v.Doc != nil && strings.Contains(directives(v.Doc), "//go:embed")
		for _, name := range v.Names {
			if name.Name == "_" {
				continue
			}
			if len(v.Values) == 0 && !embedded {
				t.Errorf("%s: var %s has no value: it can only be meant to change", s.path, name.Name)
			}
			constants[name.Name] = s.path
		}
		if v.Type != nil && mutable.MatchString(exprText(v.Type)) {
			t.Errorf("%s: var %s is state", s.path, v.Names[0].Name)
		}
		for _, value := range v.Values {
			if mutable.MatchString(exprText(value)) {
				t.Errorf("%s: var %s is state", s.path, v.Names[0].Name)
			}
		}
	}
}

// mutable finds types and makers of things that exist to be changed.
var mutable = regexp.MustCompile(`^(sync\.|atomic\.|sync/atomic|chan |make\b|new\b|time\.NewTimer|rand\.New)`)

func directives(doc *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range doc.List {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

// exprText names a type or a called function, as far as mutable looks.
func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return exprText(e.Fun)
	case *ast.UnaryExpr:
		return exprText(e.X)
	case *ast.StarExpr:
		return exprText(e.X)
	case *ast.CompositeLit:
		if e.Type != nil {
			return exprText(e.Type)
		}
	case *ast.IndexExpr:
		return exprText(e.X)
	case *ast.ChanType:
		return "chan "
	}
	return ""
}

// unchanged refuses assignments to package variables, to their fields and elements, and taking their address; a local
// variable of the same name hides one.
func unchanged(t *testing.T, s source, f *ast.FuncDecl, constants map[string]string) {
	local := locals(f)
	check := func(e ast.Expr, what string) {
		if name := root(e); name != "" && constants[name] != "" && !local[name] {
			t.Errorf("%s: %s %s the package variable %s", s.set.Position(e.Pos()), f.Name.Name, what, name)
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, left := range n.Lhs {
					check(left, "assigns to")
				}
			}
		case *ast.IncDecStmt:
			check(n.X, "assigns to")
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (called.Name == "delete" || called.Name == "clear") {
				check(n.Args[0], "empties")
			}
		}
		return true
	})
}

// root is the variable at the left end of an expression such as a.b[c].
func root(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

// locals are all names that a function declares: parameters, results, variables.
func locals(f *ast.FuncDecl) map[string]bool {
	names := make(map[string]bool)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, left := range n.Lhs {
					names[root(left)] = true
				}
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if n.Tok == token.DEFINE && e != nil {
					names[root(e)] = true
				}
			}
		}
		return true
	})
	return names
}
