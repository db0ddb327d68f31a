package bridge

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// session is a text with the m-lines on 127.0.0.1.
func session(version int, lines ...string) string {
	head := fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n", version)
	return head + strings.Join(lines, "\r\n") + "\r\n"
}

// socket is one end of packets, with the m-line's port.
func (w *world) socket() (*net.UDPConn, int) {
	w.t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	w.check(err)
	w.t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).Port
}

// trunkCall is a call of the agent's to itself through the gateway: two RTP legs.
func (w *world) trunkCall(audio [2]string) (caller, callee *siptest.Dialog) {
	w.t.Helper()
	at := w.sip.Addrs()[0]
	to := sip.Uri{Scheme: "sip", User: "trunk", Host: at.Addr().String(), Port: int(at.Port())}
	out, err := w.agents[0].Invite(siptest.Call{To: to, SDP: audio[0]})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	callee, err = in.Accept(w.ctx(), siptest.Reply{SDP: audio[1]})
	w.check(err)
	caller, err = out.Answered(w.ctx(), "")
	w.check(err)
	return caller, callee
}

// reoffer sends a re-INVITE from one side, answers it at the other, and gives what each side then heard.
func (w *world) reoffer(from, to *siptest.Dialog, offer, answer string) (heardOffer, heardAnswer string) {
	w.t.Helper()
	offers := make(chan string, 1)
	w.meanwhile(func() {
		in, err := to.Expect(w.ctx(), sip.INVITE)
		if err != nil {
			offers <- err.Error()
			return
		}
		_, _ = in.Accept(w.ctx(), siptest.Reply{SDP: answer})
		offers <- in.SDP()
	})
	res, err := from.Reinvite(w.ctx(), offer)
	w.check(err)
	if res.StatusCode != 200 {
		w.t.Fatalf("the re-INVITE got %d %s", res.StatusCode, res.Reason)
	}
	return <-offers, string(res.Body())
}

