package media

import (
	"bytes"
	"reflect"
	"testing"

	"tandem/bridge/sdp"
)

// sdesCall is a plain phone (leg 0) and an SDES one (leg 1), joined.
func sdesCall(t *testing.T, suite string) (legs [2]*Leg, ends [2]*trunk) {
	t.Helper()
	e := open(t)
	for i := range legs {
		legs[i] = newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true, Signalling: home(t)})
		ends[i] = newTrunk(t, legs[i].Local(), uint32(0x1111*(i+1)))
	}
	ends[1].useSDES(legs[1].Local(), suite)
	for i := range legs {
		ends[i].says(legs[i])
	}
	e.Join(legs[0], legs[1], openPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	return legs, ends
}

func both(ends [2]*trunk) [2]party { return [2]party{ends[0], ends[1]} }

func TestLocalKeys(t *testing.T) {
	e := open(t)
	if l := newLeg(t, e, LegSpec{Profile: sdp.RTP}).Local(); len(l.Crypto) != 0 || l.Fingerprint.Value != "" {
		t.Errorf("a leg that is to have no keys has %+v", l)
	}
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true})
	for _, slot := range []sdp.Slot{sdp.Video, sdp.Image} {
		if err := l.Reserve(slot); err != nil {
			t.Fatal(err)
		}
	}
	local := l.Local()
	late := newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true})
	if len(late.Local().Crypto) != 0 || len(late.Key().Crypto) != 1 || !reflect.DeepEqual(late.Key(), late.Local()) {
		t.Errorf("keyed at last: %+v", late.Local())
	}
	if err := late.Reserve(sdp.Video); err != nil || len(late.Local().Crypto[sdp.Video]) == 0 {
		t.Errorf("reserved when keyed: %+v, %v", late.Local(), err)
	}
	if local.Fingerprint != e.identities.latest.fingerprint || len(local.Crypto) != 2 || len(local.Crypto[0]) != len(suites()) {
		t.Fatalf("local %+v", local)
	}
	seen := map[string]bool{}
	for _, keys := range append(local.Crypto, l.Rekey().Crypto...) {
		for i, k := range keys {
			if k.Suite != suites()[i].name || seen[string(k.Key)] {
				t.Errorf("key %v", k)
			}
			seen[string(k.Key)] = true
			if _, err := sdesKeys(k, k); err != nil {
				t.Error(err)
			}
		}
	}
}

// A re-INVITE renews both keys: packets that are under way with the old one are still good, for a while.
func TestSDESRekeying(t *testing.T) {
	t.Parallel()
	for _, s := range suites() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			legs, ends := sdesCall(t, s.name)
			for range 50 { // past the wrap of the sequence number
				exchange(t, legs, both(ends))
			}
			old := ends[1].ends[0].out
			ends[1].useSDES(legs[1].Rekey(), s.name)
			ends[1].says(legs[1])
			fresh := ends[1].ends[0].out
			ends[1].ends[0].out = old
			exchange(t, legs, both(ends)) // with the old key towards us, with the new one from us
			ends[1].ends[0].out = fresh
			for range 50 {
				exchange(t, legs, both(ends))
			}
			ends[1].ends[0].out = old
			waitFor(t, "the old key to be no good any more", func() bool {
				ends[1].sendRTP(107, "late")
				return legs[1].Stats().Drops[DropSRTPAuth.String()] > 0
			})
		})
	}
}

// Where only the peer's key changes ours goes on, with its packet index; and the other way round.
func TestSDESRekeyingOfOneSide(t *testing.T) {
	t.Parallel()
	legs, ends := sdesCall(t, "AES_CM_128_HMAC_SHA1_80")
	for range 50 {
		exchange(t, legs, both(ends))
	}
	k, end := ends[1], ends[1].ends[0]
	in, out := end.in, end.out
	k.useSDESKeys(k.remote.Send, newCrypto()[3])
	end.in = in
	k.says(legs[1])
	exchange(t, legs, both(ends))
	out = end.out
	k.useSDESKeys(legs[1].Rekey().Crypto[0][3], k.remote.Receive)
	end.out = out
	k.says(legs[1])
	exchange(t, legs, both(ends))
	in = end.in
	k.says(legs[1]) // a refresh: nothing changes
	exchange(t, legs, both(ends))
	k.remote.Keying, k.remote.Send, k.remote.Receive = sdp.Plain, sdp.Crypto{}, sdp.Crypto{}
	end.in, end.out = nil, nil
	k.says(legs[1])
	exchange(t, legs, both(ends))
	if drops := legs[1].Stats().Drops; len(drops) > 0 {
		t.Errorf("dropped %v", drops)
	}
}

