package media

import (
	"crypto/rand"
	"runtime"
	"testing"

	"tandem/bridge/sdp"
)

// A settled session, a browser's leg with its keys joined to an RTP leg, is to cost at most 20 kB.
func TestSessionMemory(t *testing.T) {
	const sessions, limit = 400, 20 << 10
	e := open(t)
	key := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b)
		return b
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	legs := make([]*Leg, 0, 2*sessions)
	for i := range sessions {
		pair := loopback(uint16(1024 + i))
		a := newLeg(t, e, LegSpec{Profile: sdp.WebRTC, Call: "call", Leg: "a", Restore: &LegState{
			Local: sdp.Local{Ufrag: newCredentials(1, 0, uint32(i)).Ufrag, Password: "password"}, AnswerSent: true,
			Remote: sdp.Remote{Transport: sdp.Transport{Ufrag: "peer", Setup: "actpass"}}, Pair: pair, Listen: e.Addrs()[0],
			SRTP: &SRTPState{Profile: 7, LocalKey: key(16), LocalSalt: key(12), RemoteKey: key(16), RemoteSalt: key(12),
				Sent: []SSRCState{{SSRC: 1, RTP: true, RTCP: true}}, Received: []SSRCState{{SSRC: 2, RTP: true, RTCP: true}}},
		}})
		b := newLeg(t, e, LegSpec{Profile: sdp.RTP, Call: "call", Leg: "b"})
		b.SetRemote(sdp.Remote{Streams: []sdp.RemoteStream{{RTP: pair}}})
		e.Join(a, b, opusPlan())
		legs = append(legs, a, b)
	}
	waitFor(t, "all sessions to stand", func() bool { return e.Stats().Relays == sessions })
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / sessions
	t.Logf("%d bytes a session", each)
	if each > limit {
		t.Errorf("%d bytes a session, at most %d", each, limit)
	}
	for _, l := range legs {
		l.Close()
	}
}
