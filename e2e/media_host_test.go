package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"syscall"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
	"tandem/e2e/load"
	"tandem/gateway"
)

const asMediaHost = "TANDEM_LAB_MEDIA_HOST"

// serveMedia is the media engine in a process without SIP: standard input brings a browser's offer and then the phone's answer,
// standard output gets the offer to the phone and then the answer to the browser, as JSON strings. It ends with its input.
func serveMedia(in io.Reader, out io.Writer) error {
	address := netip.MustParseAddr("127.0.0.7")
	engine, err := media.Open(media.Config{
		Listen: []netip.AddrPort{netip.AddrPortFrom(address, 40000)},
		RTP:    media.RTPConfig{Address: address, Low: 10000, High: 29999},
		Node:   1,
	})
	if err != nil {
		return err
	}
	defer engine.Close(context.Background())
	settling, stop := context.WithCancel(context.Background())
	defer stop()
	go gateway.SettleMemory(settling) // as the gateway has it
	input, output := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var offer string
		if err := input.Decode(&offer); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := hostCall(engine, offer, input, output); err != nil {
			return err
		}
	}
}

// hostCall is what the bridge does with the SDP of a call.
func hostCall(engine *media.Engine, offer string, input *json.Decoder, output *json.Encoder) error {
	browser, err := engine.NewLeg(media.LegSpec{Profile: sdp.WebRTC, Call: "call", Leg: "a"})
	if err != nil {
		return err
	}
	phone, err := engine.NewLeg(media.LegSpec{Profile: sdp.RTP, Call: "call", Leg: "b"})
	if err != nil {
		return err
	}
	a, err := sdp.NewLeg(sdp.WebRTC, browser.Local(), 1).HearOffer([]byte(offer))
	if err != nil {
		return err
	}
	browser.SetRemote(a.Remote())
	b, text, err := sdp.NewLeg(sdp.RTP, phone.Local(), 2).Offer(a.Heard)
	if err != nil {
		return err
	}
	if err := output.Encode(string(text)); err != nil {
		return err
	}
	var answer string
	if err := input.Decode(&answer); err != nil {
		return err
	}
	if b, err = b.HearAnswer([]byte(answer)); err != nil {
		return err
	}
	phone.SetRemote(b.Remote())
	if a, text, err = a.Answer(b.Heard); err != nil {
		return err
	}
	plan, err := sdp.Join(a, b)
	if err != nil {
		return err
	}
	engine.Join(browser, phone, plan)
	browser.AnswerSent()
	return output.Encode(string(text))
}

// mediaHostRelay starts this program again as the media engine alone.
func (m *mediaBench) mediaHostRelay(profile load.Profile) *relay {
	self, err := os.Executable()
	m.must(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asMediaHost+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	m.must(err)
	out, err := cmd.StdoutPipe()
	m.must(err)
	m.must(cmd.Start())
	m.b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	input, output := json.NewDecoder(out), json.NewEncoder(in)
	exchange := func(text string) (answer string, err error) {
		if err := output.Encode(text); err != nil {
			return "", err
		}
		return answer, input.Decode(&answer)
	}
	return &relay{name: "media", pids: []int{cmd.Process.Pid}, call: func(ctx context.Context, i int) (*load.Session, error) {
		s, err := m.g.NewSession(half(i), profile)
		if err != nil {
			return nil, err
		}
		if err := s.Describe(exchange); err != nil {
			return nil, fmt.Errorf("media host: %w", err)
		}
		return s, s.Connect(ctx)
	}}
}
