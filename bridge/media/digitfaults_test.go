package media

import (
	"encoding/binary"
	"testing"

	"tandem/bridge/sdp"
)

// eventPacket is one packet of an RFC 4733 event of the browser's.
func eventPacket(t testing.TB, sequence uint16, timestamp uint32, code byte) []byte {
	p := packet(t, 126, 70, sequence, string([]byte{code, 10, 0, 160}))
	binary.BigEndian.PutUint32(p[4:], timestamp)
	return p
}

// toldAnewPlan is opusPlan where the browser's events do not pass as they are.
func toldAnewPlan() sdp.Plan {
	plan := opusPlan()
	plan.Streams[0].Payload[0][126] = noPayload
	return plan
}

// A peer that sends more digits than may wait loses these, and no later ones.
func TestDigitFloodIsForgotten(t *testing.T) {
	x := newWire(t, toldAnewPlan())
	for i := range 3 * maxDigits {
		x.browserSends(eventPacket(t, uint16(500+i), uint32(i*1000), byte(i%10)))
	}
	if x.drops(x.a, DropDigit) == 0 {
		t.Fatal("the flood was not bounded")
	}
	if n := x.b.counters.digits.Load(); n > maxDigits {
		t.Errorf("%d digits wait", n)
	}
	x.b.endDigits(x.w)
	if n := x.b.counters.digits.Load(); n != 0 {
		t.Errorf("%d digits of none wait", n)
	}
}

// While a digit is reported the audio is silent; whatever ends the report lets it go on.
func TestReportedDigitDoesNotSilenceForGood(t *testing.T) {
	for name, interrupt := range map[string]func(x *wire){
		"joined anew": func(x *wire) {
			x.a.unjoin(x.w)
			x.join(toldAnewPlan())
		},
		"another form": func(x *wire) { x.b.setDigits(x.w, Digits{}) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, toldAnewPlan())
			x.b.setDigits(x.w, Digits{Form: DigitReport})
			x.browserSends(packet(t, 111, 70, 500, voice))
			x.browserSends(eventPacket(t, 501, 1000, 5))
			x.browserSends(packet(t, 111, 70, 502, voice))
			if sent := x.take(); len(sent) != 1 {
				t.Fatalf("%d packets left, want the first only", len(sent))
			}
			interrupt(x)
			x.browserSends(packet(t, 111, 70, 503, voice))
			if sent := x.take(); len(sent) != 1 {
				t.Errorf("%d packets left after the digit", len(sent))
			}
		})
	}
}
