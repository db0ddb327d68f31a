package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Callback asks a web service about users: a POST whose body is a Login in JSON. The service answers 200 with {"ha1": "…"}, and
// the gateway checks the digest, or {"allow": true} where it did so itself, or {"allow": false}; 401, 403 and 404 are a no, too.
// Anything else, or nothing in time, is ErrUnavailable. Safe for concurrent use.
type Callback struct {
	url    string
	limit  time.Duration
	client *http.Client
	room   chan struct{} // one for each question under way
}

// maxQuestions bounds the questions under way: beyond it the answer is ErrUnavailable at once.
const maxQuestions = 128

// maxAnswer bounds the service's answer, in bytes.
const maxAnswer = 16 << 10

// NewCallback makes a Callback; limit bounds a question.
func NewCallback(url string, limit time.Duration) *Callback {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxQuestions
	return &Callback{
		url: url, limit: limit, room: make(chan struct{}, maxQuestions),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close ends idle connections.
func (c *Callback) Close() { c.client.CloseIdleConnections() }

// HA1 implements Secrets.
func (c *Callback) HA1(ctx context.Context, l Login) (string, bool, error) {
	select {
	case c.room <- struct{}{}:
		defer func() { <-c.room }()
	default:
		return "", false, fmt.Errorf("%w: %d questions are under way", ErrUnavailable, maxQuestions)
	}
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	answer, err := c.ask(ctx, l)
	if err != nil {
		return "", false, err
	}
	switch {
	case answer.Allow != nil && !*answer.Allow:
		return "", false, ErrWrong
	case answer.HA1 != "":
		return answer.HA1, false, nil
	case answer.Allow != nil:
		return "", true, nil
	}
	return "", false, fmt.Errorf("%w: the callback says neither allow nor ha1", ErrUnavailable)
}

// callbackAnswer is what the service says.
type callbackAnswer struct {
	Allow *bool  `json:"allow"`
	HA1   string `json:"ha1"`
}

func (c *Callback) ask(ctx context.Context, l Login) (answer callbackAnswer, err error) {
	body, err := json.Marshal(l)
	if err != nil {
		return answer, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return answer, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return answer, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return answer, ErrWrong
	default:
		return answer, fmt.Errorf("%w: the callback answers %s", ErrUnavailable, res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("%w: the callback's answer is no JSON: %w", ErrUnavailable, err)
	}
	return answer, nil
}
