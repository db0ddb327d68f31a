package sdp

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is said into testdata")

// A scenario is a txtar file. Its comment names the legs' profiles ("a webrtc, b rtp keys sdes optional": see wordedLeg), then
// any words. Each section is a step whose text is what is heard or what must come out:
//
//	a hears offer          the text; with " : fails" what the error must contain follows behind a "--- " line
//	b offers from a        what must be said ("from nothing": a delayed offer)
//	a answers from b       what must be said; " : fails" turns the text into what the error must contain
//	a repeats              what must be said
//	a rolls back           no text
//	a restarts             the media engine renews the leg's Local; no text
//	plan a b, state a      see planText, stateText
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { runScenario(t, name) })
	}
}

type txtarFile struct{ name, text string }

// readTxtar splits the format of golang.org/x/tools/txtar.
func readTxtar(t testing.TB, name string) (comment string, files []txtarFile) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		title, ok := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		title, end := strings.CutSuffix(title, " --")
		switch {
		case ok && end:
			files = append(files, txtarFile{name: title})
		case len(files) == 0:
			comment += line
		default:
			files[len(files)-1].text += line
		}
	}
	return comment, files
}

func writeTxtar(t *testing.T, name, comment string, files []txtarFile) {
	t.Helper()
	var b strings.Builder
	b.WriteString(comment)
	for _, f := range files {
		fmt.Fprintf(&b, "-- %s --\n%s", f.name, f.text)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testLeg is a leg with the media engine's part made up; its name makes the two differ.
func testLeg(profile Profile, name byte) Leg {
	local := Local{Addr: netip.MustParseAddr("10.0.0.5"), Ports: []uint16{20000 + 100*uint16(name-'a')}}
	if profile == WebRTC {
		local = testLocal(name, 1)
	}
	return NewLeg(profile, local, 4242+uint64(name-'a'))
}

func testLocal(name byte, generation int) Local {
	return Local{
		Ufrag:       fmt.Sprintf("n1w0%c%d", name, generation),
		Password:    fmt.Sprintf("tandem-password-%c-%06d", name, generation),
		Fingerprint: Fingerprint{"sha-256", strings.Repeat("A5:", 31) + "A5"},
		Candidates: []Candidate{
			{"udp", netip.MustParseAddrPort("203.0.113.7:40000"), 2130706431, "1", 0},
			{"tcp", netip.MustParseAddrPort("203.0.113.7:40000"), 1694498815, "2", 0},
		},
	}
}

func runScenario(t *testing.T, name string) {
	comment, files := readTxtar(t, name)
	legs := map[string]Leg{}
	for part := range strings.SplitSeq(strings.SplitN(comment, "\n", 2)[0], ",") {
		f := strings.Fields(part)
		if len(f) < 2 {
			t.Fatalf("%s: first line %q names no legs", name, comment)
		}
		legs[f[0]] = wordedLeg(t, testLeg(map[string]Profile{"webrtc": WebRTC, "rtp": RTP}[f[1]], f[0][0]), f[2:])
	}
	for i := range files {
		got, compare := step(t, legs, files[i])
		if t.Failed() {
			return
		}
		if !compare {
			continue
		}
		if *update {
			files[i].text = got
		} else if want := files[i].text; got != want {
			t.Fatalf("step %d, %s\ngot:\n%s\nwant:\n%s", i+1, files[i].name, got, want)
		}
	}
	if *update {
		writeTxtar(t, name, comment, files)
	}
}

// step does what a section says; compare tells whether got is to be the section's text.
func step(t *testing.T, legs map[string]Leg, section txtarFile) (got string, compare bool) {
	t.Helper()
	title, fails := strings.CutSuffix(section.name, " : fails")
	words := strings.Fields(title)
	heard, reason, _ := strings.Cut(section.text, "--- ")
	if words[0] == "plan" {
		plan, err := Join(legs[words[1]], legs[words[2]])
		checkError(t, title, err, fails, section.text)
		return planText(plan), !fails
	}
	if words[0] == "state" {
		return stateText(legs[words[1]]), true
	}
	leg := legs[words[0]]
	before := toJSON(t, leg)
	var err error
	var text []byte
	var next Leg
	switch verb := strings.Join(words[1:min(3, len(words))], " "); verb {
	case "hears offer":
		next, err = leg.HearOffer([]byte(crlf(heard)))
	case "hears answer":
		next, err = leg.HearAnswer([]byte(crlf(heard)))
	case "offers from":
		next, text, err = leg.Offer(legs[words[3]].Heard)
	case "answers from":
		next, text, err = leg.Answer(legs[words[3]].Heard)
	case "repeats":
		next, text = leg, leg.Repeat()
	case "rolls back":
		next = leg.Rollback()
	case "restarts":
		next = leg
		if next.Local = testLocal(words[0][0], 2); leg.Profile == RTP {
			next.Local = withKeys(leg.Local, words[0][0], 2)
		}
	default:
		t.Fatalf("unknown step %q", section.name)
	}
	if words[1] != "hears" {
		reason = section.text
	}
	checkError(t, title, err, fails, reason)
	if toJSON(t, leg) != before {
		t.Fatalf("%s: the leg was changed in place", title)
	}
	if fails {
		return "", false
	}
	legs[words[0]] = roundTrip(t, next)
	if text != nil && words[1] != "repeats" {
		checkSaid(t, next, text)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n"), text != nil
}

func checkError(t *testing.T, title string, err error, fails bool, reason string) {
	t.Helper()
	if !fails && err != nil {
		t.Fatalf("%s: %v", title, err)
	}
	if fails && (err == nil || !strings.Contains(err.Error(), strings.TrimSpace(reason))) {
		t.Fatalf("%s: error %v, want %s", title, err, reason)
	}
	if fails && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotAcceptable) && !errors.Is(err, ErrNoState) {
		t.Fatalf("%s: error without a class: %v", title, err)
	}
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func toJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// roundTrip goes on with what JSON keeps of a leg, so that every scenario is also a restored snapshot.
func roundTrip(t *testing.T, l Leg) Leg {
	t.Helper()
	var again Leg
	decoder := json.NewDecoder(bytes.NewReader([]byte(toJSON(t, l))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l, again) {
		t.Fatalf("JSON lost something:\n%s\n%s", toJSON(t, l), toJSON(t, again))
	}
	return again
}
