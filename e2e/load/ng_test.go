package load

import (
	"maps"
	"testing"
)

func TestBencode(t *testing.T) {
	got := string(bencode([]entry{{"command", "offer"}, {"flags", []string{"trust-address", "generate-mid"}}, {"ICE", "force"}}))
	const want = "d7:command5:offer5:flagsl13:trust-address12:generate-mide3:ICE5:forcee"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestUnbencode(t *testing.T) {
	for _, row := range []struct {
		text string
		want map[string]string // nil: refused
	}{
		{"d6:result2:ok3:sdp5:v=0\r\ne", map[string]string{"result": "ok", "sdp": "v=0\r\n"}},
		{"de", map[string]string{}},
		{"", nil},
		{"i5e", nil},
		{"d6:result9:oke", nil},
		{"d6:result-1:e", nil},
		{"d6:resulti5ee", nil},
	} {
		got, err := unbencode([]byte(row.text))
		if (err != nil) != (row.want == nil) || err == nil && !maps.Equal(got, row.want) {
			t.Errorf("%q: %v, %v; want %v", row.text, got, err, row.want)
		}
	}
}
