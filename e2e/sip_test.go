package e2e

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// SIP.md says what becomes of each method, header and RFC. These tests hold it to the code.

// row is a line of one of its tables.
type row struct {
	names []string
	deeds []string
	tests []string
}

// sipTable reads the table under a heading of SIP.md. The last column has the tests; deeds is the deeds' column, 0 for none.
func sipTable(t *testing.T, heading string, deeds int) []row {
	t.Helper()
	_, text, _ := strings.Cut(document(t, "SIP.md"), "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var rows []row
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 || strings.HasPrefix(cells[0], "---") {
			continue
		}
		r := row{names: items(cells[0]), tests: items(cells[len(cells)-1])}
		if deeds > 0 {
			r.deeds = items(cells[deeds])
		}
		rows = append(rows, r)
	}
	if len(rows) < 5 {
		t.Fatalf("%s has %d lines: the test has lost its way", heading, len(rows))
	}
	return rows[1:] // without the heads of the columns
}

func items(cell string) []string {
	var out []string
	for item := range strings.SplitSeq(cell, ",") {
		out = append(out, strings.TrimSpace(item))
	}
	return out
}

// sipTables are the headings of all tables, with the column of the deeds.
func sipTables() map[string]int {
	return map[string]int{"Methods": 1, "Headers": 1, "RFCs": 2, "Call flows": 0}
}

// Each row names at least one test, each of them is there, and each deed is one that the document explains.
func TestDocumentOfSIPNamesTests(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				there[s.folder+"/"+f.Name.Name] = true
			}
		}
	}
	for heading, deeds := range sipTables() {
		for _, r := range sipTable(t, heading, deeds) {
			for _, name := range r.tests {
				if !there[name] {
					t.Errorf("SIP.md, %s: the test %q is not there", r.names, name)
				}
			}
			for _, deed := range r.deeds {
				if !slices.Contains([]string{"passes", "translates", "terminates", "refuses"}, deed) {
					t.Errorf("SIP.md, %s: %q is no deed", r.names, deed)
				}
			}
		}
	}
}

// The file of one of the tests of a method or header speaks of it.
func TestDocumentOfSIPNamesTheRightTests(t *testing.T) {
	said := map[string]string{} // by test, what its file says
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		text := plain(document(t, s.path))
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				said[s.folder+"/"+f.Name.Name] = text
			}
		}
	}
	for _, heading := range []string{"Methods", "Headers"} {
		for _, r := range sipTable(t, heading, 1) {
			for _, name := range r.names {
				word, _, _ := strings.Cut(name, " ")
				speaks := func(test string) bool { return strings.Contains(said[test], plain(word)) }
				if word != "any" && !slices.ContainsFunc(r.tests, speaks) {
					t.Errorf("SIP.md: no test of %s speaks of it", name)
				}
			}
		}
	}
}

// Each row has a test whose far ends are not ours, or stands in the list of those that have none, which has no other.
func TestDocumentOfSIPHasRealFarEnds(t *testing.T) {
	_, list, _ := strings.Cut(document(t, "SIP.md"), "which rest on our own test ends:\n")
	list, _, _ = strings.Cut(list, "\n## ")
	for heading, short := range map[string]string{"Methods": "methods", "Headers": "headers", "RFCs": "RFCs", "Call flows": "call flows"} {
		var without []string
		for line := range strings.Lines(list) {
			if names, ok := strings.CutPrefix(line, "- "+short+": "); ok {
				without = items(names)
			}
		}
		for _, r := range sipTable(t, heading, sipTables()[heading]) {
			ours := !slices.ContainsFunc(r.tests, func(test string) bool { return strings.HasPrefix(test, "e2e/") })
			for _, name := range r.names {
				if listed := slices.Contains(without, name); listed != ours {
					t.Errorf("SIP.md, %s: without a test in e2e: %v, and listed so: %v", name, ours, listed)
				}
			}
		}
	}
}

// plain makes MaxForwards and Max-Forwards one.
func plain(text string) string { return strings.ToLower(strings.ReplaceAll(text, "-", "")) }

