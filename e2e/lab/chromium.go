package lab

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

//go:embed page
var pageFiles embed.FS

// Chromium is one headless browser that serves a whole test binary.
type Chromium struct {
	ctx  context.Context
	page *httptest.Server
}

// StartChromium starts the browser and a server for the page of the agents; both end with the test.
func StartChromium(t testing.TB) *Chromium {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.RedirectHandler("/page/", http.StatusFound))
	mux.Handle("/page/", http.FileServerFS(pageFiles))
	mux.HandleFunc("/page/libs.out.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(Dir(t), "page/libs.out.js"))
	})
	page := httptest.NewServer(mux)
	t.Cleanup(page.Close)

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Program(t, "chromium")),
		chromedp.NoSandbox, chromedp.IgnoreCertErrors,
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-features", "WebRtcHideLocalIpsWithMdns,Translate,OptimizationHints,MediaRouter"),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	t.Cleanup(func() { stop(); stopAllocator() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return &Chromium{ctx: ctx, page: page}
}

// Tab is one page with the agents' API (page/agent.js).
type Tab struct {
	ctx   context.Context
	close context.CancelFunc

	mu      sync.Mutex
	console []string
}

// Open opens a tab on the agents' page; it is closed with the test.
func (c *Chromium) Open(t testing.TB) *Tab {
	t.Helper()
	return c.Visit(t, c.page.URL+"/page/")
}

// Visit opens a tab on any page.
func (c *Chromium) Visit(t testing.TB, url string) *Tab {
	t.Helper()
	tab := &Tab{}
	tab.ctx, tab.close = chromedp.NewContext(c.ctx)
	t.Cleanup(tab.Close)
	if err := chromedp.Do(tab.ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	go tab.listen(chromedp.Console(tab.ctx))
	if err := chromedp.Do(tab.ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("chromium: %s: %v", url, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console of %s:\n%s", url, tab.Console())
		}
	})
	return tab
}

// listen collects the console until the tab closes.
func (tab *Tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for message, err := range messages {
		if err != nil {
			return
		}
		tab.mu.Lock()
		tab.console = append(tab.console, string(message.Type)+": "+message.Text)
		tab.mu.Unlock()
	}
}

// Console is what the page printed.
func (tab *Tab) Console() string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return strings.Join(tab.console, "\n")
}

// Faults are the lines of the console that no good page has: breaches of its Content-Security-Policy, and exceptions.
func (tab *Tab) Faults() (lines []string) {
	for line := range strings.Lines(tab.Console()) {
		if strings.Contains(line, "Content Security Policy") || strings.HasPrefix(line, string(chromedp.ConsoleException)+":") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Faultless fails the test at its end if the tab had faults.
func (tab *Tab) Faultless(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if faults := tab.Faults(); len(faults) > 0 {
			t.Errorf("console:\n%s", strings.Join(faults, "\n"))
		}
	})
}

// Reload loads the page anew, as a user would: what ran in it is gone without a word.
func (tab *Tab) Reload(t testing.TB) {
	t.Helper()
	if err := chromedp.Do(tab.ctx, chromedp.Reload()); err != nil {
		t.Fatalf("chromium: %v", err)
	}
}

// Close closes the tab as a user would; safe to call twice.
func (tab *Tab) Close() { tab.close() }

// Act does what a person would, within a time.
func (tab *Tab) Act(within time.Duration, steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(tab.ctx, within)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// Try calls a function of the page, awaits its promise and decodes its value into out (nil: none).
func (tab *Tab) Try(out any, within time.Duration, function string, args ...any) error {
	words := make([]string, len(args))
	for i, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		words[i] = string(text)
	}
	expression := function + "(" + strings.Join(words, ", ") + ")"
	ctx, cancel := context.WithTimeout(tab.ctx, within)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise, chromedp.EvalAsValue))
	if err != nil {
		return fmt.Errorf("%s: %w", expression, err)
	}
	if out == nil || len(value) == 0 {
		return nil
	}
	return json.Unmarshal(value, out)
}

// Do is Try within a person's patience; an error fails the test.
func (tab *Tab) Do(t testing.TB, out any, function string, args ...any) {
	t.Helper()
	if err := tab.Try(out, patience, function, args...); err != nil {
		t.Fatalf("chromium: %v", err)
	}
}
