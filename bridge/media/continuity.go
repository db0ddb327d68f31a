package media

// restoredSkip is by how much a restored stream's sequence numbers jump where they cannot go on exactly: some may have left
// since it was written down.
const restoredSkip = 1024

// exportPaths writes down where the streams towards the leg's peer stand.
func (l *Leg) exportPaths() []PathState {
	var all []PathState
	for i := range l.tracks {
		t := &l.tracks[i].out
		all = append(all, PathState{
			Started: t.started, SSRC: t.ssrc, Source: t.source, Sequence: t.sequence, Timestamp: t.timestamp,
			Last: t.last, Offset: t.now.offset, Shift: t.shift,
		})
	}
	return all
}

// restorePaths makes tracks of what was written down.
func (l *Leg) restorePaths(w *worker, all []PathState) {
	l.addTracks(min(len(all), maxTracks))
	for i := range l.tracks {
		s := all[i]
		if s.Started {
			l.tracks[i].out = path{
				started: true, restored: true, ssrc: s.SSRC, source: s.Source, sequence: s.Sequence, timestamp: s.Timestamp,
				last: s.Last, now: span{offset: s.Offset}, shift: s.Shift, at: w.clock,
			}
		}
	}
}

// resume goes on with a restored stream's source exactly where it stood; false where another begins.
func (t *path) resume(p []byte) bool {
	if ahead := int16(rtpSequence(p) - t.last); rtpSSRC(p) != t.source || ahead <= 0 || ahead >= maxDropout {
		t.leap()
		return false
	}
	t.restored, t.settled = false, true
	t.now.from = t.last + 1
	return true
}

// leap gets past what may have left.
func (t *path) leap() {
	t.restored = false
	t.sequence += restoredSkip
}
