package e2e

import (
	"strings"
	"testing"

	"tandem/e2e/lab"
)

// The phone's WebSocket is lost in mid-call: the page says so, comes back by itself, and the call goes on. What is pressed meanwhile
// takes place once the connection is back.
func TestPhoneComesBack(t *testing.T) {
	url := lab.StartTandem(t, "demo").Find(t, `(http://127\.0\.0\.1:\d+/)`)
	wire := lab.LayWire(t, strings.Trim(strings.TrimPrefix(url, "http:"), "/"))
	chromium := lab.StartChromium(t)
	alice, bob := sitsDown(t, chromium, "http://"+wire.Addr+"/"), sitsDown(t, chromium, url)
	registers(alice, "alice")
	registers(bob, "bob")
	call(alice, bob, "bob")

	wire.Cut()
	alice.Reads("status", "", "The connection to the server is lost; the call goes on.")
	alice.Reads("status", "Registration", "No connection")
	alice.Press("button", "Mute")
	bob.Meets("Their level", "a muted microphone is silent", func(level int) bool { return level == 0 })
	alice.Press("button", "Mute")
	for _, p := range []*lab.Person{alice, bob} {
		p.Meets("Their level", "the call goes on without the WebSocket", loud)
	}
	alice.Press("button", "Hold")
	alice.Reads("status", "Progress", "on hold")
	alice.Picture("lost")
	wire.Mend()
	alice.Reads("status", "Registration", "alice")
	bob.Reads("status", "Progress", "held by the other side")
	alice.Press("button", "Hold")
	bob.Meets("Their level", "the call is taken back", loud)
	alice.Press("button", "Hang up")
	bob.Reads("button", "Dial", "Dial")
	alice.Reads("button", "Dial", "Dial")
	alice.Reads("status", "Registration", "alice")

	call(bob, alice, "alice")
	alice.Press("button", "Hold") // and its answer may be lost
	wire.Cut()
	alice.Reads("status", "", "The connection to the server is lost; the call goes on.")
	alice.Press("button", "Hang up")
	alice.Reads("status", "Progress", "Hanging up")
	wire.Mend()
	bob.Reads("button", "Dial", "Dial")
	alice.Reads("button", "Dial", "Dial")
}
