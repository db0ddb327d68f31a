package media

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

// The "RTP bleed" class: an attacker who does not see the call sends to the port, so as to be heard or to get the media. Each
// step is a row of packets of somebody, or an SDP; at the end media goes where it must.
func TestRTPBleed(t *testing.T) {
	t.Parallel()
	const phone, behindNAT, attacker = "10.0.0.1:4000", "192.0.2.7:1024", "203.0.113.66:9999"
	type step struct {
		from  string // "" for an SDP that says told
		told  string
		count int
		after time.Duration // before each packet
	}
	packets := func(from string, count int) step { return step{from: from, count: count, after: 20 * time.Millisecond} }
	burst := func(from string, count int) step { return step{from: from, count: count} }
	says := func(told string) step { return step{told: told} }
	modes := []string{"strict", "signalling", "any"}
	for _, c := range []struct {
		name  string
		modes []string
		steps []step
		to    string // where our packets go in the end
		heard string // whose packets the other leg must not get
	}{
		{"spray before the phone speaks", modes[:2], []step{says(phone), burst(attacker, 50), packets(phone, 5)}, phone, attacker},
		{"spray in between", modes, []step{says(phone), packets(phone, 1), burst(attacker, 50), packets(phone, 5), burst(attacker, 50)}, phone, attacker},
		{"spray after the lock", modes, []step{says(phone), packets(phone, 5), burst(attacker, 500), packets(phone, 1), burst(attacker, 500)}, phone, attacker},
		{"spray while the phone is silent", modes, []step{says(phone), packets(phone, 5), {from: attacker, count: 50, after: time.Second}}, phone, attacker},
		{"spray when the session is refreshed", modes, []step{says(phone), packets(phone, 5), says(phone), burst(attacker, 500),
			packets(phone, 2), burst(attacker, 500)}, phone, attacker},
		{"spray when the session is refreshed behind NAT", modes[2:], []step{says(phone), packets(behindNAT, 5), says(phone), burst(attacker, 500),
			packets(behindNAT, 2), burst(attacker, 500)}, behindNAT, attacker},
		{"the phone moves without an SDP", modes, []step{says(phone), packets(phone, 5), packets(behindNAT, 50)}, phone, behindNAT},
		{"the phone moves by re-INVITE", modes, []step{says(phone), packets(phone, 5), says("10.0.0.1:5000"), packets("10.0.0.1:5000", 5)}, "10.0.0.1:5000", attacker},
		{"the phone is behind NAT", modes[2:], []step{says(phone), packets(behindNAT, 5)}, behindNAT, attacker},
		{"and speaks too late", modes[2:], []step{says(phone), {from: behindNAT, count: 1, after: 6 * time.Second}, packets(behindNAT, 50)}, phone, behindNAT},
		{"the NAT rebinds, and a re-INVITE tells", modes[2:], []step{says(phone), packets(behindNAT, 5), says(phone),
			{from: "192.0.2.7:1025", count: 1, after: time.Second}, packets("192.0.2.7:1025", 5)}, "192.0.2.7:1025", attacker},
	} {
		for _, mode := range c.modes {
			for _, control := range []bool{false, true} {
				name := c.name + "/" + mode
				if control {
					name += "/RTCP"
				}
				t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
					x := newWire(t, opusPlan())
					x.b.learn, _ = parseLearnMode(mode)
					s := x.b.streams[0]
					s.rtp.learner.mode, s.rtcp.learner.mode = x.b.learn, x.b.learn
					sequence := uint16(0)
					for _, step := range c.steps {
						if step.from == "" {
							at := netip.MustParseAddrPort(step.told)
							x.b.setAddresses(x.w, sdp.Remote{Streams: []sdp.RemoteStream{{RTP: at, RTCP: at}}})
						}
						for range step.count {
							x.w.clock += int64(step.after)
							from := sockaddrOf(netip.MustParseAddrPort(step.from))
							sequence++
							x.from(&from, sequence, control, step.from)
						}
					}
					for _, p := range x.take() {
						if !p.control && p.leg == x.a && string(p.data[rtpMin:]) == c.heard {
							t.Fatalf("%s is heard", c.heard)
						}
					}
					far := &s.rtp
					if control {
						far = &s.rtcp
					}
					if got := far.to.name.addrPort().String(); got != c.to {
						t.Errorf("packets go to %s, want %s", got, c.to)
					}
				})
			}
		}
	}
}

// from hands a packet of somebody to the phone's leg; its payload says who it was.
func (x *wire) from(who *sockaddr, sequence uint16, control bool, payload string) {
	x.w.in.next = 0
	p, socket := packet(x.t, 107, 9, sequence, payload), 0
	if control {
		p, socket = senderReport(9), 1
	}
	d := datagram{data: x.w.in.copyIn(p), from: who}
	x.w.receivePort(x.b.streams[0].ends()[socket].socket, &d)
	x.collect()
}

// A forged packet with the phone's own address and another SSRC costs the phone two packets, once.
func TestForgedSource(t *testing.T) {
	x := newWire(t, opusPlan())
	sequence := uint16(0)
	heard := func(ssrc uint32, payload string) bool {
		sequence++
		x.w.clock += int64(20 * time.Millisecond)
		x.phoneSends(packet(t, 107, ssrc, sequence, payload))
		return slices.ContainsFunc(x.take(), func(p wirePacket) bool { return !p.control && string(p.data[rtpMin:]) == payload })
	}
	for range 50 {
		if !heard(9, "real") {
			t.Fatal("the phone is not heard")
		}
	}
	lost, forged := 0, 0
	for range 200 {
		if heard(666, "forged") {
			forged++
		}
		if !heard(9, "real") {
			lost++
		}
	}
	if lost > 1 || forged > 2 {
		t.Errorf("%d of the phone's packets lost, %d forged ones heard", lost, forged)
	}
}
