package lab

import (
	"fmt"
	"testing"
	"time"
)

// Library names a SIP library of the page.
type Library string

// The libraries that the page has, unmodified.
const (
	JsSIP Library = "jssip"
	SIPJS Library = "sipjs"
)

// Account is whom a phone registers as, and the tone that it sends.
type Account struct {
	URL      string  `json:"url"` // of the WebSocket
	URI      string  `json:"uri"`
	Password string  `json:"password"`
	JWT      string  `json:"jwt"`      // JsSIP: authorization_jwt
	Tone     float64 `json:"tone"`     // Hz
	Reliable bool    `json:"reliable"` // SIP.js: its INVITEs require 100rel
	Delayed  bool    `json:"delayed"`  // SIP.js: its INVITEs make no offer
}

// Phone is one user agent in a tab.
type Phone struct {
	Tab  *Tab
	name string
	t    testing.TB
}

// Phone starts a user agent in the tab and waits until its WebSocket is open.
func (tab *Tab) Phone(t testing.TB, library Library, account Account) *Phone {
	t.Helper()
	p := &Phone{Tab: tab, name: string(library) + account.URI, t: t}
	tab.Do(t, nil, "lab.start", p.name, string(library), account)
	return p
}

// Only has the tab's calls know no audio codecs but these, by mime type in lower case.
func (tab *Tab) Only(t testing.TB, codecs ...string) {
	t.Helper()
	tab.Do(t, nil, "lab.only", codecs)
}

// Hurry makes the page's timers above 40 s run so many times as fast.
func (tab *Tab) Hurry(t testing.TB, times int) {
	t.Helper()
	tab.Do(t, nil, "lab.hurry", times)
}

// Servers has the tab's connections use what the URL of /ice.json gives, of which only servers with the text in their URLs are
// kept, by a policy: "relay" or "all".
func (tab *Tab) Servers(t testing.TB, url, text, policy string) {
	t.Helper()
	var n int
	if tab.Do(t, &n, "lab.servers", url, text, policy); n == 0 {
		t.Fatalf("%s gives no server with %q", url, text)
	}
}

// Register gives the final status.
func (p *Phone) Register() (status int) {
	p.t.Helper()
	p.Tab.Do(p.t, &status, "lab.register", p.name)
	return status
}

// Unregister gives the final status.
func (p *Phone) Unregister() (status int) {
	p.t.Helper()
	p.Tab.Do(p.t, &status, "lab.unregister", p.name)
	return status
}

// Registered is how many REGISTERs were accepted so far.
func (p *Phone) Registered() (n int) {
	p.t.Helper()
	p.Tab.Do(p.t, &n, "lab.registered", p.name)
	return n
}

// Call dials.
func (p *Phone) Call(target string) *Call {
	p.t.Helper()
	c := &Call{phone: p}
	p.Tab.Do(p.t, &c.id, "lab.call", p.name, target)
	return c
}

// PickUp dials with a Replaces header (RFC 3891).
func (p *Phone) PickUp(target, replaces string) *Call {
	p.t.Helper()
	c := &Call{phone: p}
	p.Tab.Do(p.t, &c.id, "lab.call", p.name, target, replaces)
	return c
}

// Incoming waits for a call to this phone.
func (p *Phone) Incoming() *Call {
	p.t.Helper()
	c := &Call{phone: p}
	Eventually(p.t, 15*time.Second, p.name+" is called", func() error {
		var ids []int
		if err := p.Tab.Try(&ids, patience, "lab.incoming", p.name); err != nil {
			return err
		}
		if len(ids) == 0 {
			return fmt.Errorf("no incoming call")
		}
		c.id = ids[len(ids)-1]
		return nil
	})
	return c
}

// Call is one call of a phone.
type Call struct {
	phone *Phone
	id    int
}

// CallState is what the page knows of a call.
type CallState struct {
	State      string         // "new", "ringing", "early", "answered", "ended"
	Status     int            // the latest SIP status
	Was        map[string]int // the status by each state so far
	Cause      string         // the library's word for the end
	Reason     string         // the Reason header of the CANCEL or refusal that ended it
	Direction  string         // "in", "out"
	Peer       string         // the caller's user part
	Verstat    string         // X-Verstat of the INVITE
	Asserted   string         // user part of its P-Asserted-Identity
	AnsweredAt float64        // ms after the start
	Held       bool           // by the far side, where the library tells
	ICE        string
}

// State is the call's now.
func (c *Call) State() (s CallState) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &s, "lab.state", c.phone.name, c.id)
	return s
}

