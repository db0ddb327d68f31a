package media

// attach makes the worker the leg's owner: its sockets are watched, its pairs are known here.
func (w *worker) attach(l *Leg) {
	l.place.Store(uint32(w.id))
	l.index = len(w.legs)
	w.legs = append(w.legs, l)
	for _, s := range l.streams {
		s.watch(w)
	}
	for _, f := range l.ice.flows {
		w.flows[f.key] = f
		delete(w.away, f.key)
	}
	for i := len(l.tcp) - 1; i >= 0; i-- { // from behind: one that cannot be watched leaves the list
		w.watchTCP(l.tcp[i])
	}
	if l.player != nil {
		w.digits = append(w.digits, l)
	}
	if w.reporter.at == 0 {
		w.reporter.at = w.clock + reportRound
	}
	if w.sweepAt == 0 {
		w.sweepAt = w.clock + w.engine.sweepEvery()
	}
}

// detach takes the leg out of the worker's hands. Its pairs that come in by this worker's socket are remembered as another's.
func (w *worker) detach(l *Leg) {
	if l.index < 0 {
		return
	}
	last := w.legs[len(w.legs)-1]
	w.legs[l.index], last.index = last, l.index
	w.legs[len(w.legs)-1] = nil
	w.legs = w.legs[:len(w.legs)-1]
	l.index = -1
	w.dropDigits(l)
	for _, s := range l.streams {
		s.unwatch(w)
	}
	for _, f := range l.ice.flows {
		delete(w.flows, f.key)
		if f.comesBy(w.id) {
			w.away[f.key] = l
		}
	}
	for _, c := range l.tcp {
		w.unwatchTCP(c)
	}
}

// move hands legs (a relay's both, or one) to another worker, which then runs after. The legs are not this worker's any more
// when move returns.
func (w *worker) move(to int, after func(*worker), legs ...*Leg) {
	w.out.flush(w)
	for _, l := range legs {
		w.detach(l)
		l.place.Store(uint32(place(to) | inTransit))
	}
	w.engine.counters.moves.Add(1)
	w.engine.workers[to].post(func(w *worker) {
		for _, l := range legs {
			w.attach(l)
		}
		if after != nil {
			after(w)
		}
		for _, l := range legs {
			w.serve(l)
		}
	})
}

// follow moves a leg, with its relay, to the worker by whose socket its browser's packets come in, unless another browser of
// the same relay is already served here.
func (w *worker) follow(l *Leg, to int) {
	if to == w.id || to < 0 {
		return
	}
	if l.relay == nil {
		w.move(to, nil, l)
		return
	}
	other := l.relay.legs[1-l.side]
	if other.ice.selected != nil {
		return
	}
	w.move(to, nil, l, other)
}
