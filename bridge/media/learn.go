package media

import (
	"fmt"
	"net/netip"
	"time"
)

// learnMode is from where an RTP leg's packets are believed before the source is known.
type learnMode uint8

const (
	learnStrict     learnMode = iota // exactly the SDP's address and port
	learnSignalling                  // the SDP's or the signalling's address, any port
	learnAny                         // anything, for a while after each SDP; else as signalling
)

func parseLearnMode(s string) (learnMode, error) {
	switch s {
	case "strict":
		return learnStrict, nil
	case "signalling":
		return learnSignalling, nil
	case "any":
		return learnAny, nil
	}
	return 0, fmt.Errorf("media: rtp learn %q: must be strict, signalling or any", s)
}

// learnMode is a leg's, or the engine's where it names none.
func (e *Engine) learnMode(name string) (learnMode, error) {
	if name == "" {
		return e.learn, nil
	}
	return parseLearnMode(name)
}

const (
	lockAfter  = 4                             // packets in a row
	lockSilent = int64(200 * time.Millisecond) // for so long a locked source must be silent before another takes over
)

// learner finds out from where one socket's peer sends, and holds on to it: whoever else sends then is an injector.
type learner struct {
	mode       learnMode
	told       source     // the SDP's address
	toldAddr   netip.Addr // its IP
	signalling netip.Addr
	until      int64 // mode any: anything goes until then

	locked bool
	open   bool // an SDP came since: another source may take over
	from   source
	ssrc   uint32
	heard  int64 // its latest packet

	candidate     source // the latest source that is not locked, and how often it came in a row
	candidateSSRC uint32
	row           int
}

// expect takes a new SDP in. What was learnt stays until another source proves itself, unless the address changed.
func (l *learner) expect(told netip.AddrPort, until int64) {
	var key source
	if told.IsValid() {
		s := sockaddrOf(told)
		key = s.source(0)
	}
	if key != l.told {
		l.locked = false
	}
	l.told, l.toldAddr = key, told.Addr().Unmap()
	l.until, l.open, l.row = until, true, 0
}

// refusal judges a packet by its source without learning anything.
func (l *learner) refusal(from *sockaddr, clock int64) DropReason {
	key := from.source(0)
	switch {
	case l.locked && key == l.from:
		return dropNone
	case !l.allowed(key, from, clock):
		return DropSource
	case l.locked && (!l.open && key != l.told || clock-l.heard < lockSilent):
		return DropInjected
	}
	return dropNone
}

// judge decides about a packet, and says whether its source has just been learnt.
func (l *learner) judge(from *sockaddr, ssrc uint32, clock int64) (reason DropReason, learnt bool) {
	key := from.source(0)
	if l.locked && key == l.from {
		l.heard, l.ssrc = clock, ssrc // which SSRC is heard is the stream's affair
		if !l.open {
			return dropNone, false
		}
		if l.count(key, ssrc) {
			l.open = false
		}
		return dropNone, false
	}
	if reason = l.refusal(from, clock); reason != dropNone {
		return reason, false
	}
	if key == l.told {
		l.until = 0 // the SDP was right: nobody else is looked for
	}
	if l.count(key, ssrc) {
		l.locked, l.open, l.from, l.ssrc, l.heard = true, false, key, ssrc, clock
		return dropNone, true
	}
	return dropNone, false
}

// count counts packets in a row.
func (l *learner) count(key source, ssrc uint32) bool {
	if key != l.candidate || ssrc != l.candidateSSRC {
		l.candidate, l.candidateSSRC, l.row = key, ssrc, 0
	}
	l.row++
	return l.row >= lockAfter
}

func (l *learner) allowed(key source, from *sockaddr, clock int64) bool {
	if l.mode == learnAny && clock < l.until {
		return true
	}
	if l.mode == learnStrict {
		return key == l.told
	}
	addr := from.addrPort().Addr().Unmap()
	return addr == l.toldAddr || l.signalling.IsValid() && addr == l.signalling
}

// last is the stream that was heard last.
func (l *learner) last() lastHeard {
	if l.locked {
		return lastHeard{ssrc: l.ssrc, heard: true}
	}
	return lastHeard{ssrc: l.candidateSSRC, heard: l.row > 0}
}
