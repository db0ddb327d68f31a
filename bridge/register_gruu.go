package bridge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/location"
)

// GRUUs (RFC 5627) name one instance of a user. The public one is the address of record with the instance; a temporary one says
// neither: it is the binding's token, sealed with a fresh nonce, and good until the client's Call-ID changes or it is gone.

// tempPrefix begins the user part of a temporary GRUU.
const tempPrefix = "tgruu."

// gruusOf are the Contact parameters of a binding's GRUUs (§5.1), with the leading semicolon; "" where it has no instance.
func (r *registrar) gruusOf(b location.Binding) string {
	if b.Instance == "" {
		return ""
	}
	_, domain, _ := strings.Cut(b.AOR, "@")
	return fmt.Sprintf(`;pub-gruu="%s;gr=%s";temp-gruu="sip:%s@%s;gr"`, b.AOR, escapeParam(b.Instance), tempPrefix+r.sealTemp(b), domain)
}

// byGRUU gives the bindings of the instance that a URI with a gr parameter names, none where there is no such.
func (r *registrar) byGRUU(uri sip.Uri) []location.Binding {
	store := r.b.with.Store
	instance, _ := uri.UriParams.Get("gr")
	if sealed, temporary := strings.CutPrefix(uri.User, tempPrefix); temporary && instance == "" {
		token, callID, ok := r.openTemp(sealed)
		if b, known := store.ByToken(token); ok && known && b.CallID == callID {
			return []location.Binding{b}
		}
		return nil
	}
	var found []location.Binding
	for _, b := range store.ByAOR(aorOf(uri)) {
		if b.Instance != "" && strings.EqualFold(b.Instance, unescapeParam(instance)) {
			found = append(found, b)
		}
	}
	return found
}

func (r *registrar) tempCipher() cipher.AEAD {
	key := sha256.Sum256(append([]byte("temporary GRUUs "), r.mint.secret...))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 32 bytes is always good
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // so is AES's block size
	}
	return aead
}

func (r *registrar) sealTemp(b location.Binding) string {
	aead := r.tempCipher()
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return lowerBase32.EncodeToString(aead.Seal(nonce, nonce, []byte(b.Token+"\n"+b.CallID), nil))
}

func (r *registrar) openTemp(sealed string) (token, callID string, ok bool) {
	aead := r.tempCipher()
	text, err := lowerBase32.DecodeString(strings.ToLower(sealed))
	if err != nil || len(text) < aead.NonceSize() {
		return "", "", false
	}
	plain, err := aead.Open(nil, text[:aead.NonceSize()], text[aead.NonceSize():], nil)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(plain), "\n")
}

// escapeParam writes a value as a URI parameter (RFC 3261 §25.1: param-unreserved, unreserved, escaped).
func escapeParam(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if c := value[i]; unreserved(c) || strings.IndexByte("[]/:&+$", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func unescapeParam(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '%' && i+2 < len(value) && hexDigit(value[i+1]) >= 0 && hexDigit(value[i+2]) >= 0 {
			b.WriteByte(byte(hexDigit(value[i+1])<<4 | hexDigit(value[i+2])))
			i += 2
			continue
		}
		b.WriteByte(value[i])
	}
	return b.String()
}
