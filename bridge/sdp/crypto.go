package sdp

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxCryptos bounds what one m-line may make us remember.
const maxCryptos = 32

// suite is an SRTP crypto suite of RFC 4568 §6.2, RFC 6188 or RFC 7714.
type suite struct {
	name string
	old  string // a name that drafts had and devices still use
	size int    // bytes of the master key and salt
}

// suites are those that are spoken.
func suites() []suite {
	return []suite{
		{"AEAD_AES_256_GCM", "", 32 + 12},
		{"AEAD_AES_128_GCM", "", 16 + 12},
		{"AES_256_CM_HMAC_SHA1_80", "AES_CM_256_HMAC_SHA1_80", 32 + 14},
		{"AES_256_CM_HMAC_SHA1_32", "AES_CM_256_HMAC_SHA1_32", 32 + 14},
		{"AES_CM_128_HMAC_SHA1_80", "", 16 + 14},
		{"AES_CM_128_HMAC_SHA1_32", "", 16 + 14},
	}
}

// suiteNamed finds a suite by either name.
func suiteNamed(name string) (suite, bool) {
	all := suites()
	i := slices.IndexFunc(all, func(s suite) bool {
		return strings.EqualFold(s.name, name) || s.old != "" && strings.EqualFold(s.old, name)
	})
	if i < 0 {
		return suite{}, false
	}
	return all[i], true
}

// String is for logs: without the key.
func (c Crypto) String() string { return fmt.Sprintf("%d %s", c.Tag, c.Suite) }

// line is the attribute's value (RFC 4568 §9.1).
func (c Crypto) line() string {
	return fmt.Sprintf("%d %s inline:%s", c.Tag, cmp.Or(c.Alias, c.Suite), base64.StdEncoding.EncodeToString(c.Key))
}

// cryptosOf reads the a=crypto lines of a section that we can obey, in their order; those without MKI come first, for few
// implement it well. fault says why others were passed over; it contains no key. A line that cannot be obeyed is passed
// over whatever is wrong with it, for the next may do (RFC 4568 §7.1.2).
func cryptosOf(s section) (all []Crypto, fault string) {
	var faults []string
	for _, a := range s.attributes {
		if a.key != "crypto" || len(all)+len(faults) == maxCryptos {
			continue
		}
		c, err := parseCrypto(a.value)
		if err == nil && slices.ContainsFunc(all, func(o Crypto) bool { return o.Tag == c.Tag }) {
			err = fmt.Errorf("a=crypto:%d: the tag stands twice", c.Tag)
		}
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b Crypto) int { return min(len(a.MKI), 1) - min(len(b.MKI), 1) })
	return all, strings.Join(faults[:min(len(faults), 8)], "; ")
}

// parseCrypto reads an attribute's value: tag, suite, key parameters and session parameters.
func parseCrypto(value string) (Crypto, error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return Crypto{}, errors.New("a=crypto: tag, suite and key expected")
	}
	tag, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil || len(f[0]) > 9 {
		return Crypto{}, fmt.Errorf("a=crypto: %q is no tag", printable(f[0]))
	}
	c := Crypto{Tag: int(tag)}
	fault := func(format string, args ...any) (Crypto, error) {
		return Crypto{}, fmt.Errorf("a=crypto:%d %s: %s", tag, printable(f[1]), fmt.Sprintf(format, args...))
	}
	known, ok := suiteNamed(f[1])
	if !ok {
		return fault("the suite is not spoken")
	}
	if c.Suite = known.name; f[1] != known.name {
		c.Alias = f[1]
	}
	if err := c.keyParameters(f[2], known.size); err != nil {
		return fault("%s", err)
	}
	for _, p := range f[3:] {
		if !ignorable(p) {
			name, _, _ := strings.Cut(p, "=")
			return fault("%s is not spoken", printable(name))
		}
	}
	return c, nil
}

// ignorable says whether a session parameter asks for nothing that we do not do: the window-size hint is about the
// writer's own buffer, and what begins with "-" may be passed over by who does not know it (RFC 4568 §6.3.6, §6.3.7).
// KDR, UNENCRYPTED_SRTP, UNENCRYPTED_SRTCP, UNAUTHENTICATED_SRTP, FEC_ORDER and FEC_KEY would change the packets.
func ignorable(parameter string) bool {
	return strings.HasPrefix(strings.ToUpper(parameter), "WSH=") || strings.HasPrefix(parameter, "-")
}

