package media

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pion/rtp"

	"tandem/bridge/sdp"
)

// party is one end of a call, however it is keyed.
type party interface {
	sendRTP(payloadType uint8, payload string)
	receiveRTP() *rtp.Packet
	sendRTCP(p []byte)
	receiveReport() []byte
}

// webParty is a browser as a party.
type webParty struct{ *peer }

func (p webParty) sendRTP(payloadType uint8, payload string) {
	p.peer.sendRTP(p.peer.next(payloadType, payload))
}

func (p webParty) sendRTCP(b []byte) {
	p.t.Helper()
	sealed, err := p.out.EncryptRTCP(nil, b, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.peer.send(sealed)
}

var _, _ party = webParty{}, &trunk{}

// kind opens a leg with its party and connects them.
type kind struct {
	name string
	open func(t *testing.T, e *Engine, ssrc uint32) (*Leg, party)
}

func trunkKind(name string, prepare func(k *trunk, l *Leg), connect func(k *trunk, l *Leg) error) kind {
	return kind{name, func(t *testing.T, e *Engine, ssrc uint32) (*Leg, party) {
		l := newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true})
		k := newTrunk(t, l.Local(), ssrc)
		prepare(k, l)
		k.says(l)
		if connect != nil {
			if err := connect(k, l); err != nil {
				t.Fatal(err)
			}
		}
		return l, k
	}}
}

func kinds() []kind {
	return []kind{
		{"WebRTC", func(t *testing.T, e *Engine, ssrc uint32) (*Leg, party) {
			l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
			p := newPeer(t, l.Local())
			p.ssrc = ssrc
			p.connect(l)
			return l, webParty{p}
		}},
		trunkKind("RTP", func(*trunk, *Leg) {}, nil),
		trunkKind("SDES", func(k *trunk, l *Leg) { k.useSDES(l.Local(), "AES_CM_128_HMAC_SHA1_80") }, nil),
		trunkKind("DTLS", func(k *trunk, l *Leg) { k.useDTLS("active") }, (*trunk).handshake),
	}
}

// furtherKinds are other ways of the same keyings.
func furtherKinds() []kind {
	list := []kind{
		trunkKind("DTLS passive", func(k *trunk, l *Leg) { k.useDTLS("passive") }, (*trunk).handshake),
		trunkKind("DTLS mux", func(k *trunk, l *Leg) { k.mux = true; k.useDTLS("active") }, (*trunk).handshake),
		trunkKind("SDES mux", func(k *trunk, l *Leg) {
			k.mux = true
			k.useSDES(l.Local(), "AEAD_AES_256_GCM")
		}, nil),
		trunkKind("SDES with MKI", func(k *trunk, l *Leg) {
			k.remote.Receive.MKI = []byte{0, 0, 0, 1}
			k.useSDES(l.Local(), "AES_CM_128_HMAC_SHA1_32")
		}, nil),
		trunkKind("SDES GCM with MKI", func(k *trunk, l *Leg) {
			k.remote.Receive.MKI = []byte{7}
			k.useSDES(l.Local(), "AEAD_AES_128_GCM")
		}, nil),
	}
	for _, s := range suites() {
		list = append(list, trunkKind(s.name, func(k *trunk, l *Leg) { k.useSDES(l.Local(), s.name) }, nil))
	}
	return list
}

// openPlan relays every payload type as it is.
func openPlan() sdp.Plan {
	plan := opusPlan()
	s := &plan.Streams[0]
	for side := range s.Payload {
		s.Payload[side][107] = 107
		s.Codec[side].PayloadType, s.From[side] = 107, 107
	}
	return plan
}

// exchange has packets and reports go both ways.
func exchange(t *testing.T, legs [2]*Leg, parties [2]party) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("leg 0 %+v\nleg 1 %+v", legs[0].Stats(), legs[1].Stats())
		}
	}()
	for i, p := range parties {
		text := fmt.Sprintf("from %d", i)
		p.sendRTP(107, text)
		if got := parties[1-i].receiveRTP(); string(got.Payload) != text || got.PayloadType != 107 {
			t.Fatalf("got %v", got)
		}
	}
}

// exchangeReports has each party's sender reports heard by its leg, and each party hear one of its leg's.
func exchangeReports(t *testing.T, legs [2]*Leg, parties [2]party, ssrcs [2]uint32) {
	t.Helper()
	for i, p := range parties {
		before := legs[i].Stats().PacketsIn
		p.sendRTCP(senderReport(ssrcs[i]))
		waitFor(t, "the report to be taken", func() bool { return legs[i].Stats().PacketsIn == before+1 })
		legs[i].do(func(w *worker, l *Leg) { l.reportStream(w, sdp.Audio) }) // before its time
		if r := p.receiveReport(); !validRTCP(r) {
			t.Errorf("party %d got %x", i, r)
		}
	}
}

func runPair(t *testing.T, a, b kind) {
	e := open(t)
	var legs [2]*Leg
	var parties [2]party
	ssrcs := [2]uint32{0x1111, 0x2222}
	for i, k := range []kind{a, b} {
		legs[i], parties[i] = k.open(t, e, ssrcs[i])
	}
	e.Join(legs[0], legs[1], openPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	for range 50 { // the trunks' sequence numbers wrap on the way
		exchange(t, legs, parties)
	}
	exchangeReports(t, legs, parties, ssrcs)
	for i := range legs {
		legs[i] = again(t, e, legs[i])
	}
	e.Join(legs[0], legs[1], openPlan())
	waitFor(t, "the legs to be joined again", func() bool { return e.Stats().Relays == 1 })
	for range 10 {
		exchange(t, legs, parties)
	}
	exchangeReports(t, legs, parties, ssrcs)
	for i, l := range legs {
		if drops := l.Stats().Drops; len(drops) > 0 {
			t.Errorf("leg %d dropped %v", i, drops)
		}
	}
}

// again writes a leg down as JSON, closes it and makes it anew.
func again(t *testing.T, e *Engine, l *Leg) *Leg {
	t.Helper()
	text, err := json.Marshal(l.Export())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var state LegState
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	return newLeg(t, e, LegSpec{Profile: state.Profile, Restore: &state})
}

// Any keying meets any: packets and reports pass both ways, before and after a snapshot.
func TestAnyLegMeetsAnyLeg(t *testing.T) {
	t.Parallel()
	for _, a := range kinds() {
		for _, b := range kinds() {
			t.Run(a.name+" to "+b.name, func(t *testing.T) {
				t.Parallel()
				runPair(t, a, b)
			})
		}
	}
}

func TestWaysOfKeying(t *testing.T) {
	t.Parallel()
	browser := kinds()[0]
	for _, k := range furtherKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			runPair(t, browser, k)
		})
	}
}
