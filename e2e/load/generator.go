package load

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxSessions = 1 << 14
	idleTick    = 500 * time.Microsecond // of the loop without a load
	readEvery   = time.Millisecond       // while there is one
	checkEvery  = 5 * time.Second        // a browser's consent checks (RFC 7675 §5.1), and reports of both ends (RFC 3550 §6.2)
)

// Generator is the sockets, the sessions and the loop. Its methods may be called from any goroutine.
type Generator struct {
	// static after construction
	identity           identity
	browsers           *socket
	phones, phonesRTCP *socket
	quantum            time.Duration
	start              time.Time
	stop, stopped      chan struct{}
	voices             Voices
	runs               chan *run

	sessions [maxSessions]atomic.Pointer[Session] // by number, from 1
	ended    [maxSessions]atomic.Int64            // when a number was given back, Unix ns
	faults   faults
	reports  reports

	mu   sync.Mutex
	last int // number given last; guarded by mu

	// owned by the loop
	running   *run
	nextRead  time.Duration
	checkedTo int64
}

// faults count what no packet of a good gateway causes.
type faults struct {
	foreign, undecryptable, misfit, refused atomic.Uint64
	first                                   atomic.Pointer[error]
}

// note counts a fault; the first one's error is kept.
func (f *faults) note(counter *atomic.Uint64, err error) {
	if counter.Add(1) == 1 {
		f.first.CompareAndSwap(nil, &err)
	}
}

// Faults are packets that were wrong, since the generator began.
type Faults struct {
	Foreign       uint64 // of no session
	Undecryptable uint64 // SRTP that the session's keys do not open, replays among it
	Misfit        uint64 // with another payload than was sent
	Refused       uint64 // that the kernel would not send
}

// Faults are the counts so far.
func (g *Generator) Faults() Faults {
	return Faults{g.faults.foreign.Load(), g.faults.undecryptable.Load(), g.faults.misfit.Load(), g.faults.refused.Load()}
}

// FirstFault is what was wrong first; nil where nothing was.
func (g *Generator) FirstFault() error {
	if err := g.faults.first.Load(); err != nil {
		return *err
	}
	return nil
}

// New opens a generator. A load's packets leave evenly spread, those of one quantum together; 0 stands for 100 µs. Sessions whose
// ends speak different codecs need voices.
func New(quantum time.Duration, voices Voices) (*Generator, error) {
	if quantum == 0 {
		quantum = 100 * time.Microsecond
	}
	g := &Generator{quantum: quantum, voices: voices, start: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{}), runs: make(chan *run)}
	var err error
	if g.identity, err = newIdentity(); err != nil {
		return nil, err
	}
	if g.browsers, err = openSocket(0); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if g.phones, g.phonesRTCP, err = openPair(); err != nil {
		unix.Close(g.browsers.fd)
		return nil, err
	}
	go g.loop()
	return g, nil
}

// Close ends the loop and closes the sockets. Once only.
func (g *Generator) Close() {
	close(g.stop)
	<-g.stopped
	for _, s := range []*socket{g.browsers, g.phones, g.phonesRTCP} {
		unix.Close(s.fd)
	}
}

// register gives a session the next free number.
func (g *Generator) register(s *Session) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range maxSessions {
		g.last = g.last%(maxSessions-1) + 1
		if g.sessions[g.last].Load() == nil {
			s.number = g.last
			g.sessions[g.last].Store(s)
			return nil
		}
	}
	return errors.New("load: no number is free")
}

func (g *Generator) forget(s *Session) {
	g.ended[s.number].Store(time.Now().UnixNano())
	g.sessions[s.number].CompareAndSwap(s, nil)
}

// Session finds a session by its number.
func (g *Generator) Session(number int) *Session {
	if number < 1 || number >= maxSessions {
		return nil
	}
	return g.sessions[number].Load()
}

// loop sends and reads until Close.
func (g *Generator) loop() {
	defer close(g.stopped)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()                     // a thread that ends takes the processes along that it started
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // a quantum is to be one
	for {
		select {
		case <-g.stop:
			return
		default:
		}
		now := time.Since(g.start)
		g.step(now)
		g.checks(now)
		if now >= g.nextRead {
			g.readAll()
			g.nextRead = now + readEvery
		}
		g.rest(now)
	}
}

