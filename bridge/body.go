package bridge

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"

	"github.com/emiago/sipgo/sip"
)

// bodied is what requests and responses share here.
type bodied interface {
	GetHeader(name string) sip.Header
	Body() []byte
}

// contentType is the media type of a body, lower case, without its parameters; "" where none is given.
func contentType(msg bodied) (kind string, params map[string]string) {
	value := headerValue(msg, "Content-Type")
	if value == "" {
		value = headerValue(msg, "c")
	}
	kind, params, err := mime.ParseMediaType(value)
	if err != nil {
		return value, nil
	}
	return kind, params
}

// sessionBody is the session description that a message carries, taken out of a multipart where it stands in one (a browser takes
// nothing but exactly application/sdp); nil where there is none. errBodyType where the body is something else.
func sessionBody(msg bodied) ([]byte, error) {
	body := msg.Body()
	if len(body) == 0 {
		return nil, nil
	}
	kind, params := contentType(msg)
	switch kind {
	case "application/sdp":
		return body, nil
	case "multipart/mixed", "multipart/alternative", "multipart/related":
		return sessionPart(body, params["boundary"])
	}
	return nil, fmt.Errorf("%w but %q", errBodyType, kind)
}

// sessionPart is the first application/sdp part of a multipart; nil where there is none.
func sessionPart(body []byte, boundary string) ([]byte, error) {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBodyType, err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if kind == "application/sdp" {
			return io.ReadAll(part) // no longer than the message
		}
	}
}
