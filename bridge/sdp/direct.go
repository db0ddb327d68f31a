package sdp

import (
	"bytes"
	"fmt"
	"strings"
)

// A direct leg carries no packets: its peer and that of the other leg send them to each other. What the one says the other hears as
// it stands, but for the o= line, which belongs to the session of each leg (RFC 3264 §5, §8). So its Descriptions are texts, with no
// Streams, and answers are the peers' alone.

// NewDirect starts a direct leg. Of the policy it obeys what the peers themselves can: see heardDirect.
func NewDirect(policy Policy, sessionID uint64) Leg {
	l := NewLeg(RTP, Local{}, sessionID)
	l.Policy, l.Direct = policy, true
	return l
}

// Reopened is a leg with its peer's offer still open, after an answer that was no more than a preview: another may be said, and
// counts on from it.
func (l Leg) Reopened(answered Leg) Leg {
	l.Version, l.Said, l.Host = answered.Version, answered.Said, answered.Host
	return l
}

// Same says whether two descriptions of direct legs are the same, but for their o= lines. Works on nil.
func (d *Description) Same(other *Description) bool {
	if d == nil || other == nil {
		return d == other
	}
	if d.Body == other.Body {
		return true
	}
	a, b, ok := aroundOrigin(d.Body)
	c, e, found := aroundOrigin(other.Body)
	return ok && found && a == c && b == e
}

// heardDirect reads as much of a text as a direct leg has to know: that it is SDP, and, where the policy requires keys, that no
// stream is in the clear.
func (l Leg) heardDirect(text []byte) (*Description, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrMalformed, len(text), maxText)
	}
	if !bytes.HasPrefix(text, []byte("v=0\r\n")) && !bytes.HasPrefix(text, []byte("v=0\n")) {
		return nil, malformed(1, "v=0 expected")
	}
	d := &Description{Body: string(text)}
	if _, _, ok := aroundOrigin(d.Body); !ok {
		return nil, fmt.Errorf("%w: no o= line", ErrMalformed)
	}
	if l.Policy.Required {
		return d, l.Policy.keyed(d.Body)
	}
	return d, nil
}

// keyed refuses a text with a stream of packets that is not protected as the policy requires.
func (p Policy) keyed(text string) error {
	for line := range strings.Lines(text) {
		media, ok := strings.CutPrefix(line, "m=")
		if !ok {
			continue
		}
		f := strings.Fields(media)
		if len(f) < 3 || f[1] == "0" {
			continue
		}
		dtls := demandsDTLS(f[2])
		switch {
		case p.Keying == DTLS && dtls, p.Keying == SDES && !dtls && strings.HasPrefix(f[2], "RTP/SAVP"):
		default:
			return fmt.Errorf("%w: m=%s: %s where %s is required", ErrNotAcceptable, f[0], f[2], p.Keying)
		}
	}
	return nil
}

// pass makes what the other leg's peer said ours, as next, the leg after it, has it. Where nothing but its o= line is new, ours stays.
func (l Leg) pass(other *Description, next Leg) (Leg, []byte, error) {
	if other == nil || other.Body == "" {
		return l, nil, fmt.Errorf("%w: the other side has said nothing that could be passed on", ErrNoState)
	}
	if l.Host == "" {
		next.Host = hostOfOrigin(other.Body)
	}
	if !other.Same(l.Said) {
		next.Version++
	}
	next.Said = &Description{Body: other.Body, Origin: next.origin(next.Version), Answer: next.Pending == Stable}
	return next, next.Repeat(), nil
}

// direct is the text of what a direct leg says.
func (d *Description) direct() []byte {
	before, after, _ := aroundOrigin(d.Body)
	text := make([]byte, 0, len(d.Body)+len(d.Origin))
	text = append(append(text, before...), d.Origin...)
	return append(text, after...)
}

// Refusing is an answer to the offer of a direct leg's peer that takes none of its streams, for a call that ends.
func (d *Description) Refusing() []byte {
	var text strings.Builder
	text.WriteString("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
	for line := range strings.Lines(d.Body) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasPrefix(f[0], "m=") {
			fmt.Fprintf(&text, "%s 0 %s %s\r\n", f[0], f[2], f[3])
		}
	}
	return []byte(text.String())
}

// Relayed is a direct leg whose media the gateway carries from now on: with the m-lines, payload types and o= line that its peer knows.
// ErrMalformed and ErrNotAcceptable where the peer's part cannot be carried.
func (l Leg) Relayed(local Local) (Leg, error) {
	l = l.agreed()
	r := NewLeg(RTP, local, l.SessionID)
	r.Policy, r.Version, r.Host = l.Policy, l.Version, l.Host
	if l.Heard == nil || l.Said == nil {
		return r, nil
	}
	heard, err := describe([]byte(l.Heard.Body), RTP)
	if err == nil {
		err = r.choose(heard)
	}
	if err != nil {
		return l, err
	}
	text := l.Repeat()
	said, err := describe(text, RTP)
	if err != nil {
		return l, err
	}
	for i := range said.Streams {
		s := &said.Streams[i]
		s.Relayed = !s.Rejected && i < len(heard.Streams) && heard.Streams[i].Relayed
	}
	said.Answer, heard.Answer = l.Said.Answer, l.Heard.Answer
	r.Heard, r.Said, r.Text = heard, said, string(text)
	r.Bound = said.bind(heard.bind(nil))
	return r, nil
}

// aroundOrigin cuts a text in two at the value of its o= line; the line's end belongs to the second part.
func aroundOrigin(text string) (before, after string, ok bool) {
	at := strings.Index(text, "\no=")
	if at < 0 {
		return text, "", false
	}
	at += len("\no=")
	end := strings.IndexAny(text[at:], "\r\n")
	if end < 0 {
		return text, "", false
	}
	return text[:at], text[at+end:], true
}

// hostOfOrigin is the end of a text's o= line, such as IP4 10.0.0.5: it is to stay for the life of the leg, whoever says the next.
func hostOfOrigin(text string) string {
	before, after, _ := aroundOrigin(text)
	f := strings.Fields(text[len(before) : len(text)-len(after)])
	if len(f) < 6 {
		return ""
	}
	return f[4] + " " + f[5]
}
