package transaction

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// Verdicts on a message that no status says.
const (
	sound    = 0  // nothing is wrong with it
	dropped  = -1 // a response that is malformed
	nobodys  = -2 // no way back is known
	twoVias  = -3 // a response that is another element's
	response = -4 // a sound response
)

// torture is what RFC 4475 and RFC 5118 call for: the status from parser and validation table, before a method is served.
var torture = map[string]int{
	"rfc4475/wsinv": sound, "rfc4475/intmeth": 501, "rfc4475/esc01": sound, "rfc4475/escnull": sound, "rfc4475/esc02": 501,
	"rfc4475/lwsdisp": sound, "rfc4475/longreq": sound, "rfc4475/dblreq": sound, "rfc4475/semiuri": sound,
	"rfc4475/transports": sound, "rfc4475/mpart01": sound, "rfc4475/unreason": response, "rfc4475/noreason": response,

	"rfc4475/badinv01": 400, "rfc4475/clerr": 400, "rfc4475/ncl": 400, "rfc4475/scalar02": 400, "rfc4475/scalarlg": dropped,
	"rfc4475/quotbal": 400, "rfc4475/ltgtruri": 400, "rfc4475/lwsruri": 400, "rfc4475/lwsstart": 400, "rfc4475/trws": 400,
	"rfc4475/escruri": 400, "rfc4475/baddate": sound, "rfc4475/regbadct": 400, "rfc4475/badaspec": 400, "rfc4475/baddn": 400,
	"rfc4475/badvers": 505, "rfc4475/mismatch01": 400, "rfc4475/mismatch02": 400, "rfc4475/bigcode": dropped,
	"rfc4475/test": nobodys,

	"rfc4475/badbranch": sound, "rfc4475/insuf": 400, "rfc4475/unkscm": 416, "rfc4475/novelsc": 416, "rfc4475/unksm2": 400,
	"rfc4475/bext01": 420, "rfc4475/invut": 415, "rfc4475/regaut01": sound, "rfc4475/multi01": 400, "rfc4475/mcl01": 400,
	"rfc4475/bcast": twoVias, "rfc4475/zeromf": sound, "rfc4475/cparam01": sound, "rfc4475/cparam02": sound,
	"rfc4475/regescrt": sound, "rfc4475/sdp01": 406, "rfc4475/inv2543": sound,

	"rfc5118/ipv6-good": sound, "rfc5118/ipv6-bad": 400, "rfc5118/port-ambiguous": sound, "rfc5118/port-unambiguous": sound,
	"rfc5118/via-received-param-with-delim": sound, "rfc5118/via-received-param-no-delim": sound, "rfc5118/ipv6-in-sdp": sound,
	"rfc5118/mult-ip-in-header": sound, "rfc5118/mult-ip-in-sdp": sound, "rfc5118/ipv4-mapped-ipv6": sound,
	"rfc5118/ipv6-bug-abnf-3-colons": sound, "rfc5118/ipv6-correct-abnf-2-colons": sound,
}

func TestTortureMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/rfc*/*.dat")
	if err != nil || len(files) != len(torture) {
		t.Fatalf("%d files, %d rows, %v", len(files), len(torture), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".dat")
		want, listed := torture[name]
		if got, why := verdict(t, file); !listed || got != want {
			t.Errorf("%s: %d (%s), want %d", name, got, why, want)
		}
	}
}

func verdict(t *testing.T, file string) (int, string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := Parse(data)
	req, isRequest := msg.Message.(*sip.Request)
	var bad *ParseError
	switch {
	case errors.As(err, &bad) && isRequest:
		return bad.Status, bad.Reason
	case err != nil && strings.HasPrefix(string(data), "SIP/"):
		return dropped, err.Error()
	case err != nil:
		return nobodys, err.Error()
	case !isRequest && len(msg.GetHeaders("Via")) > 1:
		return twoVias, ""
	case !isRequest:
		return response, ""
	}
	if fault := Validate(req, Served{Extensions: "timer, 100rel"}); fault != nil {
		return fault.Status, fault.Why
	}
	rewritten(t, file, msg)
	return sound, ""
}

// rewritten holds that what is sound stays the same when it is written and read again.
func rewritten(t *testing.T, file string, msg Message) {
	t.Helper()
	again, err := Parse(Append(nil, msg))
	if err != nil {
		t.Errorf("%s: not read again: %v\n%s", file, err, Append(nil, msg))
		return
	}
	was, is := msg.Message.(*sip.Request), again.Message.(*sip.Request)
	was.RemoveHeader("Content-Length") // is moved to the end
	is.RemoveHeader("Content-Length")
	for i, h := range was.Headers() {
		if got := is.Headers()[i].String(); got != h.String() {
			t.Errorf("%s: %q became %q", file, h.String(), got)
		}
	}
}

// What the messages are good for beyond being read: the parts that must be understood.
func TestTorturePartsAreUnderstood(t *testing.T) {
	read := func(name string) *sip.Request {
		data, err := os.ReadFile("testdata/" + name + ".dat")
		if err != nil {
			t.Fatal(err)
		}
		msg, err := Parse(data)
		if err != nil {
			t.Fatal(name, err)
		}
		return msg.Message.(*sip.Request)
	}
	for _, row := range []struct{ what, got, want string }{
		{"wsinv: tag", toTag(read("rfc4475/wsinv").To()), "1918181833n"},
		{"wsinv: display name", read("rfc4475/wsinv").From().DisplayName, `J Rosenberg \\\"`},
		{"wsinv: last Via", read("rfc4475/wsinv").GetHeaders("Via")[2].Value(), "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239"},
		{"wsinv: q", read("rfc4475/wsinv").Contact().Params.GetOr("q", ""), "0.33"},
		{"intmeth: user", read("rfc4475/intmeth").Recipient.User, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"},
		{"intmeth: password", read("rfc4475/intmeth").Recipient.Password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"},
		{"intmeth: display name", read("rfc4475/intmeth").To().DisplayName, "BEL:\\\a NUL:\\\x00 DEL:\\\x7f"},
		{"intmeth: UTF-8", read("rfc4475/intmeth").From().Params.GetOr("fromParam''~+*_!.-%", ""), `"работающий"`},
		{"esc01: user", read("rfc4475/esc01").Recipient.User, "sips%3Auser%40example.com"},
		{"semiuri: user", read("rfc4475/semiuri").Recipient.User, "user;par=u%40example.net"},
		{"semiuri: host", read("rfc4475/semiuri").Recipient.Host, "example.com"},
		{"lwsdisp: display name", read("rfc4475/lwsdisp").From().DisplayName, "caller"},
		{"cparam01: header parameter", read("rfc4475/cparam01").Contact().Params.ToString(';'), "unknownparam"},
		{"cparam02: URI parameter", read("rfc4475/cparam02").Contact().Address.UriParams.ToString(';'), "unknownparam"},
		{"regescrt: header in the URI", read("rfc4475/regescrt").Contact().Address.Headers.ToString('&'), "Route=%3Csip:sip.example.com%3E"},
		{"port-ambiguous: host", read("rfc5118/port-ambiguous").Recipient.Host, "[2001:db8::10:5070]"},
		{"port-unambiguous: host", read("rfc5118/port-unambiguous").Recipient.HostPort(), "[2001:db8::10]:5070"},
		{"received in brackets", read("rfc5118/via-received-param-with-delim").Via().Params.GetOr("received", ""), "[2001:db8::9:255]"},
	} {
		if row.got != row.want {
			t.Errorf("%s: %q, want %q", row.what, row.got, row.want)
		}
	}
}
