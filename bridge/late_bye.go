package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// lateBye is a BYE for a browser that was away when its call ended: it is said when the browser is back.
type lateBye struct {
	aor, flow string // who, and the connection that was lost
	bye       transaction.Outbound
	until     time.Time // later nobody expects the call to be there
}

// lateByes are those that are not yet said. Safe for concurrent use; no more than the calls that ended so within FlowGrace.
type lateByes struct {
	mu  sync.Mutex
	all []lateBye // guarded by mu
}

func (f *lateByes) keep(one lateBye) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	f.all = append(f.all, one)
}

// take gives those of an address of record on a connection, once.
func (f *lateByes) take(aor, flow string) (byes []transaction.Outbound) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	f.all = slices.DeleteFunc(f.all, func(one lateBye) bool {
		mine := one.aor == aor && one.flow == flow
		if mine {
			byes = append(byes, one.bye)
		}
		return mine
	})
	return byes
}

// expire drops what is too late. Called with mu held.
func (f *lateByes) expire() {
	f.all = slices.DeleteFunc(f.all, func(one lateBye) bool { return time.Now().After(one.until) })
}

// keepBye keeps the leg's BYE for a browser that is away.
func (l *leg) keepBye() {
	b := l.call.bridge
	bye := l.goodbye()
	bye.AppendHeader(l.call.sessionID(l))
	b.lateByes.keep(lateBye{aor: l.aor, flow: l.flow, bye: bye, until: time.Now().Add(b.cfg.FlowGrace)})
}

// sayLateByes says what is left to say to a browser that came back. Whether it heard is all the same.
func (b *Bridge) sayLateByes(aor, oldFlow, newFlow string) {
	conn := b.with.Browsers.Find(newFlow)
	if conn == nil {
		return
	}
	for _, bye := range b.lateByes.take(aor, oldFlow) {
		if _, err := conn.Request(bye, func(transaction.Event) {}); err != nil {
			b.log.Debug("BYE not sent", "conn", conn.Name(), "error", err)
		}
	}
}

// goodbye is the leg's BYE.
func (l *leg) goodbye() transaction.Outbound {
	out := l.dialog.request(sip.BYE)
	if l.bye != "" {
		out.AppendHeader(sip.NewHeader("Reason", l.veil().Reasons(l.bye)))
	}
	return out
}
