package bridge

import "testing"

func TestReplacesHeader(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]replaces{
		"a@b;to-tag=1;from-tag=2":                   {callID: "a@b", toTag: "1", fromTag: "2"},
		" a ; From-Tag = 2 ; TO-TAG=1;early-only;x": {callID: "a", toTag: "1", fromTag: "2", earlyOnly: true},
	} {
		got, err := parseReplaces(value)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", value, got, err)
		}
		if again, err := parseReplaces(got.String()); err != nil || again != want {
			t.Errorf("%q again: %+v, %v", got.String(), again, err)
		}
	}
	for _, value := range []string{"", "a", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2", "a;to-tag=1;to-tag=3;from-tag=2", "a;to-tag=1;from-tag=2\r\nX: y"} {
		if got, err := parseReplaces(value); err == nil {
			t.Errorf("%q is taken as %+v", value, got)
		}
	}
}

func TestSipfrag(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"SIP/2.0 180 Ringing\r\n": 180, "SIP/2.0 200 OK": 200, "": 0, "HTTP/1.1 200 OK": 0, "SIP/2.0 99 x": 0, "SIP/2.0 two": 0, "SIP/2.0": 0,
	} {
		if got := parseSipfrag([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := parseSipfrag(sipfrag(486, "")); got != 486 {
		t.Errorf("our own: %d", got)
	}
}

func FuzzReplaces(f *testing.F) {
	f.Add("a@b;to-tag=1;from-tag=2;early-only")
	f.Add("a;to-tag=;from-tag")
	f.Fuzz(func(t *testing.T, value string) {
		r, err := parseReplaces(value)
		if err != nil {
			return
		}
		if again, err := parseReplaces(r.String()); err != nil || again != r {
			t.Errorf("%q: %+v, then %+v, %v", value, r, again, err)
		}
	})
}
