package bridge

import (
	"errors"
	"fmt"
	"strings"
)

// replaces is a Replaces header (RFC 3891 §6.1): the tags are those of the recipient of the INVITE that carries it, and of its peer.
type replaces struct {
	callID, toTag, fromTag string
	earlyOnly              bool
}

// errReplaces is a Replaces header that names no dialog.
var errReplaces = errors.New("Replaces names no dialog: it needs a Call-ID, one to-tag and one from-tag")

// parseReplaces reads the header's value.
func parseReplaces(value string) (replaces, error) {
	id, params, _ := strings.Cut(value, ";")
	r := replaces{callID: strings.TrimSpace(id)}
	for param := range strings.SplitSeq(params, ";") {
		name, tag, _ := strings.Cut(param, "=")
		tag = strings.TrimSpace(tag)
		var into *string
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "to-tag":
			into = &r.toTag
		case "from-tag":
			into = &r.fromTag
		case "early-only":
			r.earlyOnly = true
		}
		if into != nil && *into != "" {
			return replaces{}, errReplaces
		}
		if into != nil {
			*into = tag
		}
	}
	if r.callID == "" || r.toTag == "" || r.fromTag == "" || strings.ContainsAny(value, "\r\n\x00") {
		return replaces{}, errReplaces
	}
	return r, nil
}

func (r replaces) String() string {
	value := fmt.Sprintf("%s;to-tag=%s;from-tag=%s", r.callID, r.toTag, r.fromTag)
	if r.earlyOnly {
		value += ";early-only"
	}
	return value
}

// key finds the leg of ours that the header names, where we are the recipient.
func (r replaces) key() dialogKey { return dialogKey{r.callID, r.toTag} }

// replacesOf names a leg's dialog to its own peer.
func (d *Dialog) replacesOf() replaces {
	return replaces{callID: d.CallID, toTag: d.RemoteTag, fromTag: d.LocalTag}
}
