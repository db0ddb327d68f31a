package wsstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

// MediaOptions of one PeerConnection; UDP on 127.0.0.1 until Roam.
type MediaOptions struct {
	Codecs           []string           // offered, in order; default opus, G722, PCMU, PCMA; telephone-event comes with them
	Send             string             // codec sent if negotiated; default PCMU, else PCMA, else the first
	Tone             float64            // Hz of PCMU and PCMA; default 440
	Payload          func(n int) []byte // payload of the n-th packet of other codecs; default: 40 bytes that carry n
	Silent           bool               // sends nothing
	WrongFingerprint bool               // the SDP's fingerprint is not that of the certificate
	Trickle          bool               // SDP goes out without candidates; Candidates has them
}

// Media is a PeerConnection with one audio stream. It starts to send when it is connected. Directions (hold) are kept here and
// only written into the SDP: pion itself always negotiates sendrecv, so that its track lives as long as the call.
type Media struct {
	// static after construction
	opt       MediaOptions
	pc        *webrtc.PeerConnection
	track     *track
	ear       *ear
	connected chan struct{}
	failed    chan struct{}
	closed    chan struct{}

	address atomic.Pointer[net.IP] // where it gathers candidates

	mu sync.Mutex
	// guarded by mu
	wanted    string // our direction
	before    string // ours before the last offer
	heard     string // the peer's
	isUp      bool
	hasFailed bool
	isClosed  bool
}

// NewMedia opens a PeerConnection.
func NewMedia(opt MediaOptions) (*Media, error) {
	if opt.Codecs == nil {
		opt.Codecs = []string{"opus", "G722", "PCMU", "PCMA"}
	}
	if opt.Tone == 0 {
		opt.Tone = 440
	}
	if opt.Payload == nil {
		opt.Payload = markedPayload
	}
	m := &Media{opt: opt, track: newTrack(opt), ear: newEar(), wanted: "sendrecv", before: "sendrecv", heard: "sendrecv",
		connected: make(chan struct{}), failed: make(chan struct{}), closed: make(chan struct{})}
	m.Roam(net.IPv4(127, 0, 0, 1))
	api, err := newAPI(opt.Codecs, func(ip net.IP) bool { return ip.Equal(*m.address.Load()) })
	if err != nil {
		return nil, err
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		return nil, fmt.Errorf("wsstest: PeerConnection: %w", err)
	}
	m.pc = pc
	sender, err := pc.AddTrack(m.track)
	if err != nil {
		_ = pc.Close()
		return nil, fmt.Errorf("wsstest: AddTrack: %w", err)
	}
	go drainRTCP(sender)
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { m.ear.listen(remote, m.closed) })
	pc.OnConnectionStateChange(m.onState)
	return m, nil
}

// newAPI has Chrome's codecs with Chrome's payload types, and UDP on the addresses asked for.
func newAPI(codecs []string, here func(net.IP) bool) (*webrtc.API, error) {
	engine := &webrtc.MediaEngine{}
	for _, codec := range chromeCodecs(codecs) {
		if err := engine.RegisterCodec(codec, webrtc.RTPCodecTypeAudio); err != nil {
			return nil, fmt.Errorf("wsstest: codec %s: %w", codec.MimeType, err)
		}
	}
	registry := &interceptor.Registry{}
	if err := webrtc.ConfigureRTCPReports(registry); err != nil {
		return nil, fmt.Errorf("wsstest: RTCP reports: %w", err)
	}
	var set webrtc.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	set.SetIPFilter(here)
	set.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	set.SetHostAcceptanceMinWait(0)
	set.SetPrflxAcceptanceMinWait(0)
	set.SetSDPMediaLevelFingerprints(true)
	set.SetHandleUndeclaredSSRCWithoutAnswer(true) // as browsers: a relay announces no SSRC
	return webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(set)), nil
}

