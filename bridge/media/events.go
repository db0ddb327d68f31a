package media

import "time"

// EventKind is what happened on a leg.
type EventKind uint8

const (
	Connected EventKind = iota + 1 // ICE and DTLS done (WebRTC), first packet accepted (RTP)
	Failed                         // see Reason; the leg will not work
	Dead                           // no STUN check for 30 s (WebRTC), no RTP or RTCP for 60 s where the peer is to send, 1 h held (RTP)
	Alive                          // media came back after Dead
	Digit                          // the peer sent a digit, and the other leg's form is DigitReport
)

// String is for logs.
func (k EventKind) String() string {
	switch k {
	case Connected:
		return "connected"
	case Failed:
		return "failed"
	case Dead:
		return "dead"
	case Alive:
		return "alive"
	case Digit:
		return "digit"
	}
	return "unknown"
}

// Event tells the leg's owner.
type Event struct {
	Kind   EventKind
	Reason Reason
	At     time.Time

	Key      byte // of a Digit: '0'-'9', '*', '#', 'A'-'D'
	Duration time.Duration
}

// Reason says why a leg failed.
type Reason string

const (
	FingerprintMismatch Reason = "dtls-fingerprint-mismatch"
	HandshakeFailed     Reason = "dtls-handshake-failed"
	NoSRTPProfile       Reason = "dtls-no-srtp-profile"
	NoConnectivity      Reason = "ice-no-check"
	InternalFault       Reason = "media-internal-fault" // a panic while the leg's packets were handled
)

// notice is an event on its way to LegSpec.OnEvent.
type notice struct {
	leg   *Leg
	event Event
}

// dispatcher calls OnEvent from a goroutine of its own, so that no worker ever waits for signalling. A leg has few
// events outstanding (they are changes of state, at most one each liveness sweep), so the queue needs no bound of its own.
type dispatcher struct {
	queue queue[notice]
	wake  chan struct{}
}

func newDispatcher() *dispatcher { return &dispatcher{wake: make(chan struct{}, 1)} }

func (d *dispatcher) post(n notice) {
	if !d.queue.push(n) {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dispatcher) run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-d.wake:
		}
		for n := d.queue.take(); n != nil; n = n.next {
			if l := n.value.leg; !l.closed.Load() && l.spec.OnEvent != nil {
				l.spec.OnEvent(n.value.event)
			}
		}
	}
}
