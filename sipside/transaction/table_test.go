package transaction

import (
	"fmt"
	"slices"
	"testing"
)

func everyTable() map[string]*table {
	all := newTables()
	out := make(map[string]*table)
	for i, kind := range []string{"datagram", "reliable"} {
		out["invite client "+kind] = all.inviteClient[i]
		out["client "+kind] = all.client[i]
		out["invite server "+kind] = all.inviteServer[i]
		out["server "+kind] = all.server[i]
	}
	return out
}

// place is a machine with the timers that run there: what the tables promise is explored over all of them.
type place struct {
	state       state
	repeat, end input // 0: none runs
}

func isTimer(in input) bool { return in >= timerA && in < inputCount }

// move does one input as core.advance does, timers included; a timer that does not run cannot fire.
func (p place) move(t *table, in input) (place, bool) {
	if isTimer(in) && in != p.repeat && in != p.end {
		return p, false
	}
	next, do, ok := t.step(p.state, in)
	if !ok {
		return p, false
	}
	switch in {
	case p.repeat:
		p.repeat = 0
	case p.end:
		p.end = 0
	}
	p.state = next
	for _, a := range do {
		switch {
		case a == stopRepeat:
			p.repeat = 0
		case a == stopEnd:
			p.end = 0
		case a == again, a == againSlow:
			p.repeat = in
		case a >= startFirst:
			switch timer := timerA + input(a-startFirst); timer {
			case timerA, timerE, timerG, timerTrying:
				p.repeat = timer
			default:
				p.end = timer
			}
		}
	}
	if next == terminated {
		p.repeat, p.end = 0, 0
	}
	return p, true
}

// places explores everything that can happen to a machine.
func places(t *table) []place {
	seen := []place{{}}
	for i := 0; i < len(seen); i++ {
		for in := range inputCount {
			if next, ok := seen[i].move(t, in); ok && !slices.Contains(seen, next) {
				seen = append(seen, next)
			}
		}
	}
	return seen
}

func TestTablesReachEveryStateTheyDescribe(t *testing.T) {
	for name, table := range everyTable() {
		reached := places(table)
		for s := range stateCount {
			described := s == terminated
			for in := range inputCount {
				described = described || table.rows[s][in] != nil
			}
			if !described {
				continue
			}
			if !slices.ContainsFunc(reached, func(p place) bool { return p.state == s }) {
				t.Errorf("%s: state %d has rows and is never reached", name, s)
			}
		}
	}
}

func TestTablesUseEveryRow(t *testing.T) {
	for name, table := range everyTable() {
		used := make(map[string]bool)
		for _, p := range places(table) {
			for in := range inputCount {
				if _, ok := p.move(table, in); ok {
					used[fmt.Sprint(p.state, in)] = true
				}
			}
		}
		for s := range stateCount {
			for in := range inputCount {
				if table.rows[s][in] != nil && !used[fmt.Sprint(s, in)] {
					t.Errorf("%s: row of state %d, input %d can never be taken", name, s, in)
				}
			}
		}
	}
}

func TestTablesTerminatedStays(t *testing.T) {
	for name, table := range everyTable() {
		for in := range inputCount {
			if table.rows[terminated][in] != nil {
				t.Errorf("%s: input %d leads out of Terminated", name, in)
			}
		}
	}
}

// Time alone ends every machine, wherever it stands, but for an INVITE in Proceeding: that one is ended by the peer's or
// the user's final response, by CANCEL's time limit, or with the flow.
func TestTablesEndByTimeAlone(t *testing.T) {
	for name, table := range everyTable() {
		for _, p := range places(table) {
			if p.state == terminated || p.state == initial {
				continue
			}
			invite := name[0] == 'i' && p.state == proceeding && p.end == 0
			if invite {
				for _, in := range []input{success, failure} {
					if next, ok := p.move(table, in); !ok || (next.state != terminated && next.end == 0) {
						t.Errorf("%s: input %d in %+v starts no end", name, in, p)
					}
				}
				if next, ok := p.move(table, broken); !ok || next.state != terminated {
					t.Errorf("%s: the flow's loss does not end %+v", name, p)
				}
				continue
			}
			if p.end == 0 {
				t.Errorf("%s: no timer ends %+v", name, p)
				continue
			}
			if next, ok := p.move(table, p.end); !ok || next.state != terminated {
				t.Errorf("%s: timer %d does not end %+v", name, p.end, p)
			}
		}
	}
}

func TestTablesHandleEveryTimerThatRuns(t *testing.T) {
	for name, table := range everyTable() {
		for _, p := range places(table) {
			for _, timer := range []input{p.repeat, p.end} {
				if timer == 0 {
					continue
				}
				if _, ok := p.move(table, timer); !ok {
					t.Errorf("%s: timer %d fires in %+v and nothing is said of it", name, timer, p)
				}
			}
		}
	}
}

// A user hears of exactly one end: one final response or one error, further 2xx of an INVITE apart.
func TestTablesTellOneEnd(t *testing.T) {
	for name, table := range everyTable() {
		for s := range stateCount {
			for in := range inputCount {
				next, do, ok := table.step(s, in)
				if !ok {
					continue
				}
				told := 0
				for _, a := range do {
					if a == deliver || a == deliverTimeout || a == deliverLost {
						told++
					}
				}
				ended := s == accepted || s == completed
				switch {
				case told > 1:
					t.Errorf("%s: state %d input %d tells %d things", name, s, in, told)
				case ended && told > 0 && !(s == accepted && in == success):
					t.Errorf("%s: state %d input %d tells of a second end", name, s, in)
				case told == 0 && !ended && next == terminated && (name[0] == 'c' || name[:8] == "invite c"):
					t.Errorf("%s: state %d input %d ends without a word", name, s, in)
				}
			}
		}
	}
}

func TestReliableTransportsRepeatNothing(t *testing.T) {
	for name, table := range everyTable() {
		if name[len(name)-len("reliable"):] != "reliable" {
			continue
		}
		for _, p := range places(table) {
			if p.repeat != 0 && p.repeat != timerTrying {
				t.Errorf("%s: timer %d runs in %+v", name, p.repeat, p)
			}
		}
	}
}