// chromeCodecs are the named codecs as Chrome of 2026 numbers them, with telephone-event at their clocks.
func chromeCodecs(names []string) []webrtc.RTPCodecParameters {
	known := map[string]webrtc.RTPCodecParameters{
		"opus": {PayloadType: 96, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/opus", ClockRate: 48000,
			Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}},
		"g722": {PayloadType: 9, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/G722", ClockRate: 8000}},
		"pcmu": {PayloadType: 0, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/PCMU", ClockRate: 8000}},
		"pcma": {PayloadType: 8, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/PCMA", ClockRate: 8000}},
	}
	event := func(pt webrtc.PayloadType, clock uint32) webrtc.RTPCodecParameters {
		return webrtc.RTPCodecParameters{PayloadType: pt, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: "audio/telephone-event", ClockRate: clock}}
	}
	var list []webrtc.RTPCodecParameters
	clocks := map[uint32]bool{}
	for _, name := range names {
		codec, ok := known[strings.ToLower(name)]
		if ok {
			list = append(list, codec)
			clocks[codec.ClockRate] = true
		}
	}
	if clocks[48000] {
		list = append(list, event(97, 48000))
	}
	if clocks[8000] {
		list = append(list, event(126, 8000))
	}
	return list
}

func drainRTCP(sender *webrtc.RTPSender) {
	buf := make([]byte, 1500)
	for {
		if _, _, err := sender.Read(buf); err != nil {
			return
		}
	}
}

func (m *Media) onState(s webrtc.PeerConnectionState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s == webrtc.PeerConnectionStateConnected && !m.isUp:
		m.isUp = true
		close(m.connected)
		if !m.opt.Silent {
			go m.track.run(m.closed)
		}
	case s == webrtc.PeerConnectionStateFailed && !m.hasFailed:
		m.hasFailed = true
		close(m.failed)
	}
}

// Offer makes an offer with all candidates in it, as JsSIP waits for them.
func (m *Media) Offer(ctx context.Context, ch Change) ([]byte, error) {
	offer, err := m.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: ch.RestartICE})
	if err != nil {
		return nil, err
	}
	m.want(ch.Direction)
	return m.local(ctx, offer)
}

// Answer takes an offer and answers it.
func (m *Media) Answer(ctx context.Context, offer []byte) ([]byte, error) {
	if err := m.hear(webrtc.SDPTypeOffer, offer); err != nil {
		return nil, err
	}
	answer, err := m.pc.CreateAnswer(nil)
	if err != nil {
		return nil, err
	}
	return m.local(ctx, answer)
}

// Accept takes the answer to the last offer.
func (m *Media) Accept(answer []byte) error { return m.hear(webrtc.SDPTypeAnswer, answer) }

// Rollback takes the last offer back.
func (m *Media) Rollback() error {
	m.mu.Lock()
	m.wanted = m.before
	m.track.allow(sends(both(m.wanted, reverse(m.heard))))
	m.mu.Unlock()
	return m.pc.SetLocalDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeRollback})
}

// local sets our description, waits for all candidates and gives the text to send.
func (m *Media) local(ctx context.Context, d webrtc.SessionDescription) ([]byte, error) {
	gathered := webrtc.GatheringCompletePromise(m.pc)
	if err := m.pc.SetLocalDescription(d); err != nil {
		return nil, err
	}
	text := d.SDP
	if !m.opt.Trickle {
		if err := await(ctx, gathered); err != nil {
			return nil, err
		}
		text = m.pc.LocalDescription().SDP
	}
	m.mu.Lock()
	said := m.wanted
	if d.Type == webrtc.SDPTypeAnswer {
		said = both(said, reverse(m.heard))
	}
	m.mu.Unlock()
	text = withDirection(text, said)
	if m.opt.WrongFingerprint {
		text = withWrongFingerprint(text)
	}
	return []byte(text), nil
}

// hear sets the peer's description.
func (m *Media) hear(kind webrtc.SDPType, text []byte) error {
	if len(text) == 0 {
		return errors.New("no SDP")
	}
	heard := direction(string(text))
	err := m.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: alwaysSendrecv(string(text))})
	if err != nil {
		return err
	}
	m.track.follow(string(text))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = heard
	m.track.allow(sends(both(m.wanted, reverse(heard))))
	return nil
}

// want changes our direction; sending stops at once where we do not want to send, and begins with the answer.
func (m *Media) want(direction string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = m.wanted
	if direction == "" {
		return
	}
	m.wanted = direction
	if !sends(direction) {
		m.track.allow(false)
	}
}

// Close closes the PeerConnection. The figures stay.
func (m *Media) Close() error {
	m.mu.Lock()
	if m.isClosed {
		m.mu.Unlock()
		return nil
	}
	m.isClosed = true
	close(m.closed)
	m.mu.Unlock()
	return m.pc.Close()
}

// WaitConnected waits until ICE and DTLS are done; an error where they failed.
func (m *Media) WaitConnected(ctx context.Context) error {
	select {
	case <-m.connected:
		return nil
	case <-m.failed:
		return errors.New("wsstest: the PeerConnection failed")
	case <-m.closed:
		return errors.New("wsstest: the PeerConnection was closed")
	case <-ctx.Done():
		return fmt.Errorf("wsstest: the PeerConnection is %s, ICE %s: %w", m.pc.ConnectionState(), m.pc.ICEConnectionState(), ctx.Err())
	}
}

// poll asks until done says so.
func poll(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func codecName(mime string) string { return strings.TrimPrefix(mime, "audio/") }
