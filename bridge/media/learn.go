package media

import (
	"fmt"
	"net/netip"
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

const lockAfter = 4 // packets in a row

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

// judge decides about a packet, and says whether its source has just been learnt.
func (l *learner) judge(from *sockaddr, ssrc uint32, clock int64) (reason DropReason, learnt bool) {
	key := from.source(0)
	if l.locked && key == l.from && ssrc == l.ssrc && !l.open {
		l.row = 0
		return dropNone, false
	}
	known := l.locked && key == l.from
	if !known && !l.allowed(key, from, clock) {
		return DropSource, false
	}
	if !known && l.locked && !l.open {
		return DropInjected, false
	}
	if l.count(key, ssrc) {
		l.locked, l.open, l.from, l.ssrc = true, false, key, ssrc
		return dropNone, true
	}
	if known && ssrc != l.ssrc && !l.open {
		return DropSSRC, false // a new source on the learnt address has to prove itself too
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
