package media

// demux tells what came to the browsers' port by its first byte (RFC 7983 §7) and whose it is: a check by its ufrag,
// everything else by the far end, which a check must have validated before.
//
//	+----------------+
//	|        [0..3] -+--> STUN
//	|      [20..63] -+--> DTLS
//	|      [64..79] -+--> TURN channel (none here, but to its clients' ports)
//	|    [128..191] -+--> RTP, RTCP
//	+----------------+
func (w *worker) demux(d *datagram) {
	if len(d.data) == 0 {
		w.drop(nil, DropProtocol)
		return
	}
	first := d.data[0]
	if first <= 3 {
		w.check(d)
		return
	}
	if (first < 20 || first > 63) && (first < 128 || first > 191) {
		w.drop(nil, DropProtocol)
		return
	}
	key := d.source()
	f := w.flows[key]
	if f == nil && w.mailbox.head.Load() != nil {
		w.drainMailbox() // the pair may have been validated, or moved here, since this round began
		f = w.flows[key]
	}
	if f == nil {
		if l := w.away[key]; l != nil {
			w.handOff(l, d)
			return
		}
		w.drop(nil, DropNotValidated)
		return
	}
	l := f.leg
	w.current = l
	switch {
	case l.failed != "":
		w.drop(l, DropFailed)
	case first <= 63:
		l.receiveDTLS(w, d.data)
	default:
		if l.receiveSRTP(w, d.data) {
			f.heard = w.clock
		}
	}
	w.current = nil
}

// isRTCP tells RTCP from RTP on one port by the packet type (RFC 5761 §4). The packet has at least two bytes.
func isRTCP(p []byte) bool { return p[1] >= 192 && p[1] <= 223 }
