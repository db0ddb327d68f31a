package siptest

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"tandem/sipside/transaction"
)

// newRequest is a request with the headers that every one has.
func (a *Agent) newRequest(method sip.RequestMethod, uri sip.Uri, flow transaction.Flow, from *sip.FromHeader, to *sip.ToHeader, callID string, seq uint32, headers []sip.Header) *sip.Request {
	req := sip.NewRequest(method, uri)
	req.AppendHeader(a.via(flow))
	maxForwards, id := sip.MaxForwardsHeader(70), sip.CallIDHeader(callID)
	req.AppendHeader(&maxForwards)
	req.AppendHeader(sip.HeaderClone(from))
	req.AppendHeader(sip.HeaderClone(to))
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	if contactful(method) && !has(headers, "Contact") {
		req.AppendHeader(&sip.ContactHeader{Address: a.URI(transportName(flow))})
	}
	for _, h := range headers {
		req.AppendHeader(h)
	}
	return req
}

func setBody(req *sip.Request, contentType, body string) {
	if body == "" {
		return
	}
	req.AppendHeader(sip.NewHeader("Content-Type", contentType))
	req.SetBody([]byte(body))
}

// hostPort is where a URI points, port 5060 where it says none.
func hostPort(uri sip.Uri) string {
	port := uri.Port
	if port == 0 {
		port = 5060
	}
	return uri.Host + ":" + strconv.Itoa(port)
}

// Register sends a REGISTER for the agent's user with its Contact; expires 0 removes it. Call.To is the registrar.
func (a *Agent) Register(ctx context.Context, c Call, expires time.Duration) (*sip.Response, error) {
	aor := sip.Uri{Scheme: "sip", User: a.user, Host: c.To.Host, Port: c.To.Port}
	if c.From == nil {
		c.From = &sip.FromHeader{Address: aor}
	}
	if c.ToHeader == nil {
		c.ToHeader = &sip.ToHeader{Address: aor}
	}
	if !has(c.Headers, "Contact") {
		c.Headers = append(c.Headers, &sip.ContactHeader{Address: a.URI(c.Transport)})
	}
	c.Headers = append(c.Headers, sip.NewHeader("Expires", fmt.Sprint(int(expires.Seconds()))))
	return a.Do(ctx, sip.REGISTER, c)
}

// authorize answers the first challenge that digest can answer (RFC 3261 §22), or that of the call's algorithm.
func authorize(req *sip.Request, res *sip.Response, by Call) error {
	challenge, credentials := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		challenge, credentials = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(challenge) {
		c, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(c) || by.Algorithm != "" && by.Algorithm != c.Algorithm {
			continue
		}
		answer, err := digest.Digest(c, digest.Options{
			Method: string(req.Method), URI: req.Recipient.String(), Username: by.User, Password: by.Password, Count: 1,
		})
		if err != nil {
			continue
		}
		req.RemoveHeader(credentials)
		req.AppendHeader(sip.NewHeader(credentials, answer.String()))
		return nil
	}
	return fmt.Errorf("siptest: no challenge that can be answered")
}
