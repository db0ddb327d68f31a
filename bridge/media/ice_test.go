package media

import (
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tandem/bridge/sdp"
)

type controlledRole struct{}

func (controlledRole) AddTo(m *stun.Message) error {
	m.Add(stun.AttrICEControlled, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	return nil
}

type unknownRequired struct{}

func (unknownRequired) AddTo(m *stun.Message) error {
	m.Add(0x7123, []byte{1})
	return nil
}

// answerTo sends a request once and gives what comes back, nil where nothing comes before an ordinary check is answered.
func (p *peer) answerTo(m *stun.Message) *stun.Message {
	p.t.Helper()
	p.send(m.Raw)
	fence := p.request(controlling{})
	for limit := time.After(patience); ; {
		p.send(fence.Raw)
		select {
		case a := <-p.answers:
			if a.TransactionID == m.TransactionID {
				return a
			}
			if a.TransactionID == fence.TransactionID {
				return nil
			}
		case <-time.After(100 * time.Millisecond):
		case <-limit:
			p.t.Fatal("no answers at all")
		}
	}
}

func build(t *testing.T, setters ...stun.Setter) *stun.Message {
	t.Helper()
	m, err := stun.Build(setters...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestChecks(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 1 })
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	l.SetRemote(p.remote())
	user := stun.NewUsername(p.local.Ufrag + ":" + p.own.Ufrag)
	signed := stun.NewShortTermIntegrity(p.local.Password)
	otherNode := newCredentials(8, 0, l.slot)
	for _, c := range []struct {
		name    string
		request *stun.Message
		code    stun.ErrorCode // 0 and silent false: success
		silent  bool
		drop    DropReason
	}{
		{name: "good", request: p.request(controlling{})},
		{name: "good and nominating", request: p.request(controlling{}, useCandidate{})},
		{name: "wrong password", code: stun.CodeUnauthorized, drop: DropSTUNIntegrity,
			request: build(t, stun.TransactionID, stun.BindingRequest, user, stun.NewShortTermIntegrity("wrong"), stun.Fingerprint)},
		{name: "no integrity", code: stun.CodeBadRequest, drop: DropSTUNMalformed,
			request: build(t, stun.TransactionID, stun.BindingRequest, user, stun.Fingerprint)},
		{name: "no fingerprint", silent: true, drop: DropSTUNMalformed,
			request: build(t, stun.TransactionID, stun.BindingRequest, user, signed)},
		{name: "no username", silent: true, drop: DropSTUNMalformed,
			request: build(t, stun.TransactionID, stun.BindingRequest, signed, stun.Fingerprint)},
		{name: "foreign ufrag", silent: true, drop: DropSTUNUfrag,
			request: build(t, stun.TransactionID, stun.BindingRequest, stun.NewUsername("abcd:efgh"), signed, stun.Fingerprint)},
		{name: "another life of the slot", code: stun.CodeUnauthorized, drop: DropSTUNUfrag,
			request: build(t, stun.TransactionID, stun.BindingRequest,
				stun.NewUsername(newCredentials(7, 0, l.slot).Ufrag+":x"), signed, stun.Fingerprint)},
		{name: "another node", silent: true, drop: DropSTUNNode,
			request: build(t, stun.TransactionID, stun.BindingRequest, stun.NewUsername(otherNode.Ufrag+":x"), signed, stun.Fingerprint)},
		{name: "role conflict", code: stun.CodeRoleConflict, drop: DropSTUNRole, request: p.request(controlledRole{})},
		{name: "unknown attribute", code: stun.CodeUnknownAttribute, drop: DropSTUNMalformed,
			request: p.request(controlling{}, unknownRequired{})},
		{name: "indication", silent: true, drop: DropSTUNUnexpected,
			request: build(t, stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication), user, signed, stun.Fingerprint)},
		{name: "response", silent: true, drop: DropSTUNUnexpected,
			request: build(t, stun.TransactionID, stun.BindingSuccess, user, signed, stun.Fingerprint)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			dropped := e.Stats().Drops[c.drop.String()]
			a := p.answerTo(c.request)
			switch {
			case c.silent:
				if a != nil {
					t.Fatalf("answered: %v", a)
				}
			case a == nil:
				t.Fatal("no answer")
			case c.code != 0:
				var code stun.ErrorCodeAttribute
				if err := code.GetFrom(a); err != nil || code.Code != c.code || a.Type != stun.BindingError {
					t.Fatalf("answer %v, code %v, %v", a, code, err)
				}
			default:
				checkSuccess(t, p, a)
			}
			if got := e.Stats().Drops[c.drop.String()]; c.drop != dropNone && got != dropped+1 {
				t.Errorf("%s counted %d times more", c.drop, got-dropped)
			}
		})
	}
}

func checkSuccess(t *testing.T, p *peer, a *stun.Message) {
	t.Helper()
	var at stun.XORMappedAddress
	if err := at.GetFrom(a); err != nil || a.Type != stun.BindingSuccess {
		t.Fatalf("answer %v: %v", a, err)
	}
	if own := p.addr(); at.Port != int(own.Port()) || at.IP.String() != own.Addr().String() {
		t.Errorf("mapped address %v, want %v", at, own)
	}
	if err := stun.NewShortTermIntegrity(p.local.Password).Check(a); err != nil {
		t.Errorf("integrity: %v", err)
	}
	if err := stun.Fingerprint.Check(a); err != nil {
		t.Errorf("fingerprint: %v", err)
	}
}

