package identity

import (
	"fmt"
	"io"
	"net/http"
)

// maxKeySet bounds what a key server may answer, in bytes: a key is about half a kilobyte.
const maxKeySet = 256 << 10

// bounded is an HTTP transport whose answers' bodies end with an error where they are longer than most.
type bounded struct {
	http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > b.most {
		res.Body.Close()
		return nil, b.tooLong()
	}
	res.Body = &boundedBody{res.Body, b.most, b.tooLong()}
	return res, nil
}

func (b bounded) tooLong() error {
	return fmt.Errorf("identity: the answer is longer than %d bytes", b.most)
}

type boundedBody struct {
	io.ReadCloser
	left    int64
	tooLong error
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.tooLong
	}
	return n, err
}
