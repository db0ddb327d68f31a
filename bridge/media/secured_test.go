package media

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pion/srtp/v3"

	"tandem/bridge/sdp"
)

// What an RTP leg encrypts and decrypts costs no memory, with ICE or without.
func TestSecuredPacketsAllocateNothing(t *testing.T) {
	for _, s := range suites() {
		for _, checked := range []bool{false, true} {
			b := newBench(t, uint16(srtp.ProtectionProfileAeadAes128Gcm))
			gateway, own := newCrypto(), newCrypto()
			i := 0
			for suites()[i].name != s.name {
				i++
			}
			told := sdp.RemoteStream{RTP: b.phone.addrPort(), Keying: sdp.SDES, Send: gateway[i], Receive: own[i]}
			if checked {
				b.b.transport.leg, b.b.ports = b.b, b.e().ports
				b.b.ice.current = Credentials{"ufrag", "password"}
				told.Ufrag, told.Password = "peer", "password"
			}
			b.b.setAddresses(b.w, sdp.Remote{Streams: []sdp.RemoteStream{told}})
			if checked {
				b.b.streams[0].agent.Resume(1, b.phone.addrPort(), b.w.clock)
			}
			const runs = 500
			list := b.sealed(t, 1, runs+2, voice)
			next := 0
			if n := testing.AllocsPerRun(runs, func() { b.fromBrowser(list[next]); next++ }); n != 0 {
				t.Errorf("%s: %v allocations for a packet towards the phone", s.name, n)
			}
			keys, err := sdesKeys(own[i], gateway[i])
			if err != nil {
				t.Fatal(err)
			}
			seal, err := srtp.CreateContext(keys.LocalKey, keys.LocalSalt, srtp.ProtectionProfile(keys.Profile))
			if err != nil {
				t.Fatal(err)
			}
			var packets [][]byte
			for sequence := range uint16(runs + 2) {
				p, err := seal.EncryptRTP(nil, packet(t, 107, 9, sequence, voice), nil)
				if err != nil {
					t.Fatal(err)
				}
				packets = append(packets, p)
			}
			next = 0
			if n := testing.AllocsPerRun(runs, func() { b.fromPhone(packets[next]); next++ }); n != 0 {
				t.Errorf("%s: %v allocations for a packet of the phone", s.name, n)
			}
			if got := b.b.counters.packetsIn.Load(); got != runs+1 || len(b.b.Stats().Drops) != 0 {
				t.Errorf("%s: %d of %d packets passed: %+v", s.name, got, runs+1, b.b.Stats())
			}
		}
	}
}

func (b *bench) e() *Engine { return b.w.engine }

// dtlsPair is a plain phone and one behind DTLS, the legs joined, no handshake done yet.
func dtlsPair(t *testing.T, role string, mux bool, prepare func(k *trunk)) (legs [2]*Leg, ends [2]*trunk, j *journal) {
	t.Helper()
	e, j := open(t), &journal{}
	legs[0] = newLeg(t, e, LegSpec{Profile: sdp.RTP})
	legs[1] = newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true, OnEvent: j.note, Signalling: home(t)})
	for i := range legs {
		ends[i] = newTrunk(t, legs[i].Local(), uint32(0x1111*(i+1)))
	}
	ends[1].mux = mux
	ends[1].useDTLS(role)
	prepare(ends[1])
	for i := range legs {
		ends[i].says(legs[i])
	}
	e.Join(legs[0], legs[1], openPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	return legs, ends, j
}

// Each flight of the handshake is lost once, in either role: it is sent again, and the call has its keys.
func TestDTLSFlightsAreLost(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"active", "passive"} {
		for _, out := range []bool{true, false} {
			for flight := range 3 {
				t.Run(role+name(out)+string(rune('0'+flight)), func(t *testing.T) {
					t.Parallel()
					var seen atomic.Int32
					legs, ends, _ := dtlsPair(t, role, true, func(k *trunk) {
						lose := func(_ []byte, o bool) bool {
							return o == out && seen.Add(1) == int32(flight)+1
						}
						k.ends[0].lose.Store(&lose)
					})
					if err := ends[1].handshake(legs[1]); err != nil {
						t.Fatal(err)
					}
					exchange(t, legs, both(ends))
				})
			}
		}
	}
}

func name(out bool) string {
	if out {
		return " loses of its own "
	}
	return " loses of ours "
}

// Who has another certificate than the SDP says, or only a SHA-1 digest of it, ends the leg; stronger digests are good.
func TestDTLSFingerprints(t *testing.T) {
	t.Parallel()
	for algorithm, good := range map[string]bool{"sha-1": false, "sha-256": true, "SHA-384": true, "sha-512": true, "other": false} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			legs, ends, j := dtlsPair(t, "active", true, func(k *trunk) {
				if algorithm == "other" {
					k.remote.Fingerprints[0].Value = colonHex(make([]byte, 32))
					return
				}
				k.remote.Fingerprints[0] = digest(t, k.certificate.Certificate[0], algorithm)
			})
			if good {
				if err := ends[1].handshake(legs[1]); err != nil {
					t.Fatal(err)
				}
				exchange(t, legs, both(ends))
				return
			}
			_ = ends[1].shake() // it may learn of it, or not
			waitFor(t, "the leg to fail", func() bool { return j.has(Failed, FingerprintMismatch) })
			if n := legs[1].engine.Stats().HandshakeFailures[string(FingerprintMismatch)]; n != 1 {
				t.Errorf("%d mismatches counted", n)
			}
		})
	}
}