// step moves the load on, or takes the next one.
func (g *Generator) step(now time.Duration) {
	if g.running == nil {
		select {
		case g.running = <-g.runs:
			g.running.began = now
		default:
			return
		}
	}
	if g.running.step(g, now) {
		g.running = nil
	}
}

func (g *Generator) rest(now time.Duration) {
	if g.running == nil {
		g.nextRead = 0
		time.Sleep(idleTick)
		return
	}
	if left := now + g.quantum - time.Since(g.start); left > 0 {
		nap(left)
	}
}

// checks sends each session's consent checks and reports, spread over their interval.
func (g *Generator) checks(now time.Duration) {
	due := int64(now) * maxSessions / int64(checkEvery)
	for ; g.checkedTo < due; g.checkedTo++ {
		if s := g.sessions[g.checkedTo%maxSessions].Load(); s != nil && s.invited.Load() && s.spoke.Load() {
			if err := errors.Join(s.sendCheck(), s.sendReports(time.Now()), s.rebind()); err != nil {
				g.faults.note(&g.faults.refused, err)
			}
		}
	}
}

func (g *Generator) readAll() {
	for g.browsers.receive(g.fromBrowserSide) == batchSize {
	}
	for g.phones.receive(g.fromPhoneSide) == batchSize {
	}
	for g.phonesRTCP.receive(func(*arrival) { g.reports.phones.Add(1) }) == batchSize {
	}
	if g.running != nil {
		g.running.silence++
	}
}

// fromBrowserSide takes what the gateway sent to a browser (RFC 7983 §7).
func (g *Generator) fromBrowserSide(a *arrival) {
	s := g.arrivedFor(a, browserNet)
	if s == nil || len(a.data) < 2 {
		return
	}
	switch first := a.data[0]; {
	case first <= 3:
		s.receiveSTUN(a)
	case first >= 64 && first <= 79:
		if a.data = s.unframed(a.data); a.data != nil {
			g.fromBrowserSide(a)
		}
	case first >= 20 && first <= 63:
		if p := s.pipe.Load(); p != nil {
			p.deliver(a.data)
		}
	case a.data[1] >= 192 && a.data[1] <= 223: // RFC 5761 §4
		s.receiveReport(a.data)
	default:
		g.fromGateway(s, &s.down, 'd', s.opened(a.data), a.at)
	}
}

func (g *Generator) fromPhoneSide(a *arrival) {
	if s := g.arrivedFor(a, phoneNet); s != nil {
		g.fromGateway(s, &s.up, 'u', a.data, a.at)
	}
}

func (g *Generator) arrivedFor(a *arrival, network byte) *Session {
	number := int(a.to[2])<<8 | int(a.to[3])
	s := g.Session(number)
	if s == nil && a.to[1] == network && number < maxSessions && a.at < g.ended[number].Load()+int64(time.Second) {
		return nil // it was on its way when the call ended
	}
	if s == nil || a.to[1] != network {
		g.faults.note(&g.faults.foreign, fmt.Errorf("load: a packet to %v, which has no session", a.to))
		return nil
	}
	return s
}

// opened decrypts in place; nil where that fails.
func (s *Session) opened(p []byte) []byte {
	k := s.keys.Load()
	if k == nil {
		return p
	}
	plain, err := k.open.DecryptRTP(p[:0], p, &k.header)
	if err != nil {
		s.generator.faults.note(&s.generator.faults.undecryptable, fmt.Errorf("load: session %d: %w", s.number, err))
		return nil
	}
	return plain
}

// fromGateway takes a plain packet that has crossed.
func (g *Generator) fromGateway(s *Session, t *stream, direction byte, p []byte, at int64) {
	if p == nil {
		return
	}
	take := t.take
	if s.ends.converted() {
		take = t.takeConverted
	}
	sent, err := take(p, s, direction)
	if err != nil {
		g.faults.note(&g.faults.misfit, err)
		return
	}
	if g.running != nil {
		g.running.arrived(sent, at)
	}
}
