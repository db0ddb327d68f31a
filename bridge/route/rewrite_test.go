package route

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestRewrite(t *testing.T) {
	t.Parallel()
	digits := regexp.MustCompile(`^0(\d)(\d*)$`)
	for _, c := range []struct {
		name string
		rule Rule
		q    Query
		want *Change
	}{
		{"nothing", Rule{To: "a"}, Query{User: "1"}, nil},
		{"strip and prepend", Rule{To: "a", Rewrite: Rewrite{Strip: 1, Prepend: "+49"}}, Query{User: "030"}, &Change{User: "+4930"}},
		{"strip more than there is", Rule{To: "a", Rewrite: Rewrite{Strip: 9, Prepend: "1"}}, Query{User: "030"}, &Change{User: "1"}},
		{"template", Rule{To: "a", User: digits, Rewrite: Rewrite{User: "+49$1$2", Domain: "sbc.example"}}, Query{User: "0-30"}, &Change{User: "+4930", Domain: "sbc.example"}},
		{"whole user", Rule{To: "a", Rewrite: Rewrite{User: "x$0$$"}}, Query{User: "1"}, &Change{User: "x1$"}},
		{"no user", Rule{To: "a", Rewrite: Rewrite{User: "x$0", Domain: "d"}}, Query{}, &Change{Domain: "d"}},
		{"From", Rule{To: "a", FromUser: regexp.MustCompile(`(.)$`), Rewrite: Rewrite{FromUser: "+4930$1", FromDomain: "own.example"}},
			Query{User: "1", FromUser: "107"}, &Change{FromUser: "+49307", FromDomain: "own.example"}},
		{"headers", Rule{To: "a", User: digits, Rewrite: Rewrite{Set: []Header{{"X-A", "b $1"}}, Add: []Header{{"X-B", "$0"}}, Remove: []string{"X-C"}}},
			Query{User: "07"}, &Change{Set: []Header{{"X-A", "b 7"}}, Add: []Header{{"X-B", "07"}}, Remove: []string{"X-C"}}},
		{"rejected", Rule{Reject: 403, Rewrite: Rewrite{User: "1"}}, Query{User: "2"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := New([]Rule{c.rule}).Route(c.q).Change; !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Whatever a user says or a configuration holds, the outcome is one user, one host, one line, and no header of a leg's own.
func TestRewriteInjectsNothing(t *testing.T) {
	t.Parallel()
	evil := []string{"a\r\nX-Evil: 1", "a%0d%0aX-Evil:%201", "a\x00b", "a@evil.example;x=", "a>b<c", "\r", "\n\n", " a ", "%", "%0", "ä\"\\", "a?b&c=d", "%40", "a\u2028b"}
	for _, user := range evil {
		for _, template := range append(evil, "$0", "$1", "x$0y$1", "$0\r\nVia: x") {
			d := New([]Rule{{To: "a", User: regexp.MustCompile(`(?s)(.*)`), FromUser: regexp.MustCompile(`(?s)(.*)`), Rewrite: Rewrite{
				User: template, FromUser: template, Domain: "h.example" + template, FromDomain: "h" + template,
				Set:    []Header{{"X-Set", template}, {"Via", template}, {"X-\r\nEvil", "1"}, {"", "1"}},
				Add:    []Header{{"X-Add", template}, {"v", template}, {"Content-Length", "0"}},
				Remove: nil,
			}}}).Route(Query{User: user, FromUser: user})
			c := d.Change
			if len(c.Set) != 1 || len(c.Add) != 1 {
				t.Fatalf("headers %+v", c)
			}
			for _, text := range []string{c.User, c.FromUser, c.Domain, c.FromDomain, c.Set[0].Value, c.Add[0].Value} {
				if strings.ContainsAny(text, "\r\n\x00") {
					t.Errorf("%q from %q and %q", text, user, template)
				}
			}
			for _, part := range []string{c.User, c.FromUser} {
				var uri sip.Uri
				if part == "" {
					continue
				}
				if err := sip.ParseUri("sip:"+part+"@h.example", &uri); err != nil || uri.User != part || uri.Host != "h.example" {
					t.Errorf("user %q is read as %q at %q: %v", part, uri.User, uri.Host, err)
				}
			}
			if strings.ContainsAny(c.Domain+c.FromDomain, "@;?<>, ") {
				t.Errorf("hosts %q, %q", c.Domain, c.FromDomain)
			}
		}
	}
}

func TestWritable(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"X-Tenant": true, "Diversion": true, "P-Asserted-Identity": true, "User-to-User": true, "Alert-Info": true,
		"Via": false, "contact": false, "Call-ID": false, "f": false, "": false, "X A": false, "X:": false, "X\r\nY": false, "Grüße": false,
		"Authorization": false, "Record-Route": false, "Session-ID": false,
	} {
		if err := Writable(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckTemplate(t *testing.T) {
	t.Parallel()
	re := regexp.MustCompile(`(a)(b)`)
	for template, ok := range map[string]bool{
		"": true, "+49$1$2": true, "$$": true, "$0": true, "plain text": true,
		"$3": false, "$": false, "a$b": false, "a\r\nb": false, " a": false, "a\x00": false,
	} {
		if err := CheckTemplate(template, re); (err == nil) != ok {
			t.Errorf("%q: %v", template, err)
		}
	}
	if CheckTemplate("$1", nil) == nil || CheckTemplate("$0", nil) != nil {
		t.Error("without an expression there is $0 alone")
	}
}
