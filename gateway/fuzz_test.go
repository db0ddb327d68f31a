package gateway

import (
	"os"
	"testing"
)

// Whatever stands in the file, Parse says what is wrong with it and where; it never panics.
func FuzzParse(f *testing.F) {
	sample, err := os.ReadFile(sampleFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(sample), least, small, "a: [b: {c: ${d}}]", "? {}\n: *x", "!!binary x: |\n  y", "https: {listen: [a:1:2, \"b\":c]}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Parse("f.yaml", []byte(text), func(string) (string, bool) { return "word", true })
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
