package media

import (
	"encoding/binary"

	"tandem/bridge/sdp"
)

const (
	stunHeader      = 20
	stunMagic       = 0x2112A442
	stunUsername    = 0x0006
	stunBindRequest = 0x0001
	stunBindHint    = 0x0011 // Binding indication

	// checks of unknown far ends looked at in a second
	unproven      = 4000 // by each worker, of those for browsers' legs; as many of those for RTP legs
	unprovenOfLeg = 200  // for one leg
	guessed       = 1000 // by each worker, of those that name no leg's credentials
)

// stunBudget bounds the work for checks that nothing vouches for yet.
type stunBudget struct {
	second int64
	left   int
}

// stunBudgets are a worker's, apart, so that who exhausts one by what anybody can send does not keep others' calls from
// connecting.
type stunBudgets struct {
	browsers, ports, guesses stunBudget
}

// mayCheck says whether a check of an unknown far end is looked at: guesses are the cheapest to make and cost others nothing.
func (l *Leg) mayCheck(w *worker, p []byte) bool {
	_, user, _ := scanSTUN(p)
	ufrag, _, _ := cutColon(user)
	switch {
	case len(user) == 0: // a response to a check of ours names nobody
		return w.stun.ports.spend(w.clock, unproven)
	case string(ufrag) != l.ice.current.Ufrag && string(ufrag) != l.ice.previous.Ufrag:
		return w.stun.guesses.spend(w.clock, guessed)
	case !l.unproven.spend(w.clock, unprovenOfLeg):
		return false
	case l.spec.Profile == sdp.WebRTC:
		return w.stun.browsers.spend(w.clock, unproven)
	}
	return w.stun.ports.spend(w.clock, unproven)
}

func (b *stunBudget) spend(clock int64, most int) bool {
	if second := clock/1e9 + 1; second != b.second {
		b.second, b.left = second, most
	}
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}

// check finds a STUN message's leg by the ufrag in its USERNAME and gives it to the leg's worker.
func (w *worker) check(d *datagram) {
	kind, user, ok := scanSTUN(d.data)
	switch {
	case !ok:
		w.drop(nil, DropSTUNMalformed)
		return
	case kind != stunBindRequest: // an indication keeps a NAT open and wants no answer; an ICE-lite agent asks for none
		w.drop(nil, DropSTUNUnexpected)
		return
	}
	ufrag, _, found := cutColon(user)
	if !found {
		w.drop(nil, DropSTUNMalformed)
		return
	}
	l, reason := w.engine.legOf(ufrag)
	if d.tcp != nil && d.tcp.leg != l && reason == dropNone {
		reason = DropSTUNUfrag // a connection is one leg's for good
	}
	if reason != dropNone {
		w.drop(nil, reason)
		return
	}
	if w.owns(l) && l.commands.head.Load() != nil {
		w.serve(l) // what signalling said before the check was sent counts
	}
	if !w.owns(l) && d.tcp != nil {
		w.drop(nil, DropNotValidated) // it has just moved on, and the connection with it
		return
	}
	if !w.owns(l) {
		w.handOff(l, d)
		return
	}
	if l.closed.Load() {
		w.drop(nil, DropSTUNUfrag)
		return
	}
	w.current = l
	l.receiveCheck(w, d)
	w.current = nil
}

// legOf is the leg that a check's ufrag names, or why there is none.
func (e *Engine) legOf(ufrag []byte) (*Leg, DropReason) {
	if l := e.table.byForeign(string(ufrag)); l != nil {
		return l, dropNone
	}
	node, slot, ok := parseUfrag(ufrag)
	if ok && node != e.cfg.Node {
		return nil, DropSTUNNode
	}
	if l := e.table.get(slot); ok && l != nil {
		return l, dropNone
	}
	return nil, DropSTUNUfrag
}

// scanSTUN reads a message's type and USERNAME without allocating (RFC 8489 §5); false where it is none.
//
//	|0 0|  type  | length | magic cookie | transaction |  type | length | value, padded to 4 | …
func scanSTUN(p []byte) (kind uint16, user []byte, ok bool) {
	if len(p) < stunHeader || binary.BigEndian.Uint32(p[4:]) != stunMagic {
		return 0, nil, false
	}
	kind = binary.BigEndian.Uint16(p)
	if int(binary.BigEndian.Uint16(p[2:])) != len(p)-stunHeader {
		return 0, nil, false
	}
	for rest := p[stunHeader:]; len(rest) >= 4; {
		attribute, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := 4 + (size+3)&^3
		if padded > len(rest) {
			return 0, nil, false
		}
		if attribute == stunUsername {
			return kind, rest[4 : 4+size], true
		}
		rest = rest[padded:]
	}
	return kind, nil, true
}

func cutColon(user []byte) (before, after []byte, found bool) {
	for i, c := range user {
		if c == ':' {
			return user[:i], user[i+1:], true
		}
	}
	return user, nil, false
}
