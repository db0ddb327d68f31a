package lab

import (
	"fmt"
	"strings"
	"time"
)

// Message sends text to a target and gives the final status.
func (p *Phone) Message(target, text string) (status int) {
	p.t.Helper()
	p.Tab.Do(p.t, &status, "lab.message", p.name, target, text)
	return status
}

// Subscribe asks for an event of a target in a format; a phone has one subscription.
func (p *Phone) Subscribe(target, event, accept string) {
	p.t.Helper()
	p.Tab.Do(p.t, nil, "lab.subscribe", p.name, target, event, accept)
}

// Unsubscribe ends it.
func (p *Phone) Unsubscribe() {
	p.t.Helper()
	p.Tab.Do(p.t, nil, "lab.unsubscribe", p.name)
}

// Notices is how many NOTIFYs of an event ("MESSAGE": MESSAGEs) the phone had with a text in the body.
func (p *Phone) Notices(event, text string) (n int) {
	p.t.Helper()
	var all []struct{ Event, Body string }
	p.Tab.Do(p.t, &all, "lab.notices", p.name)
	for _, one := range all {
		if one.Event == event && strings.Contains(one.Body, text) {
			n++
		}
	}
	return n
}

// Told waits for a NOTIFY or MESSAGE (Notices).
func (p *Phone) Told(event, text string) {
	p.t.Helper()
	Eventually(p.t, 10*time.Second, fmt.Sprintf("%s is told %q of %s", p.name, text, event), func() error {
		if p.Notices(event, text) == 0 {
			return fmt.Errorf("it has heard of %v", p.heard())
		}
		return nil
	})
}

func (p *Phone) heard() (all []map[string]string) {
	p.t.Helper()
	p.Tab.Do(p.t, &all, "lab.notices", p.name)
	return all
}
