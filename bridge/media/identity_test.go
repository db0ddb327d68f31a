package media

import (
	"testing"
	"time"

	"tandem/bridge/sdp"
)

// The certificate changes for new legs after a while; a leg that is open keeps its own, and does its handshake with it.
func TestCertificateRotation(t *testing.T) {
	e := open(t)
	old := newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true})
	if again := newLeg(t, e, LegSpec{Profile: sdp.WebRTC}); again.Local().Fingerprint != old.Local().Fingerprint {
		t.Error("two certificates within a minute")
	}
	e.identities.mu.Lock()
	e.identities.made = time.Now().Add(-identityLife)
	e.identities.mu.Unlock()
	fresh := newLeg(t, e, LegSpec{Profile: sdp.RTP, Secure: true, Keyed: true})
	if fresh.Local().Fingerprint == old.Local().Fingerprint {
		t.Fatal("the certificate is the old one")
	}
	for _, l := range []*Leg{old, fresh} {
		k := newTrunk(t, l.Local(), 7)
		k.mux = true
		k.useDTLS("passive")
		var shown []byte
		k.shown = &shown
		k.says(l)
		if err := k.handshake(l); err != nil {
			t.Fatal(err)
		}
		if _, ok := matching(shown, []sdp.Fingerprint{l.Local().Fingerprint}); !ok {
			t.Error("the leg showed another certificate than its SDP says")
		}
	}
}
