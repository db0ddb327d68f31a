package gateway

import (
	"encoding"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sampleFile = "../tandem.sample.yaml"

func TestSampleIsAConfiguration(t *testing.T) {
	if _, err := Load(sampleFile); err != nil {
		t.Fatal(err)
	}
}

// What the documents show as a configuration is one.
func TestDocumentsShowConfigurations(t *testing.T) {
	found := 0
	pair := writeCertificate(t, t.TempDir(), "phone")
	files := strings.NewReplacer("/etc/tandem/cert.pem", pair.Certificate, "/etc/tandem/key.pem", pair.Key)
	for _, file := range []string{"../README.md", "../ARCHITECTURE.md"} {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
			found++
			if _, err := Parse(file, []byte(files.Replace(string(block[1]))), func(string) (string, bool) { return "sixteen characters", true }); err != nil {
				t.Errorf("%v\nin\n%s", err, block[1])
			}
		}
	}
	if found == 0 {
		t.Error("README.md shows no configuration: the test has lost its way")
	}
}

// keysOf lists the paths of all keys, with * for names.
func keysOf(path string, of reflect.Type) []string {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	switch {
	case of.Kind() == reflect.Map:
		return keysOf(joinPath(path, "*"), of.Elem())
	case of.Kind() != reflect.Struct || !hasKeys(of):
		return []string{path}
	}
	var keys []string
	if path != "" {
		keys = append(keys, path)
	}
	for i := range of.NumField() {
		field := of.Field(i)
		key := field.Tag.Get("yaml")
		if field.Anonymous {
			keys = append(keys, keysOf(path, field.Type)[1:]...)
		} else if key != "" {
			keys = append(keys, keysOf(joinPath(path, key), field.Type)...)
		} else if field.IsExported() && !reflect.PointerTo(of).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			panic("no key for " + of.Name() + "." + field.Name)
		}
	}
	return keys
}

// Every key stands in the sample, written or commented out, and what is commented out is read, too.
func TestSampleShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`(?m)^( *)# ((?:[a-z-]+:|  - ).*)$`)
	whole := commented.ReplaceAllString(string(text), "$1$2")
	d := decoder{
		source: source{file: "whole sample", at: make(map[string]position)},
		getenv: func(string) (string, bool) { return "sixteen characters", true },
	}
	var cfg Config
	d.document([]byte(whole), &cfg)
	if err := d.problems.err(); err != nil {
		t.Fatal(err)
	}
	if len(cfg.HTTPS.Certificates) != 1 || cfg.Records.File == "" || cfg.Secret == "" {
		t.Fatalf("comments were not taken for keys: %+v", cfg)
	}

	index := regexp.MustCompile(`\[\d+\]`)
	name := regexp.MustCompile(`^(pools|trunks|fraud\.classes|fraud\.spending)\.[^.]+`)
	var shown []string
	for path := range d.source.at {
		shown = append(shown, name.ReplaceAllString(index.ReplaceAllString(path, ""), "$1.*"))
	}
	for _, key := range keysOf("", reflect.TypeFor[Config]()) {
		if !slices.Contains(shown, key) && !strings.HasSuffix(key, ".*") {
			t.Errorf("%s is not in the sample", key)
		}
	}
}