// Who has not the key is not learnt as the peer, however often it sends, and takes nothing over later.
func TestSDESFaults(t *testing.T) {
	legs, ends := sdesCall(t, "AEAD_AES_128_GCM")
	drops := func(r DropReason) uint64 { return legs[1].Stats().Drops[r.String()] }
	forger := newTrunk(t, legs[1].Local(), ends[1].ssrc)
	other := newLeg(t, legs[1].engine, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true})
	forger.useSDES(other.Local(), "AEAD_AES_128_GCM")
	for range 3 * lockAfter {
		forger.sendRTP(107, "forged")
	}
	waitFor(t, "the forged packets to be counted", func() bool { return drops(DropSRTPAuth) == 3*lockAfter })
	for range lockAfter {
		exchange(t, legs, both(ends))
	}
	forger.sendRTP(107, "forged, later")
	waitFor(t, "the injected packet to be counted", func() bool { return drops(DropInjected) == 1 })
	sealed, err := ends[1].ends[0].out.EncryptRTP(nil, ends[1].next(107, "once"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		sendTo(t, ends[1].ends[0].conn, ends[1].ends[0].to, sealed)
	}
	waitFor(t, "the duplicates to be counted", func() bool { return drops(DropSRTPReplay) == 2 })
	if p := ends[0].receiveRTP(); string(p.Payload) != "once" {
		t.Fatalf("got %v", p)
	}
	sendTo(t, ends[1].ends[0].conn, ends[1].ends[0].to, ends[1].next(107, "in the clear, and long enough"))
	waitFor(t, "a plain packet to be counted", func() bool { return drops(DropSRTPAuth) == 3*lockAfter+1 })
	sendTo(t, ends[1].ends[0].conn, ends[1].ends[0].to, []byte{22, 1, 2})
	waitFor(t, "a DTLS record to be counted", func() bool { return drops(DropProtocol) == 1 })
	exchange(t, legs, both(ends))
}

func TestSDESKeysThatFitNoSuite(t *testing.T) {
	good := newCrypto()
	for _, c := range [][2]sdp.Crypto{
		{good[0], good[1]}, {{Suite: good[0].Suite}, good[0]}, {{Suite: "F8_128_HMAC_SHA1_80", Key: bytes.Repeat([]byte{1}, 30)}, good[0]}, {},
	} {
		if _, err := sdesKeys(c[0], c[1]); err == nil {
			t.Errorf("%v and %v taken", c[0], c[1])
		}
	}
	legs, ends := sdesCall(t, "AEAD_AES_128_GCM")
	ends[1].remote.Send.Key = nil
	ends[1].says(legs[1])
	waitFor(t, "the leg to be of no use", func() bool {
		ends[1].sendRTP(107, "to a failed leg")
		return legs[1].Stats().Drops[DropFailed.String()] > 0
	})
}

// A suite that comes back, as when the answer of one branch of a fork follows that of another, finds its key where it was left:
// no packet index is used twice with one key, in SRTCP either (RFC 3711 §9.1).
func TestSDESKeyThatComesBack(t *testing.T) {
	x := newWire(t, opusPlan())
	ours, theirs := newCrypto(), newCrypto()
	answer := func(r sdp.RemoteStream) *session {
		r.RTP = x.phone.addrPort()
		x.b.setAddresses(x.w, sdp.Remote{Streams: []sdp.RemoteStream{r}})
		return x.b.streams[0].rtp.srtp
	}
	by := func(i int) sdp.RemoteStream {
		return sdp.RemoteStream{Keying: sdp.SDES, Send: ours[i], Receive: theirs[i]}
	}
	for name, between := range map[string]sdp.RemoteStream{"another suite": by(1), "none": {}} {
		t.Run(name, func(t *testing.T) {
			first := answer(by(0))
			answer(between)
			back := answer(by(0))
			if back.out != first.out || back.in != first.in {
				t.Error("the key begins anew")
			}
		})
	}
}
