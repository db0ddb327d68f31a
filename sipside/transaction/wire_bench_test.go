package transaction

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// callMessages are those of one call of sipp's, and JsSIP's INVITE, by name.
func callMessages(tb testing.TB) map[string][]byte {
	files, err := filepath.Glob("testdata/call/*.sip")
	if err != nil || len(files) == 0 {
		tb.Fatal(len(files), err)
	}
	all := make(map[string][]byte)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".sip")] = data
	}
	return all
}

func BenchmarkParse(b *testing.B) {
	for name, data := range callMessages(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, data := range callMessages(b) {
		msg, err := Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		var dst []byte
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				dst = Append(dst[:0], msg)
			}
		})
	}
}

// silent is a flow that takes everything.
type silent struct{}

func (silent) Send([]byte) error { return nil }
func (silent) Reliable() bool    { return false }
func (silent) Identity() string  { return "udp 127.0.0.1:5060 127.0.0.30:5060" }

// BenchmarkServer is a BYE from its text to its 200, all but the sockets.
func BenchmarkServer(b *testing.B) {
	data, l := string(callMessages(b)["bye"]), New(Config{})
	before, behind, _ := strings.Cut(data, "-17-7")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		text := append(append([]byte(before), byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/676%26), byte('a'+i/17576%26)), behind...)
		msg, err := Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		l.Receive(msg, silent{}, func(tx *Server) {
			if fault := Validate(tx.Request(), Served{Extensions: "timer, replaces, 100rel"}); fault != nil {
				b.Error(fault.Why)
			}
			_ = tx.Respond(NewResponse(tx.Request(), sip.StatusOK, "OK"))
		})
	}
}
