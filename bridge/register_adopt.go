package bridge

import (
	"slices"
	"strconv"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/location"
)

// A page that is reloaded is a new client to a registrar behind us, and what it was before cannot be un-registered without its
// password. So that such dead bindings do not pile up there, a new client takes over the token of a dormant one of the same
// address of record: the registrar sees one Contact refreshed, and takes it from whoever has the password alone.

// assignTokens gives the Contacts of a REGISTER the tokens under which the registrar behind shall know them, and keeps them for
// this REGISTER until release.
func (r *registrar) assignTokens(wish *registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.b.with.Store.ByAOR(wish.aor)
	for i := range wish.contacts {
		c := &wish.contacts[i]
		c.token = r.tokenFor(*wish, *c, have)
		r.pending[c.token]++
	}
	if len(wish.contacts) > 0 {
		wish.leg = wish.contacts[0].token
	}
}

// release lets the tokens of a REGISTER that is over be taken by others.
func (r *registrar) release(wish registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range wish.contacts {
		if r.pending[c.token]--; r.pending[c.token] <= 0 {
			delete(r.pending, c.token)
		}
	}
}

// tokenFor is the token of the client's own binding, else that of a dormant one that nobody needs, else a new one. The caller
// holds mu.
func (r *registrar) tokenFor(wish registration, c contact, have []location.Binding) string {
	if i := slices.IndexFunc(have, func(b location.Binding) bool { return sameClient(b, c) }); i >= 0 {
		return have[i].Token
	}
	if c.want > 0 {
		for _, b := range slices.Backward(have) { // the oldest first
			dormant := b.Flow == "" && !b.Behind && r.pending[b.Token] == 0
			// A call that waits for its browser waits for that client and no other.
			if dormant && len(r.b.calls.onFlow(b.LastFlow)) == 0 {
				return b.Token
			}
		}
	}
	token := c.token
	for again := 2; ; again++ {
		b, taken := r.b.with.Store.ByToken(token)
		if !taken || sameClient(b, c) {
			return token
		}
		token = r.mint.token(wish.aor, c.instance, c.regID+" "+strconv.Itoa(again), userOf(c.uri))
	}
}

// sameClient says whether a binding is of the client whose Contact this is: by instance and reg-id (RFC 5626), else by the
// Contact's user part.
func sameClient(b location.Binding, c contact) bool {
	if b.Instance != c.instance || b.RegID != c.regID {
		return false
	}
	return c.instance != "" || userOf(b.Contact) == userOf(c.uri)
}

func userOf(text string) string {
	var uri sip.Uri
	if err := sip.ParseUri(text, &uri); err != nil {
		return text
	}
	return uri.User
}