// Wait waits for a state; the end of the call ends the waiting. Ringing and early media may be over when it returns.
func (c *Call) Wait(state string, within time.Duration) CallState {
	c.phone.t.Helper()
	var s CallState
	Eventually(c.phone.t, within, c.phone.name+"'s call is "+state, func() error {
		s = c.State()
		if _, was := s.Was[state]; s.State == state || was && (state == "ringing" || state == "early") {
			return nil
		}
		if s.State == "ended" {
			c.phone.t.Fatalf("waiting for %q the call ended: %+v", state, s)
		}
		return fmt.Errorf("it is %+v", s)
	})
	return s
}

// Hears waits until most of what arrives lies at the frequency.
func (c *Call) Hears(frequency float64) {
	c.phone.t.Helper()
	Eventually(c.phone.t, 10*time.Second, fmt.Sprintf("%s hears %v Hz", c.phone.name, frequency), func() error {
		share, rms := c.measure(frequency)
		if share < 0.7 || rms < 0.01 {
			return fmt.Errorf("%.2f of the energy is there, loudness %.4f, %+v, %s", share, rms, c.State(), c.traffic())
		}
		return nil
	})
}

// HearsNothing waits until nothing but silence arrives.
func (c *Call) HearsNothing() {
	c.phone.t.Helper()
	Eventually(c.phone.t, 10*time.Second, c.phone.name+" hears nothing", func() error {
		if _, rms := c.measure(1000); rms > 0.002 {
			return fmt.Errorf("loudness %.4f", rms)
		}
		return nil
	})
}

func (c *Call) measure(frequency float64) (share, rms float64) {
	c.phone.t.Helper()
	var m struct{ Share, RMS float64 }
	c.phone.Tab.Do(c.phone.t, &m, "lab.measure", c.phone.name, c.id, frequency)
	return m.Share, m.RMS
}

// traffic is what the browser counts.
func (c *Call) traffic() (text string) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &text, "lab.traffic", c.phone.name, c.id)
	return text
}

// Speaks waits until RTP leaves the browser: its media path is up.
func (c *Call) Speaks() {
	c.phone.t.Helper()
	Eventually(c.phone.t, 10*time.Second, c.phone.name+" sends RTP", func() error {
		var packets int
		c.phone.Tab.Do(c.phone.t, &packets, "lab.sent", c.phone.name, c.id)
		if packets < 10 {
			return fmt.Errorf("%d packets, %s", packets, c.traffic())
		}
		return nil
	})
}

// Pair is the ICE pair in use as the browser tells it.
type Pair struct {
	Protocol string // "udp", "tcp"
	Relay    string // how a relay is reached: "udp", "tcp", "tls"; empty: none is
	Address  string // the gateway's
	Port     uint16
}

// Pair is the call's now.
func (c *Call) Pair() (p Pair) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &p, "lab.pair", c.phone.name, c.id)
	return p
}

// Codec is the mime type of what arrives.
func (c *Call) Codec() (mime string) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &mime, "lab.codec", c.phone.name, c.id)
	return mime
}

// FirstPacket waits for the first RTP packet and gives the milliseconds since the call's start.
func (c *Call) FirstPacket() (ms float64) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &ms, "lab.firstPacket", c.phone.name, c.id)
	return ms
}

func (c *Call) do(verb string) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, nil, "lab."+verb, c.phone.name, c.id)
}

// Answer, Hangup, Hold and Resume act as the library's user would.
func (c *Call) Answer() { c.phone.t.Helper(); c.do("answer") }
func (c *Call) Hangup() { c.phone.t.Helper(); c.do("hangup") }
func (c *Call) Hold()   { c.phone.t.Helper(); c.do("hold") }
func (c *Call) Resume() { c.phone.t.Helper(); c.do("resume") }

// Leave is Hangup of a call that the far side may be ending just now.
func (c *Call) Leave() { c.phone.t.Helper(); c.do("leave") }

// RestartICE offers anew with other ICE credentials, and waits for the answer.
func (c *Call) RestartICE() {
	c.phone.t.Helper()
	fragment := func() (text string) {
		c.phone.Tab.Do(c.phone.t, &text, "lab.fragment", c.phone.name, c.id)
		return text
	}
	before := fragment()
	c.do("restart")
	Eventually(c.phone.t, 10*time.Second, c.phone.name+" has restarted ICE", func() error {
		if fragment() == before {
			return fmt.Errorf("the description in use has the old credentials")
		}
		return nil
	})
}

// Transfer sends the far side to another address and gives the status that the library heard last: the outcome.
func (c *Call) Transfer(target string) (status int) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &status, "lab.refer", c.phone.name, c.id, target, -1)
	return status
}

// TransferTo sends it to the far side of another call of the phone.
func (c *Call) TransferTo(other *Call) (status int) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, &status, "lab.refer", c.phone.name, c.id, "", other.id)
	return status
}

// Digits sends DTMF, "info" or "rfc4733".
func (c *Call) Digits(digits, how string) {
	c.phone.t.Helper()
	c.phone.Tab.Do(c.phone.t, nil, "lab.digits", c.phone.name, c.id, digits, how)
}