// Others' records from addresses that are not the peer's, and early media, change nothing and are counted.
func TestDTLSFaults(t *testing.T) {
	t.Parallel()
	legs, ends, _ := dtlsPair(t, "active", true, func(*trunk) {})
	drops := func(r DropReason) uint64 { return legs[1].Stats().Drops[r.String()] }
	ends[1].sendRTP(107, "before there are keys")
	waitFor(t, "early media to be counted", func() bool { return drops(DropBeforeDTLS) == 1 })
	if err := ends[1].handshake(legs[1]); err != nil {
		t.Fatal(err)
	}
	for range lockAfter {
		exchange(t, legs, both(ends))
	}
	end := ends[1].ends[0]
	alert := []byte{21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40}
	sendTo(t, end.conn, end.to, alert)
	waitFor(t, "the alert to be counted", func() bool { return drops(DropDTLSAlert) == 1 })
	hello := []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}
	sendTo(t, end.conn, end.to, hello)
	waitFor(t, "a ClientHello out of turn to be counted", func() bool { return drops(DropDTLSUnexpected) == 1 })
	sendTo(t, end.conn, end.to, hello[:8])
	waitFor(t, "half a record to be counted", func() bool { return drops(DropDTLSMalformed) == 1 })
	stranger := newTrunk(t, legs[1].Local(), 9)
	sendTo(t, stranger.ends[0].conn, stranger.ends[0].to, hello)
	stranger.sendRTP(107, "injected")
	waitFor(t, "the stranger's to be counted", func() bool { return drops(DropInjected) == 2 })
	exchange(t, legs, both(ends))
}

// Whoever begins DTLS from another port of the peer's host, with a ClientHello of no use or a good one without the cookie, does
// not keep the peer out.
func TestForgedHelloKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	junk := []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}
	empty := append([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 53, 1, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 41, 254, 253},
		make([]byte, 32)...)
	empty = append(empty, 0, 0, 0, 2, 0, 1, 1, 0) // no session, no cookie, one suite that is not ours
	empty[12], empty[16], empty[24] = byte(len(empty)-13), byte(len(empty)-25), byte(len(empty)-25)
	for name, hello := range map[string][]byte{"half": junk, "no suite of ours": empty} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legs, ends, j := dtlsPair(t, "active", true, func(*trunk) {})
			stranger := newTrunk(t, legs[1].Local(), 9)
			sendTo(t, stranger.ends[0].conn, stranger.ends[0].to, hello)
			waitFor(t, "a handshake to begin", func() bool { return legs[1].engine.Stats().Handshakes > 0 })
			if err := ends[1].handshake(legs[1]); err != nil {
				t.Fatal(err, j.has(Failed, HandshakeFailed))
			}
			exchange(t, legs, both(ends))
		})
	}
}

// A re-INVITE with another certificate begins another association, in either role; packets pass under the old keys until the
// new ones are there.
func TestDTLSRenewal(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"active", "passive"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			legs, ends, _ := dtlsPair(t, role, false, func(*trunk) {})
			if err := ends[1].handshake(legs[1]); err != nil {
				t.Fatal(err)
			}
			exchange(t, legs, both(ends))
			ends[1].says(legs[1]) // a refresh
			exchange(t, legs, both(ends))
			before := legs[1].engine.Stats().Handshakes
			other := newTrunk(t, legs[1].Local(), 9)
			ends[1].certificate = other.certificate
			ends[1].useDTLS(role)
			ends[1].remote.TLSID = "anotherassociationoftheirs"
			ends[1].says(legs[1])
			if err := ends[1].handshake(legs[1]); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "two more handshakes", func() bool { return legs[1].engine.Stats().Handshakes == before+2 })
			waitFor(t, "packets under the new keys", func() bool {
				ends[1].sendRTP(107, "renewed")
				return ends[0].tryReceive("renewed")
			})
			for len(ends[1].ends[1].packets) > 0 {
				<-ends[1].ends[1].packets // a report under the old keys
			}
			exchangeReports(t, legs, both(ends), [2]uint32{0x1111, 0x2222})
		})
	}
}

// A phone behind a NAT begins DTLS from elsewhere than its SDP says: its address is the one that is answered.
func TestDTLSBehindNAT(t *testing.T) {
	t.Parallel()
	legs, ends, _ := dtlsPair(t, "active", true, func(k *trunk) { k.remote.RTP = loopback(9) })
	if err := ends[1].handshake(legs[1]); err != nil {
		t.Fatal(err)
	}
	for range lockAfter {
		ends[1].sendRTP(107, "from behind")
		ends[0].receiveRTP()
	}
	exchange(t, legs, both(ends))
}

func digest(t *testing.T, certificate []byte, algorithm string) sdp.Fingerprint {
	t.Helper()
	f := sdp.Fingerprint{Algorithm: algorithm}
	switch strings.ToLower(algorithm) {
	case "sha-1":
		sum := sha1.Sum(certificate)
		f.Value = colonHex(sum[:])
	case "sha-256":
		sum := sha256.Sum256(certificate)
		f.Value = colonHex(sum[:])
	case "sha-384":
		sum := sha512.Sum384(certificate)
		f.Value = colonHex(sum[:])
	default:
		sum := sha512.Sum512(certificate)
		f.Value = strings.ToLower(colonHex(sum[:]))
	}
	return f
}
