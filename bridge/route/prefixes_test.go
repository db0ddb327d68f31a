package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func anyTarget(string) bool { return true }

func parsed(t testing.TB, text string) *Prefixes {
	t.Helper()
	p, err := ParsePrefixes("numbers", []byte(text), anyTarget)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePrefixes(t *testing.T) {
	t.Parallel()
	p := parsed(t, "\ufeff# prefixes\r\n\r\n+49-30;cheap, dear\r\n0 !603\nalice\tpbx\n+493012 -\n  *31   \n")
	if p.Len() != 5 {
		t.Errorf("%d prefixes", p.Len())
	}
	for user, want := range map[string]string{
		"+49301": "[{cheap 1 1} {dear 2 1}] 0 +4930", "00": "[] 603 0", "alice2": "[{pbx 1 1}] 0 alice", "alic": "no", "+4930123": "no", "*31123": "[] 0 *31", "": "no",
	} {
		got := "no"
		if e, ok := p.Lookup(user); ok {
			got = fmt.Sprintf("%v %d %s", e.Targets, e.Reject, e.Prefix)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
	empty := parsed(t, "# nothing\n")
	if _, ok := empty.Lookup("1"); ok {
		t.Error("an empty table has 1")
	}
}

func TestPrefixFileFaults(t *testing.T) {
	t.Parallel()
	known := func(name string) bool { return name == "a" || name == "b" }
	for text, want := range map[string]string{
		"1 a\n2 c\n":                            `f:2: "c" is no pool or trunk`,
		"1 a\n2 a\n1 b\n":                       "f:3: the prefix stands here a second time",
		"1 !99\n":                               "f:1: \"!99\" rejects with no SIP status",
		"1 !x\n":                                "f:1: \"!x\" rejects",
		"1 a a\n":                               `f:1: "a" stands twice`,
		"1 - a\n":                               `f:1: "-" is no pool`,
		"\n" + strings.Repeat("1", 65) + " a\n": "f:2:",
		"1\x00 a\n":                             "f:1:",
		"1 " + strings.Repeat("a ", 17):         "f:1: 17 targets",
		"1 c\n2 c\n" + strings.Repeat("3 c\n", 9): "f:10:",
	} {
		_, err := ParsePrefixes("f", []byte(text), known)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") >= maxFaults {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
	if _, err := ReadPrefixes("/nowhere/prefixes", known); err == nil {
		t.Error("no file, no error")
	}
}

// The trie finds what trying every length finds.
func TestPrefixesAreTheLongest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	digits := "+0123456789*#aZ\xff"
	word := func(most int) string {
		b := make([]byte, r.IntN(most)+1)
		for i := range b {
			b[i] = digits[min(r.IntN(len(digits)*2), len(digits)-1)%len(digits)]
			if r.IntN(3) > 0 {
				b[i] = digits[1+r.IntN(3)]
			}
		}
		return string(b)
	}
	for range 50 {
		var entries []Entry
		var lines []prefixLine
		naive := map[string]int{}
		for i := range r.IntN(300) {
			text := word(8)
			if _, twice := naive[text]; twice {
				continue
			}
			entries = append(entries, Entry{Reject: 400 + i})
			naive[text] = 400 + i
			lines = append(lines, prefixLine{steps: string(steps(nil, text)), entry: uint32(len(entries))})
		}
		p, twice := newPrefixes("x", lines, entries)
		if len(twice) > 0 {
			t.Fatal("twice")
		}
		for range 500 {
			user := word(12)
			want, length := 0, 0
			for n := range len(user) + 1 {
				if status := naive[user[:n]]; status != 0 {
					want, length = status, n
				}
			}
			if got, _ := p.Lookup(user); got.Reject != want || len(got.Prefix) != length {
				t.Fatalf("%q: %+v, want %d by %q", user, got, want, user[:length])
			}
		}
	}
}

func FuzzPrefixFile(f *testing.F) {
	f.Add("+49 a b\n0049,!403\n#\n1;-\n", "+4930")
	f.Add("\xef\xbb\xbf1\r\n12\r\n123 a", "1234")
	f.Add("1 a\n1 a", "1")
	f.Fuzz(func(t *testing.T, text, user string) {
		known := func(name string) bool { return name == "a" || name == "b" }
		p, err := ParsePrefixes("f", []byte(text), known)
		if err != nil {
			return
		}
		var longest string
		found := false
		for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
			fields := strings.FieldsFunc(line, separates)
			if len(fields) == 0 || fields[0][0] == '#' {
				continue
			}
			if prefix := Plain(fields[0]); strings.HasPrefix(user, prefix) && len(prefix) > len(longest) {
				longest, found = prefix, !slices.Equal(fields[1:], []string{"-"})
			}
		}
		if e, ok := p.Lookup(user); ok != found || ok && e.Prefix != longest {
			t.Fatalf("%q in %q: %+v %v, want %q %v", user, text, e, ok, longest, found)
		}
	})
}
