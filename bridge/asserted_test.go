package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A backend is told who calls on the gateway's word, never on the browser's; an untrusted one not what is private (RFC 3325).
func TestAssertedIdentityOfABrowser(t *testing.T) {
	t.Parallel()
	claim := sip.NewHeader("P-Asserted-Identity", "<sip:boss@example.com>")
	private := sip.NewHeader("Privacy", "id")
	for name, c := range map[string]struct {
		user    string
		headers []sip.Header
		want    string
	}{
		"trusted":                {"600", nil, "<sip:alice@example.com>"},
		"claimed":                {"600", []sip.Header{claim}, "<sip:alice@example.com>"},
		"private to the trusted": {"600", []sip.Header{private}, "<sip:alice@example.com>"},
		"untrusted":              {"700", nil, "<sip:alice@example.com>"},
		"private to others":      {"700", []sip.Header{private, claim}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{other: true, bridge: Config{Peerings: map[string]Peering{"other": {Untrusted: true}}}})
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), c.user, wsstest.InviteOptions{Headers: c.headers})
			w.check(err)
			agent := w.agents[0]
			if strings.HasPrefix(c.user, "7") {
				agent = w.other
			}
			in, err := agent.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			if got := header(in.Request(), "P-Asserted-Identity"); got != c.want || len(in.Request().GetHeaders("P-Asserted-Identity")) > 1 {
				t.Errorf("P-Asserted-Identity %q, want %q", got, c.want)
			}
			w.check(in.Respond(siptest.Reply{Status: 486, Headers: []sip.Header{
				sip.NewHeader("Reason", `Q.850;cause=17;text="User busy"`), sip.NewHeader("Reason", "SIP;cause=486"),
			}}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			final := call.Responses()[len(call.Responses())-1]
			if got := header(final, "Reason"); got != `Q.850;cause=17;text="User busy", SIP;cause=486` {
				t.Errorf("Reason %q", got)
			}
		})
	}
}

// What a backend asserts reaches a browser where the backend is trusted.
func TestAssertedIdentityOfABackend(t *testing.T) {
	t.Parallel()
	for _, untrusted := range []bool{false, true} {
		w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {Untrusted: untrusted}}}})
		b := w.registered("alice", wsstest.Options{})
		_, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: w.rtp().Offer("sendrecv"), Headers: []sip.Header{
			sip.NewHeader("P-Asserted-Identity", "<sip:+4930@pbx.example.com>"), sip.NewHeader("Diversion", "<sip:x@example.com>"),
			sip.NewHeader("History-Info", "<sip:x@example.com>;index=1"),
		}})
		w.check(err)
		call, err := b.NextCall(w.ctx())
		w.check(err)
		got := call.Invitation()
		if (header(got, "P-Asserted-Identity") == "") != untrusted || header(got, "Diversion") == "" || header(got, "History-Info") == "" {
			t.Errorf("untrusted %v:\n%s", untrusted, got.String())
		}
		w.check(call.Reject(486, "Busy Here"))
	}
}

// Who calls without a name says by P-Preferred-Identity which of its own it is to be (RFC 3325 §9.2); who has one does not.
func TestPreferredIdentity(t *testing.T) {
	t.Parallel()
	preferred := "P-Preferred-Identity: \"B\" <sip:bob@example.com>"
	for name, c := range map[string]struct {
		from  string
		lines []string
		want  string
	}{
		"named":                 {"sip:alice@example.com", []string{preferred}, "sip:alice@example.com"},
		"anonymous":             {"sip:anonymous@anonymous.invalid", []string{preferred}, "sip:bob@example.com"},
		"anonymous, of nothing": {"sip:anonymous@anonymous.invalid", nil, "sip:anonymous@anonymous.invalid"},
		"anonymous, malformed":  {"sip:anonymous@anonymous.invalid", []string{"P-Preferred-Identity: <<"}, "sip:anonymous@anonymous.invalid"},
	} {
		req := parsed(t, "INVITE", c.lines...)
		if err := sip.ParseUri(c.from, &req.From().Address); err != nil {
			t.Fatal(err)
		}
		if got := claimOf(req); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
