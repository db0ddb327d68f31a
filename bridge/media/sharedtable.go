package media

import (
	"encoding/binary"

	"tandem/bridge/sdp"
)

// sharedTable says whose a source is on a shared socket. The worker that reads it is the only one to touch it.
type sharedTable struct {
	number  int32 // among the worker's
	entries map[source]sharedEntry
	former  []formerSource // in the order in which they are to be forgotten
}

// sharedEntry is what is known of a source.
type sharedEntry struct {
	leg   *Leg
	ends  int64 // 0: the leg claims it; else its claim is over and the entry is to be forgotten then
	late  lastHeard
	until int64 // packets of late are an ended stream's until then
}

// lastHeard is the stream that came last from a source.
type lastHeard struct {
	ssrc  uint32
	heard bool
}

type formerSource struct {
	key  source
	ends int64
}

func newSharedTable() sharedTable { return sharedTable{entries: map[source]sharedEntry{}} }

// admit gives a source to a leg. Late packets of the one that had it before are kept from it, but not its own: a re-INVITE
// may go back to an address, and a restored leg goes on with the same stream.
func (t *sharedTable) admit(key source, l *Leg) {
	e := t.entries[key]
	if e.leg == l || l.spec.Restore != nil {
		e.late = lastHeard{}
	}
	e.leg, e.ends = l, 0
	t.entries[key] = e
}

// dismiss ends a leg's claim. For a while it is known what came from there last.
func (t *sharedTable) dismiss(w *worker, key source, l *Leg, last lastHeard) {
	ends := w.clock + int64(w.engine.cfg.Limits.Drain)
	t.entries[key] = sharedEntry{leg: l, ends: ends, late: last, until: ends}
	t.former = append(t.former, formerSource{key: key, ends: ends})
}

// tidy forgets what is over.
func (t *sharedTable) tidy(clock int64) {
	n := 0
	for n < len(t.former) && t.former[n].ends <= clock {
		f := t.former[n]
		if t.entries[f.key].ends == f.ends {
			delete(t.entries, f.key)
		}
		n++
	}
	t.former = t.former[n:]
}

func (w *worker) watchShared(s *sharedSocket) {
	s.number = int32(len(w.shared))
	w.shared = append(w.shared, s)
	if err := w.poller.add(s.fd, forShared, s.number); err != nil {
		w.engine.cfg.Log.Error("shared rtp socket cannot be watched", "err", err)
	}
}

func (w *worker) readShared(s *sharedSocket) {
	for range browserRuns {
		w.out.flush(w)
		w.in.next = 0
		n, errno := w.in.receive(s.fd, batchSize/2)
		if errno != 0 {
			w.portError(errno)
			return
		}
		w.in.next = n
		for at := 0; at < n; {
			at = w.sharedBatch(s, at, n)
		}
		if n < batchSize/2 {
			return
		}
	}
}

// sharedBatch handles datagrams from at on; it returns early where one of them panicked.
func (w *worker) sharedBatch(s *sharedSocket, at, end int) (next int) {
	next = at
	defer w.contain()
	for next < end {
		d := datagram{via: uint8(w.id), rtcp: s.rtcp}
		next++
		if !w.take(next-1, &d, nil) {
			continue
		}
		w.demuxShared(s, &d)
	}
	return next
}

// demuxShared finds the leg of a datagram by its source, and by its SSRC where the source had another leg shortly before.
func (w *worker) demuxShared(s *sharedSocket, d *datagram) {
	key := d.from.source(0)
	e, known := s.entries[key]
	if (!known || e.ends != 0) && w.mailbox.head.Load() != nil {
		w.drainMailbox() // the peer's SDP may have been heard since this round began
		e, known = s.entries[key]
	}
	switch {
	case !known:
		w.drop(nil, DropUnclaimed)
	case e.ends != 0, e.late.heard && w.clock < e.until && d.ssrc() == e.late.ssrc:
		w.drop(nil, DropEnded)
	case !w.owns(e.leg):
		d.port = e.leg
		w.handOff(e.leg, d)
	default:
		w.receiveShared(e.leg, d)
	}
}

// receiveShared takes a datagram that came to the shared port for a leg.
func (w *worker) receiveShared(l *Leg, d *datagram) {
	if l.closed.Load() || l.stream(sdp.Audio) == nil {
		w.drop(nil, DropEnded)
		return
	}
	f := &l.streams[sdp.Audio].rtp
	if d.rtcp {
		f = &l.streams[sdp.Audio].rtcp
	}
	w.current = l
	w.receivePort(f.socket, d)
	w.current = nil
}

// ssrc is the sender's, of RTP or RTCP, encrypted or not.
func (d *datagram) ssrc() uint32 {
	at := 8
	if len(d.data) >= 2 && isRTCP(d.data) {
		at = 4
	}
	if len(d.data) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(d.data[at:])
}
