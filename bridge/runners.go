package bridge

import "time"

// runners are goroutines that outlive what they ran: a call wakes a dozen times, and each time a new goroutine would grow its stack
// anew. Who finds none that waits gets a new one, so that no call waits for another. Nil keeps none.
type runners chan func()

// runnerRest is how long one waits for more.
const runnerRest = time.Second

// run runs do on a goroutine that is not the caller's.
func (r runners) run(do func()) {
	select {
	case r <- do:
	default:
		go r.serve(do)
	}
}

func (r runners) serve(do func()) {
	do()
	if r == nil {
		return
	}
	rest := time.NewTimer(runnerRest)
	defer rest.Stop()
	for {
		select {
		case do = <-r:
			do()
			rest.Reset(runnerRest)
		case <-rest.C:
			return
		}
	}
}
