package bridge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/location"
)

func TestSplitAddresses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		"":                             nil,
		"<sip:a;lr>":                   {"<sip:a;lr>"},
		"<sip:a,b@c;lr>, <sip:d>;x=1,": {"<sip:a,b@c;lr>", "<sip:d>;x=1"},
		`"a, <b" <sip:c>, <sip:d>`:     {`"a, <b" <sip:c>`, "<sip:d>"},
	} {
		if got := splitAddresses(value); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func FuzzSplitAddresses(f *testing.F) {
	f.Add(`"a, <b" <sip:c>, <sip:d>`)
	f.Fuzz(func(t *testing.T, value string) {
		for _, one := range splitAddresses(value) {
			if one == "" || !strings.Contains(value, one) {
				t.Errorf("%q of %q", one, value)
			}
		}
	})
}

// Nobody but us makes a temporary GRUU.
func FuzzTemporaryGRUU(f *testing.F) {
	store := location.NewMemory(time.Now)
	b := location.Binding{AOR: "sip:a@b", Token: "t", CallID: "c", Instance: "i", Expires: time.Now().Add(time.Hour)}
	store.Put(b)
	r := newRegistrar(&Bridge{cfg: Config{Secret: []byte("of the tests")}, with: Wiring{Store: store}})
	f.Add(r.sealTemp(b))
	f.Add("tgruu")
	f.Fuzz(func(t *testing.T, text string) {
		uri := sip.Uri{User: tempPrefix + text, Host: "b", UriParams: sip.HeaderParams{{K: "gr"}}}
		token, _, ok := r.openTemp(text)
		if found := r.byGRUU(uri); len(found) > 0 && (!ok || token != "t") {
			t.Errorf("%q leads to %v", text, found)
		}
		if ok && token != "t" {
			t.Errorf("%q was opened as %q", text, token)
		}
		if got := unescapeParam(escapeParam(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	})
}
