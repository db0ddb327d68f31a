package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tandem/e2e/lab"
)

// heard resolves once the page's audio element plays something.
const heard = `(async () => {
	const far = document.getElementById('far');
	while (!far.srcObject || !far.srcObject.getAudioTracks().length) await new Promise((r) => setTimeout(r, 50));
	const context = new AudioContext(), analyser = new AnalyserNode(context);
	new MediaStreamAudioSourceNode(context, { mediaStream: far.srcObject }).connect(analyser);
	const samples = new Float32Array(analyser.fftSize);
	for (;;) {
		analyser.getFloatTimeDomainData(samples);
		if (samples.some((x) => Math.abs(x) > 0.05)) return true;
		await new Promise((r) => setTimeout(r, 20));
	}
})`

// The pages of web/embed.md, as they stand there: the button is pressed, and the echo is heard.
func TestEmbed(t *testing.T) {
	text, err := os.ReadFile("../web/embed.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := regexp.MustCompile("(?s)```html\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(pages) != 2 {
		t.Fatalf("web/embed.md has %d pages", len(pages))
	}
	gateway, err := url.Parse(lab.StartTandem(t, "demo").Find(t, `(http://127\.0\.0\.1:\d+)/`))
	if err != nil {
		t.Fatal(err)
	}
	library, err := os.ReadFile(filepath.Join(lab.Dir(t), "page/libs.out.js"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(gateway))
	mux.HandleFunc("/sip.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(append(library, "\nexport const { Web } = libs.SIP;\n"...))
	})
	for i, page := range pages {
		if lines := strings.Count(page[1], "\n"); lines > 22 {
			t.Errorf("page %d has %d lines; it promises some twenty", i, lines)
		}
		mux.HandleFunc([]string{"/jssip.html", "/sipjs.html"}[i], func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(page[1]))
		})
	}
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	chromium := lab.StartChromium(t)
	for _, path := range []string{"/jssip.html", "/sipjs.html"} {
		t.Run(path, func(t *testing.T) {
			tab := chromium.Visit(t, host.URL+path)
			person := tab.Person(t)
			person.Press("button", "Call")
			tab.Do(t, nil, heard)
			person.Press("button", "Hang up")
		})
	}
}
