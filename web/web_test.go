package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d", path, w.Code)
	}
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Every file that a page or module names is served by the gateway itself, and nothing comes from elsewhere.
func TestPagesNameOnlyOwnFiles(t *testing.T) {
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"|from '([^']+)'`)
	for _, page := range []string{"/", "/phone.js", "/page.js", "/calls.js", "/call.js", "/lines.js"} {
		text := get(t, page)
		found := named.FindAllStringSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s names no file: the test has lost its way", page)
		}
		for _, m := range found {
			name, _, _ := strings.Cut(strings.TrimPrefix(m[1]+m[2], "./"), "#")
			if strings.Contains(name, "//") {
				t.Errorf("%s asks somebody else: %s", page, name)
				continue
			}
			get(t, "/"+name)
		}
	}
}

// Every picture that a page or module names is in icons.svg.
func TestPictures(t *testing.T) {
	icons := get(t, "/icons.svg")
	used := regexp.MustCompile(`icons\.svg#([a-z]+)|icon\('([a-z]+)'\)|action\('[A-Z][a-z]+', '([a-z]+)'|\? '([a-z]+)' : '([a-z]+)'\), name`)
	for page, least := range map[string]int{"/": 15, "/page.js": 3, "/lines.js": 2} {
		names := 0
		for _, m := range used.FindAllStringSubmatch(get(t, page), -1) {
			for _, name := range m[1:] {
				if name == "" {
					continue
				}
				names++
				if !strings.Contains(icons, `<symbol id="`+name+`"`) {
					t.Errorf("%s: no picture %q", page, name)
				}
			}
		}
		if names < least {
			t.Errorf("%s names %d pictures: the test has lost its way", page, names)
		}
	}
}

// The pages bear a Content-Security-Policy without inline code.
func TestNoInlineCode(t *testing.T) {
	page := get(t, "/")
	if regexp.MustCompile(`(?i)\son\w+=|<script>|\sstyle=|<style`).MatchString(page) {
		t.Error("index.html has inline code or style")
	}
}

// Only the demo's page speaks of the demo's numbers.
func TestDemoPage(t *testing.T) {
	for demo, want := range map[bool]string{false: "<body>", true: "<body data-demo>"} {
		w := httptest.NewRecorder()
		Handler(demo).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, want) || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("demo %v: %d %v, without %s", demo, w.Code, w.Header(), want)
		}
	}
}