// keyParameters reads "inline:" key||salt ["|" lifetime] ["|" MKI ":" length]. The lifetime is checked and passed over: it
// is at least as long as any call in every device that says one. Several keys in one attribute take turns by MKI; one of
// ours has one key, so such a line is not for us.
func (c *Crypto) keyParameters(value string, size int) error {
	if strings.Contains(value, ";") {
		return errors.New("several keys in one attribute are not spoken")
	}
	key, ok := strings.CutPrefix(value, "inline:")
	if !ok {
		return errors.New("only the key method inline is spoken")
	}
	parts := strings.Split(key, "|")
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil {
		return errors.New("the key is not base64")
	}
	if len(raw) != size {
		return fmt.Errorf("%d bytes of key and salt, %d expected", len(raw), size)
	}
	c.Key = raw
	rest := parts[1:]
	if len(rest) > 0 && !strings.Contains(rest[0], ":") {
		if !lifetime(rest[0]) {
			return errors.New("no such lifetime")
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		if c.MKI, err = parseMKI(rest[0]); err != nil {
			return err
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return errors.New("more than lifetime and MKI behind the key")
	}
	return nil
}

// lifetime says whether a text is a number of packets, n or 2^n, up to 2^48 (RFC 3711 §9.2).
func lifetime(text string) bool {
	power, ok := strings.CutPrefix(text, "2^")
	if ok {
		n, err := strconv.ParseUint(power, 10, 8)
		return err == nil && n <= 48
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return err == nil && n > 0 && n <= 1<<48
}

// maxMKI is the longest identifier, in bytes (RFC 4568 §6.1: up to 128; longer than eight is nobody's).
const maxMKI = 8

// parseMKI reads value ":" length: the value as a number of that many bytes, in network order.
func parseMKI(text string) ([]byte, error) {
	value, length, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(value, 10, 64)
	size, err2 := strconv.ParseUint(length, 10, 8)
	if err != nil || err2 != nil || size < 1 || size > maxMKI || size < 8 && n>>(8*size) != 0 {
		return nil, errors.New("no such MKI")
	}
	mki := make([]byte, size)
	for i := range mki {
		mki[i] = byte(n >> (8 * (int(size) - 1 - i)))
	}
	return mki, nil
}

// printable is a word of the peer's, short enough for an error's text.
func printable(word string) string { return strings.ToValidUTF8(word[:min(len(word), 40)], "") }

// own is our key of a suite.
func own(keys []Crypto, suite string) (Crypto, bool) {
	i := slices.IndexFunc(keys, func(c Crypto) bool { return c.Suite == suite })
	if i < 0 {
		return Crypto{}, false
	}
	return keys[i], true
}

// keys are our SDES keys of a slot.
func (l Local) keys(slot Slot) []Crypto {
	if slot < 0 || slot >= len(l.Crypto) {
		return nil
	}
	return l.Crypto[slot]
}

// acceptable is the first line of an offer whose suite we have a key of, in the offerer's order (RFC 4568 §7.1.2): the peer's
// key, and ours under the same tag and name.
func acceptable(offered, ours []Crypto) (receive, send Crypto, ok bool) {
	for _, c := range offered {
		if mine, ok := own(ours, c.Suite); ok {
			return c, mine.under(c), true
		}
	}
	return receive, send, false
}

// under is our key as the answer to an offered line.
func (c Crypto) under(offered Crypto) Crypto {
	c.Tag, c.Alias, c.MKI = offered.Tag, offered.Alias, nil
	return c
}

// listed are our keys as an offer lists them.
func listed(ours []Crypto) []Crypto {
	all := slices.Clone(ours)
	for i := range all {
		all[i].Tag = i + 1
	}
	return all
}

// answeredKeys fits the a=crypto lines of an answer to those of our offer: tag and suite must be those of one of ours
// (RFC 4568 §7.1.3).
func answeredKeys(heard, offered []Crypto) (receive, send Crypto, fault string) {
	for _, c := range heard {
		i := slices.IndexFunc(offered, func(o Crypto) bool { return o.Tag == c.Tag })
		switch {
		case i < 0:
			fault = fmt.Sprintf("a=crypto:%d, a tag that was not offered", c.Tag)
		case offered[i].Suite != c.Suite:
			fault = fmt.Sprintf("a=crypto:%d %s, offered under that tag was %s", c.Tag, c.Suite, offered[i].Suite)
		default:
			return c, offered[i], ""
		}
	}
	return receive, send, fault
}
