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
	socket   sync.Mutex // around the browser's
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
		v.browser.sendRTP(v.browser.next(111, strconv.Itoa(v.out.next())))
		v.socket.Unlock()
		v.phone.sendRTP(107, strconv.Itoa(v.in.next()))
	}
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

// rebind gives the browser another port, as a NAT does.
func (v *conversation) rebind() {
	v.socket.Lock()
	defer v.socket.Unlock()
	v.browser.bind()
}

// restart gives it a new ICE generation on another port.
func (v *conversation) restart(generation int) {
	local := v.a.Restart()
	v.socket.Lock()
	defer v.socket.Unlock()
	v.browser.local, v.browser.own = local, Credentials{"generation" + strconv.Itoa(generation), "passwordofthegeneration"}
	v.a.SetRemote(v.browser.remote())
	v.a.AnswerSent()
	v.browser.bind()
}

// Wherever the kernel's hash sends a browser's new address, the call goes on: from the check on, no more than 100 ms of
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
	var checked []time.Time
	moved, stayed := 0, 0
	for i := 0; moved < 10 || stayed < 5; i++ {
		if i == 100 {
			t.Fatalf("%d rebindings moved the call, %d did not", moved, stayed)
		}
		<-every.C
		moves := e.Stats().Moves
		if i%3 == 2 {
			v.restart(i)
		} else {
			v.rebind()
		}
		checked = append(checked, time.Now())
		v.browser.check()
		waitFor(t, "the new pair to be in use", func() bool { return v.a.Stats().Remote == addrOf(v.browser.conn) })
		if e.Stats().Moves > moves {
			moved++
		} else {
			stayed++
		}
	}
	<-every.C
	<-every.C
	last := time.Now()
	<-every.C
	v.end()
	for i, from := range checked {
		to := last
		if i+1 < len(checked) {
			to = checked[i+1].Add(-2 * voiceEvery) // what is on its way to the old address then is nobody's fault
		}
		if out, in := v.out.worst(from, to), v.in.worst(from, to); max(out, in) > mostLost {
			t.Errorf("rebinding %d: %d packets in a row lost from the browser, %d towards it", i, out, in)
		}
	}
	t.Logf("%d rebindings moved the call, %d did not; drops %v", moved, stayed, e.Stats().Drops)
	if e.Stats().Handshakes != 7 {
		t.Errorf("%d handshakes", e.Stats().Handshakes)
	}
}
