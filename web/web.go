// Package web is the phone, embedded: static pages without a build step and without a request to anyone else at run time.
package web

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"time"
)

//go:embed static
var static embed.FS

// Handler serves the phone at its root. Pages are revalidated at each load, so that an upgrade of the gateway is an
// upgrade of the phone. In front of the demo's PBX the page says what can be dialled there.
func Handler(demo bool) http.Handler {
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded: it cannot be missing
	}
	page, err := fs.ReadFile(root, "index.html")
	if err != nil {
		panic(err) // the same
	}
	page = bytes.Replace(page, []byte("<body>"), []byte("<body data-demo>"), 1)
	files := http.FileServerFS(root)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		if demo && r.URL.Path == "/" {
			http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(page))
			return
		}
		files.ServeHTTP(w, r)
	})
}
