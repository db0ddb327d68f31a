package e2e

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// withProfile is a gateway whose phone and PBX are peers by the same keys.
const withProfile = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {address: %[3]s, ports: 30000-30999}}
pools:
  phone: {members: ["sip:%[4]s:5060"], probe: {every: 0s}, srtp: %[1]s, ice: %[2]t}
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}, srtp: %[1]s, ice: %[2]t}
routes:
  - {from: browsers, user: baresip, to: phone}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`

// Chromium calls a baresip that echoes: its tone goes through both ends' encryption in both directions.
func TestProfilesWithBaresip(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, row := range []struct {
		name   string
		srtp   string
		ice    bool
		phone  lab.Baresip
		keying string // what the call record says of the phone's leg
	}{
		{"plain", "accept", false, lab.Baresip{}, "RTP/AVP "},
		{"SDES", "sdes", false, lab.Baresip{Encryption: "srtp-mand"}, "RTP/SAVP SRTP_AEAD_AES_128_GCM"},
		{"OSRTP taken", "optional", false, lab.Baresip{Encryption: "srtp"}, "RTP/SAVP SRTP_AEAD_AES_128_GCM"},
		{"OSRTP passed over", "optional", false, lab.Baresip{}, "RTP/AVP "},
		{"DTLS", "dtls", false, lab.Baresip{Encryption: "dtls_srtp", Mux: true}, "UDP/TLS/RTP/SAVP SRTP_AEAD_AES_128_GCM"},
		{"DTLS with RTCP on a port of its own", "dtls", false, lab.Baresip{Encryption: "dtls_srtp"}, "UDP/TLS/RTP/SAVP SRTP_AEAD_AES_128_GCM"},
		{"ICE", "accept", true, lab.Baresip{NAT: "ice"}, "RTP/AVP "},
		{"DTLS and ICE", "dtls", true, lab.Baresip{Encryption: "dtls_srtp", NAT: "ice", Mux: true}, "UDP/TLS/RTP/SAVP SRTP_AEAD_AES_128_GCM"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.phone.Addr = "127.0.0.1"
			if row.ice { // baresip gathers no candidate on a loopback address
				row.phone.Addr = "192.168.77.1"
				lab.Address(t, row.phone.Addr+"/24")
			}
			s := newSite(t, fmt.Sprintf(withProfile, row.srtp, row.ice, row.phone.Addr, row.phone.Addr))
			s.ladderOnFailure(t)
			row.phone.Codec, row.phone.Echo = "opus/48000/2", true
			row.phone.Start(t)
			c := chromium.Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone)).Call("sip:baresip@example.com")
			c.Wait("answered", 10*time.Second)
			c.Hears(aliceTone)
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
			s.keyedBy(t, "callee", row.keying)
		})
	}
}

// Chromium calls Asterisk's echo, and is called by Asterisk, which plays a tone; each side makes the offer once.
func TestProfilesWithAsterisk(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, row := range []struct {
		name, srtp, encryption string
		ice                    bool
		keying                 string
	}{
		{"SDES", "sdes", "sdes", false, "RTP/SAVP SRTP_AES128_CM_HMAC_SHA1_80"},
		{"DTLS", "dtls", "dtls", false, "UDP/TLS/RTP/SAVP SRTP_AES128_CM_HMAC_SHA1_80"},
		{"DTLS and ICE", "dtls", "dtls", true, "UDP/TLS/RTP/SAVP SRTP_AES128_CM_HMAC_SHA1_80"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, fmt.Sprintf(withProfile, row.srtp, row.ice, "127.0.0.20", "127.0.0.1"))
			s.ladderOnFailure(t)
			s.asterisk = lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{
				Users: lab.AsteriskMedia{Encryption: row.encryption, ICE: row.ice},
			})
			p := chromium.Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone))
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			echo(t, s, p)
			s.quiet(t)
			s.keyedBy(t, "callee", row.keying)
			if _, err := s.asterisk.CLI("channel originate PJSIP/alice extension 600@lab"); err != nil {
				t.Fatal(err)
			}
			in := p.Incoming()
			in.Answer()
			in.Hears(aliceTone)
			in.Hangup()
			s.quiet(t)
			s.keyedBy(t, "caller", row.keying)
		})
	}
}

// keyedBy waits for the call record to name the keys of a leg.
func (s *site) keyedBy(t *testing.T, leg, want string) {
	t.Helper()
	s.lastRecord(t, func(r record) error {
		for _, m := range r.Media {
			if m.Leg == leg && m.Profile+" "+m.SRTP == want {
				return nil
			}
		}
		return fmt.Errorf("the %s is not keyed by %q: %+v", leg, want, r.Media)
	})
}