// signalling is whether a file deals with SIP messages in the gateway itself.
func signalling(s source) bool {
	return !s.test && slices.Contains([]string{"bridge", "bridge/identity", "bridge/location", "wss", "sipside", "sipside/transaction"}, s.folder)
}

// Every method, header and RFC that the signalling knows has its row.
func TestDocumentOfSIPIsComplete(t *testing.T) {
	known := map[string]map[string]string{"Methods": {}, "Headers": {}, "RFCs": {}} // name to where it stands
	rfc := regexp.MustCompile(`RFC (\d{4})`)
	for _, s := range sources(t) {
		if !signalling(s) {
			continue
		}
		for _, m := range rfc.FindAllStringSubmatch(document(t, s.path), -1) {
			known["RFCs"][m[1]] = s.path
		}
		for _, name := range headersIn(s.file) {
			known["Headers"][name] = s.path
		}
		for _, name := range methodsIn(s.file) {
			known["Methods"][name] = s.path
		}
	}
	for heading, names := range known {
		if len(names) < 10 {
			t.Errorf("the code knows but %d %s: the test has lost its way", len(names), heading)
		}
		rows := map[string]bool{}
		for _, r := range sipTable(t, heading, 1) {
			for _, name := range r.names {
				rows[strings.ToLower(name)] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if !rows[strings.ToLower(name)] {
				t.Errorf("SIP.md, %s: %s of %s has no row", heading, name, names[name])
			}
		}
	}
}

// methodsIn are the methods that a file names as sip.INVITE.
func methodsIn(file *ast.File) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if name, ok := ofSipgo(n); ok && len(name) > 2 && strings.ToUpper(name) == name {
			out = append(out, name)
		}
		return true
	})
	return out
}

// ofSipgo is X of sip.X.
func ofSipgo(n ast.Node) (string, bool) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return sel.Sel.Name, ok && pkg.Name == "sip"
}

// headersIn are the headers that a file names: in calls that read or write one, as a type of sipgo's, in the table of compact
// forms, and in the lists of what crosses.
func headersIn(file *ast.File) []string {
	var out []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		lists := ofLowerName(f.Type)
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				out = append(out, headersOfCall(n)...)
			case *ast.CaseClause:
				if lists {
					out = append(out, texts(n.List)...)
				}
			case *ast.ReturnStmt:
				if f.Name.Name == "longName" {
					out = append(out, texts(n.Results)...)
				}
			case ast.Node:
				if name, ok := ofSipgo(n); ok && strings.HasSuffix(name, "Header") && name != "NewHeader" {
					out = append(out, dashed(strings.TrimSuffix(name, "Header")))
				}
			}
			return true
		})
	}
	return slices.DeleteFunc(out, func(name string) bool { return len(name) < 2 }) // sip.Header, and compact forms
}

// ofLowerName says whether a function judges headers by their names in lower case.
func ofLowerName(f *ast.FuncType) bool {
	return len(f.Params.List) == 1 && len(f.Params.List[0].Names) == 1 && f.Params.List[0].Names[0].Name == "lower"
}

// headersOfCall are the names in a call of a function that takes one.
func headersOfCall(call *ast.CallExpr) []string {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	switch name {
	case "NewHeader", "GetHeader", "GetHeaders", "RemoveHeader", "CopyHeaders", "headerValue", "listed":
		named := texts(call.Args)
		return named[:min(1, len(named))]
	}
	return nil
}

// texts are the string literals among expressions.
func texts(list []ast.Expr) []string {
	var out []string
	for _, e := range list {
		if lit, ok := e.(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, text)
			}
		}
	}
	return out
}

// dashed is MaxForwards as Max-Forwards, CallID as Call-ID and CSeq as it is.
func dashed(name string) string {
	if name == "CSeq" {
		return name
	}
	var out strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(name[i-1])) {
			out.WriteByte('-')
		}
		out.WriteRune(r)
	}
	return out.String()
}