// portOf is the port of an m-line.
func portOf(t *testing.T, text, kind string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^m=` + kind + ` (\d+) `).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no m=%s in\n%s", kind, text)
	}
	port, _ := strconv.Atoi(m[1])
	return port
}

// exchange sends a packet each way between two sockets, through the gateway's ports; what comes through has its end.
func (w *world) exchange(ends [2]*net.UDPConn, ports [2]int, packet, end string) {
	w.t.Helper()
	for from, c := range ends {
		at := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[from]}
		w.until("a packet that came through", func() bool {
			_, err := c.WriteToUDP([]byte(packet), at)
			w.check(err)
			b := make([]byte, 1500)
			w.check(ends[1-from].SetReadDeadline(time.Now().Add(50 * time.Millisecond)))
			n, _, err := ends[1-from].ReadFromUDP(b)
			return err == nil && strings.HasSuffix(string(b[:n]), end)
		})
	}
}

// A fax is taken over to T.38 by a re-INVITE, as Asterisk does it, and the audio comes back.
func TestFaxBetweenTrunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	audio := [2]string{session(1, "m=audio 4000 RTP/AVP 0"), session(1, "m=audio 4100 RTP/AVP 0")}
	caller, callee := w.trunkCall(audio)
	a, portA := w.socket()
	b, portB := w.socket()
	image := func(port int) string {
		return session(2, fmt.Sprintf("m=image %d udptl t38", port), "a=T38FaxVersion:0", "a=T38FaxUdpEC:t38UDPRedundancy")
	}
	offer, answer := w.reoffer(callee, caller, image(portB), image(portA))
	for _, text := range []string{offer, answer} {
		if !strings.Contains(text, "a=T38FaxUdpEC:t38UDPRedundancy\r\n") || strings.Contains(text, "m=audio") {
			t.Fatalf("said\n%s", text)
		}
	}
	w.exchange([2]*net.UDPConn{a, b}, [2]int{portOf(t, offer, "image"), portOf(t, answer, "image")}, "\x00\x01\x02t38", "\x00\x01\x02t38")
	offer, answer = w.reoffer(callee, caller, audio[1], audio[0])
	if portOf(t, offer, "audio") == 0 || portOf(t, answer, "audio") == 0 || strings.Contains(offer+answer, "m=image") {
		t.Errorf("the audio is not back:\n%s\n%s", offer, answer)
	}
}

// A browser takes no fax: beside audio it is refused with port 0, alone with a status that leaves the call as it was.
func TestFaxTowardsBrowser(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	res, err := k.backend.Reinvite(k.ctx(), session(9, "m=image 4002 udptl t38", "a=T38FaxVersion:0"))
	k.check(err)
	if res.StatusCode != 488 {
		t.Errorf("the fax alone got %d %s", res.StatusCode, res.Reason)
	}
	res, err = k.backend.Reinvite(k.ctx(), k.rtp.Offer("sendrecv")+"m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n")
	k.check(err)
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "m=image 0 udptl t38\r\n") || portOf(t, string(res.Body()), "audio") == 0 {
		t.Errorf("the fax beside audio got %d\n%s", res.StatusCode, res.Body())
	}
	k.rtp.Tone(1200)
	k.check(k.call.Media().WaitTone(k.ctx(), 1200))
	k.hangUp()
}

// Video between trunks has ports of its own on each leg where the peering allows it, and comes and goes by re-INVITE.
func TestVideoBetweenTrunks(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{true, false} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {SDP: sdp.Policy{Video: allowed}}}}})
			a, portA := w.socket()
			b, portB := w.socket()
			vp8 := func(version, audio, port int) string {
				return session(version, fmt.Sprintf("m=audio %d RTP/AVP 0", audio), fmt.Sprintf("m=video %d RTP/AVP 96", port), "a=rtpmap:96 VP8/90000")
			}
			caller, callee := w.trunkCall([2]string{session(1, "m=audio 4000 RTP/AVP 0"), session(1, "m=audio 4100 RTP/AVP 0")})
			if !allowed {
				res, err := callee.Reinvite(w.ctx(), vp8(2, 4100, portB))
				w.check(err)
				if res.StatusCode != 200 || portOf(t, string(res.Body()), "video") != 0 {
					t.Errorf("%d\n%s", res.StatusCode, res.Body())
				}
				return
			}
			offer, answer := w.reoffer(callee, caller, vp8(2, 4100, portB), vp8(2, 4000, portA))
			picture := "\x80\x60\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01 a picture"
			ports := [2]int{portOf(t, offer, "video"), portOf(t, answer, "video")}
			w.exchange([2]*net.UDPConn{a, b}, ports, picture, " a picture")
			offer, answer = w.reoffer(caller, callee, vp8(3, 4000, 0), vp8(3, 4100, 0))
			if portOf(t, offer, "video") != 0 || portOf(t, answer, "video") != 0 || portOf(t, offer, "audio") == 0 {
				t.Errorf("the video is not gone:\n%s\n%s", offer, answer)
			}
		})
	}
}

// Codecs are converted only where both legs of the call do so.
func TestConversionTakesBothLegs(t *testing.T) {
	t.Parallel()
	opus := session(1, "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2")
	for _, converts := range []bool{true, false} {
		t.Run(fmt.Sprint(converts), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {SDP: sdp.Policy{Transcode: converts}}}}})
			at := w.sip.Addrs()[0]
			to := sip.Uri{Scheme: "sip", User: "trunk", Host: at.Addr().String(), Port: int(at.Port())}
			out, err := w.agents[0].Invite(siptest.Call{To: to, SDP: opus})
			w.check(err)
			in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
			w.check(err)
			if offers := strings.Contains(in.SDP(), "m=audio") && strings.Contains(in.SDP(), "PCMA/8000"); offers != converts {
				t.Fatalf("offered\n%s", in.SDP())
			}
			if !converts {
				w.check(in.Respond(siptest.Reply{Status: 488}))
				return
			}
			_, err = in.Accept(w.ctx(), siptest.Reply{SDP: session(1, "m=audio 4100 RTP/AVP 8")})
			w.check(err)
			d, err := out.Answered(w.ctx(), "")
			w.check(err)
			if !strings.Contains(d.Remote, " RTP/AVP 96\r\n") {
				t.Errorf("answered\n%s", d.Remote)
			}
			w.check(d.Bye(w.ctx()))
			codecs := map[string]string{}
			for _, m := range w.record().Media {
				codecs[m.Leg] = m.Converted
			}
			if codecs["caller"] != "opus/48000/2" || codecs["callee"] != "PCMA/8000" {
				t.Errorf("recorded as converted: %v", codecs)
			}
		})
	}
}
