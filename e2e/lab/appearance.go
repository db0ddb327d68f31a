package lab

import (
	_ "embed"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

//go:embed appearance.js
var appearance string

// Looks measures the page as it is now, in light and in dark colours: contrast, width, and that every control is reached. A
// picture of either is kept as name-light and name-dark.
func (p *Person) Looks(name string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		feature := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme}
		if _, err := chromedp.Call(p.tab.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{feature}}); err != nil {
			p.t.Fatalf("chromium: %v", err)
		}
		var wrong []string
		if p.tab.Do(p.t, &wrong, strings.TrimSpace(appearance)); len(wrong) > 0 {
			p.t.Errorf("%s, %s:\n%s", name, scheme, strings.Join(wrong, "\n"))
		}
		p.Picture(name + "-" + scheme)
	}
}
