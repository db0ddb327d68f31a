package media

import (
	"encoding/json"
	"errors"
	"testing"

	"tandem/bridge/sdp"
)

// reservedCall are two RTP legs with ports for a slot, and a phone at each.
func reservedCall(t *testing.T, e *Engine, slot sdp.Slot) (legs [2]*Leg, phones [2]*phone) {
	t.Helper()
	for i := range legs {
		l := newLeg(t, e, LegSpec{Profile: sdp.RTP})
		for range 2 { // the second time there is nothing to do
			if err := l.Reserve(slot); err != nil {
				t.Fatal(err)
			}
		}
		local := l.Local()
		if len(local.Ports) != slot+1 || local.Ports[slot] == 0 || local.Ports[slot] == local.Ports[0] {
			t.Fatalf("ports %v", local.Ports)
		}
		local.Ports = local.Ports[slot:]
		f := newPhone(t, local)
		told := make([]sdp.RemoteStream, slot+1)
		told[slot] = f.remote().Streams[0]
		l.SetRemote(sdp.Remote{Streams: told})
		legs[i], phones[i] = l, f
	}
	return legs, phones
}

func TestReservedVideoIsRelayed(t *testing.T) {
	e := open(t)
	legs, phones := reservedCall(t, e, sdp.Video)
	plan := opusPlan()
	video := plan.Streams[0]
	video.Kind = "video"
	plan.Streams = append(plan.Streams, video)
	e.Join(legs[0], legs[1], plan)
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	phones[0].sendRTP(111, "a picture")
	if got := phones[1].receiveRTP(); got.PayloadType != 107 || string(got.Payload) != "a picture" {
		t.Errorf("got %v", got)
	}
}

// A fax passes as it is, also after a leg was written down with a slot that has no port.
func TestFaxIsRelayed(t *testing.T) {
	e := open(t)
	legs, phones := reservedCall(t, e, sdp.Image)
	streams := make([]sdp.PlannedStream, sdp.Slots)
	streams[sdp.Image] = sdp.PlannedStream{Kind: "image", Forward: [2]bool{true, true}}
	e.Join(legs[0], legs[1], sdp.Plan{Streams: streams})
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	pass := func() {
		t.Helper()
		for from := range 2 {
			for _, p := range []string{"\x00\x01\x01\x00", "\x80\xc8\x00\x07 not RTCP"} {
				sendTo(t, phones[from].rtp, phones[from].to, []byte(p))
				if got := string(phones[1-from].receive()); got != p {
					t.Fatalf("got %q, want %q", got, p)
				}
			}
		}
	}
	pass()
	sendTo(t, phones[0].rtp, phones[0].to, []byte{1, 2})
	waitFor(t, "the short packet to be counted", func() bool { return legs[0].Stats().Drops[DropProtocol.String()] > 0 })
	text, err := json.Marshal(legs[1].Export())
	if err != nil {
		t.Fatal(err)
	}
	var state LegState
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	legs[1].Close()
	legs[1] = newLeg(t, e, LegSpec{Profile: sdp.RTP, Restore: &state})
	e.Join(legs[0], legs[1], sdp.Plan{Streams: streams})
	waitFor(t, "the legs to be joined again", func() bool { return e.Stats().Relays == 1 })
	pass()
}

func TestReserveRunsOutOfPorts(t *testing.T) {
	low := freePair(t)
	e := open(t, func(c *Config) { c.RTP.Low, c.RTP.High = low, low+1 })
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	if err := l.Reserve(sdp.Video); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("error %v", err)
	}
	if got := l.Local().Ports; len(got) != 1 {
		t.Errorf("ports %v", got)
	}
	browser := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	if err := browser.Reserve(sdp.Video); err != nil || len(browser.Local().Ports) != 0 {
		t.Errorf("a browser's leg: %v, %v", err, browser.Local())
	}
}