func TestUnprovenChecksAreBounded(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 1 })
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	l.SetRemote(p.remote())
	p.check()
	stranger := newPeer(t, l.Local())
	bad := build(t, stun.TransactionID, stun.BindingRequest, stun.NewUsername(p.local.Ufrag+":"+p.own.Ufrag),
		stun.NewShortTermIntegrity("wrong"), stun.Fingerprint)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stranger.answers:
			case <-stop:
				return
			}
		}
	}()
	waitFor(t, "a stranger's checks to be refused unread", func() bool {
		for range 500 {
			stranger.send(bad.Raw)
		}
		return e.Stats().Drops[DropSTUNRate.String()] > 0
	})
	p.check() // a proven far end goes on
}

func TestICERestart(t *testing.T) {
	c := newCall(t, open(t))
	c.bothWays(t)
	old := c.browser.local
	renewed := c.a.Restart()
	if renewed.Ufrag == old.Ufrag || renewed.Password == old.Password {
		t.Fatal("credentials did not change")
	}
	c.browser.check() // the old ones go on to work
	c.bothWays(t)

	c.browser.local, c.browser.own = renewed, Credentials{"newpeerufrag", "newpeerpasswordnewpeerpw"}
	c.a.SetRemote(c.browser.remote())
	c.a.AnswerSent()
	c.browser.bind()
	c.browser.check()
	c.bothWays(t) // without a new handshake: a restart keeps the association
	waitFor(t, "the new pair to be in use", func() bool { return c.a.Stats().Remote == addrOf(c.browser.conn) })

	c.browser.local = old
	m := c.browser.request(controlling{})
	c.browser.send(m.Raw)
	limit := time.After(patience)
	for {
		select {
		case a := <-c.browser.answers:
			if a.TransactionID != m.TransactionID {
				continue // a check of before that was repeated
			}
			if a.Type != stun.BindingError {
				t.Errorf("old credentials: %v", a)
			}
		case <-limit:
			t.Error("no answer")
		}
		return
	}
}

func TestCheckBeforeTheDescription(t *testing.T) {
	e := open(t)
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	p.check() // answered, though the peer's SDP is not here yet
	l.SetRemote(p.remote())
	l.AnswerSent()
	if err := p.handshake(); err != nil {
		t.Fatal(err)
	}

	l = newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p = newPeer(t, l.Local())
	p.check()
	other := p.remote()
	other.Ufrag = "somebodyelse"
	l.SetRemote(other) // so what was checked is nobody's
	p.send(append([]byte{22}, make([]byte, 30)...))
	waitFor(t, "the pair to be forgotten", func() bool { return e.Stats().Drops[DropNotValidated.String()] == 1 })
}

func TestUfrag(t *testing.T) {
	c := newCredentials(513, 3, 70000)
	node, slot, ok := parseUfrag([]byte(c.Ufrag))
	if !ok || node != 513 || slot != 70000 {
		t.Errorf("%q: node %d slot %d ok %v", c.Ufrag, node, slot, ok)
	}
	for _, s := range []string{"", "abcd", "0123456789abcdef", "================"} {
		if _, _, ok := parseUfrag([]byte(s)); ok {
			t.Errorf("%q passed for one of ours", s)
		}
	}
}

// Whoever guesses at ufrags, or floods a leg of its own, keeps no other leg from being reached.
func TestFloodOfChecksLeavesOthersAlone(t *testing.T) {
	x := newWire(t, opusPlan())
	add := func() *Leg {
		l := &Leg{engine: x.w.engine, index: -1, spec: LegSpec{Profile: sdp.WebRTC}, freed: make(chan struct{})}
		l.transport.leg = l
		x.w.engine.table.add(l, 1)
		l.ice.current = newCredentials(0, 0, l.slot)
		x.w.attach(l)
		return l
	}
	own, victim := add(), add()
	send := func(from int, ufrag, password string) {
		m := build(t, stun.TransactionID, stun.BindingRequest, stun.NewUsername(ufrag+":peer"),
			stun.NewShortTermIntegrity(password), stun.Fingerprint)
		at := sockaddrOf(loopback(uint16(from)))
		x.w.in.next = 0
		d := datagram{data: x.w.in.copyIn(m.Raw), from: &at}
		x.w.check(&d)
		x.w.out.count = 0
	}
	guess := newCredentials(0, 0, victim.slot)
	for range 2 * unproven {
		send(40000, guess.Ufrag, guess.Password)
		send(40001, own.ice.current.Ufrag, "wrong")
	}
	if x.w.counters.drops[DropSTUNRate].Load() == 0 {
		t.Error("the flood was not bounded")
	}
	send(40002, victim.ice.current.Ufrag, victim.ice.current.Password)
	if victim.counters.checks.Load() != 1 {
		t.Errorf("the check of the other leg was not answered: %v", victim.Stats().Drops)
	}
}
