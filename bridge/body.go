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
	Headers() []sip.Header
	Body() []byte
}

// contentType is the media type of a body, lower case, without its parameters; "" where none is given.
func contentType(msg bodied) (kind string, params map[string]string) {
	value := headerValue(msg, "Content-Type")
	if value == "" {
		value = headerValue(msg, "c")
	}
	if value == sdpType {
		return sdpType, nil
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
	if kind == sdpType {
		return body, nil
	}
	if isMultipart(kind) {
		parts := maxParts
		return sessionPart(body, params["boundary"], maxNested, &parts)
	}
	return nil, fmt.Errorf("%w but %q", errBodyType, kind)
}

const sdpType = "application/sdp"

// Bounds of a multipart: real ones have two parts or three, and one more multipart within (RFC 5621 §3.1).
const (
	maxParts  = 32 // of all depths together
	maxNested = 3
)

func isMultipart(kind string) bool {
	return kind == "multipart/mixed" || kind == "multipart/alternative" || kind == "multipart/related"
}

// sessionPart is the first application/sdp part of a multipart, and of multiparts within; nil where there is none. left counts the
// parts that may still come.
func sessionPart(body []byte, boundary string, depth int, left *int) ([]byte, error) {
	if depth == 0 {
		return nil, fmt.Errorf("%w but a multipart nested more than %d deep", errBodyType, maxNested)
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBodyType, err)
		}
		if *left--; *left < 0 {
			return nil, fmt.Errorf("%w but a multipart of more than %d parts", errBodyType, maxParts)
		}
		kind, params, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if kind != sdpType && !isMultipart(kind) {
			continue
		}
		text, err := io.ReadAll(part) // no longer than the message
		if err != nil || kind == sdpType {
			return text, err
		}
		if text, err = sessionPart(text, params["boundary"], depth-1, left); text != nil || err != nil {
			return text, err
		}
	}
}
