package media

import (
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	voiceEvery = 20 * time.Millisecond
	mostLost   = 5 // packets: 100 ms
)

// stretch is one direction of a running call: which packets were sent when, and which came.
type stretch struct {
	mu   sync.Mutex
	sent []time.Time // by number
	came map[int]time.Time
}

func (s *stretch) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, time.Now())
	return len(s.sent) - 1
}

func (s *stretch) arrived(payload []byte) {
	if n, err := strconv.Atoi(string(payload)); err == nil {
		s.mu.Lock()
		s.came[n] = time.Now()
		s.mu.Unlock()
	}
}

// caughtUp says whether the last packet has come.
func (s *stretch) caughtUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.came[len(s.sent)-1]
	return ok
}

// worst is the longest run of packets that were sent from a time on, up to another, and never came.
func (s *stretch) worst(from, to time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	worst, run := 0, 0
	for n, at := range s.sent {
		if _, ok := s.came[n]; ok || at.Before(from) || !at.Before(to) {
			run = 0
			continue
		}
		run++
		worst = max(worst, run)
	}
	return worst
}

// conversation is a call with voice in both directions, whose browser may move meanwhile.
type conversation struct {
	*call
	t        testing.TB
	socket   sync.Mutex // around what the two send
	out, in  stretch    // from the browser, towards it
	stop     chan struct{}
	speaking sync.WaitGroup
}

func newConversation(t testing.TB, c *call) *conversation {
	v := &conversation{call: c, t: t, stop: make(chan struct{})}
	v.out.came, v.in.came = map[int]time.Time{}, map[int]time.Time{}
	v.speaking.Go(v.speak)
	v.speaking.Go(v.hearBrowser)
	go v.hearPhone()
	return v
}

func (v *conversation) end() {
	close(v.stop)
	v.speaking.Wait()
}

func (v *conversation) speak() {
	every := time.NewTicker(voiceEvery)
	defer every.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-every.C:
		}
		v.socket.Lock()
		v.say()
		v.socket.Unlock()
	}
}

// say sends one packet in each direction. Called with socket held.
func (v *conversation) say() {
	v.browser.sendRTP(v.browser.next(111, strconv.Itoa(v.out.next())))
	v.phone.sendRTP(107, strconv.Itoa(v.in.next()))
}

// settle waits until nothing is on its way, for that would go to the old address, and says when. Called with socket held.
func (v *conversation) settle() time.Time {
	v.t.Helper()
	polls := 0
	waitFor(v.t, "what was said to come", func() bool {
		if v.out.caughtUp() && v.in.caughtUp() {
			return true
		}
		if polls++; polls%20 == 0 {
			v.say()
		}
		return false
	})
	return time.Now()
}

func (v *conversation) hearBrowser() {
	for {
		select {
		case <-v.stop:
			return
		case d := <-v.browser.packets:
			if isRTCP(d) {
				continue
			}
			plain, err := v.browser.in.DecryptRTP(nil, d, nil)
			if err != nil {
				v.t.Error(err)
				return
			}
			v.in.arrived(parse(v.t, plain).Payload)
		}
	}
}

// hearPhone ends with the phone's socket.
func (v *conversation) hearPhone() {
	b := make([]byte, 2048)
	for {
		n, _, err := v.phone.rtp.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		v.out.arrived(parse(v.t, b[:n]).Payload)
	}
}

// rebind gives the browser another port, as a NAT does, and says up to when all went to the old one.
func (v *conversation) rebind() (settled time.Time) {
	v.socket.Lock()
	defer v.socket.Unlock()
	settled = v.settle()
	v.browser.bind()
	return settled
}

// restart gives it a new ICE generation on another port.
func (v *conversation) restart(generation int) (settled time.Time) {
	local := v.a.Restart()
	v.socket.Lock()
	defer v.socket.Unlock()
	settled = v.settle()
	v.browser.local, v.browser.own = local, Credentials{"generation" + strconv.Itoa(generation), "passwordofthegeneration"}
	v.a.SetRemote(v.browser.remote())
	v.a.AnswerSent()
	v.browser.bind()
	return settled
}

// Wherever the kernel's hash sends a browser's new address, the call goes on: once the check has been answered, no more than 100 ms of
// voice are lost in either direction.
func TestRebindingUnderLoad(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 3 })
	for range 6 { // others that keep the workers busy
		other := newConversation(t, newCall(t, e))
		defer other.end()
	}
	v := newConversation(t, newCall(t, e))
	every := time.NewTicker(7 * voiceEvery)
	defer every.Stop()
	var used, settled []time.Time // from when on each address was in use, and up to when the one before
	moved, stayed := 0, 0
	for i := 0; moved < 10 || stayed < 5; i++ {
		if i == 100 {
			t.Fatalf("%d rebindings moved the call, %d did not", moved, stayed)
		}
		<-every.C
		moves := e.Stats().Moves
		if i%3 == 2 {
			settled = append(settled, v.restart(i))
		} else {
			settled = append(settled, v.rebind())
		}
		v.browser.check()
		waitFor(t, "the new pair to be in use", func() bool { return v.a.Stats().Remote == addrOf(v.browser.conn) })
		used = append(used, time.Now())
		if e.Stats().Moves > moves {
			moved++
		} else {
			stayed++
		}
	}
	<-every.C
	<-every.C
	v.socket.Lock()
	settled = append(settled, v.settle())
	v.socket.Unlock()
	v.end()
	for i, from := range used {
		if out, in := v.out.worst(from, settled[i+1]), v.in.worst(from, settled[i+1]); max(out, in) > mostLost {
			t.Errorf("rebinding %d: %d packets in a row lost from the browser, %d towards it", i, out, in)
		}
	}
	t.Logf("%d rebindings moved the call, %d did not; drops %v", moved, stayed, e.Stats().Drops)
	if e.Stats().Handshakes != 7 {
		t.Errorf("%d handshakes", e.Stats().Handshakes)
	}
}
