package media

// portSocket is a SIP-side socket in a worker's epoll.
type portSocket struct {
	fd     int
	leg    *Leg
	stream int   // the slot
	rtcp   bool  // the odd port
	far    *far  // the peer's end
	number int32 // in the table
}

// socketTable numbers a worker's SIP-side sockets, so that an epoll event finds its socket without a map. Sockets come and
// go by commands only, so never between a poll and the reading of what it found.
type socketTable struct {
	all   []*portSocket
	spare []int32
}

func (t *socketTable) add(s *portSocket) {
	if n := len(t.spare); n > 0 {
		s.number = t.spare[0]
		t.spare = t.spare[1:]
		t.all[s.number] = s
		return
	}
	s.number = int32(len(t.all))
	t.all = append(t.all, s)
}

func (t *socketTable) remove(s *portSocket) {
	t.all[s.number] = nil
	t.spare = append(t.spare, s.number)
}

func (t *socketTable) get(number int32) *portSocket {
	if int(number) >= len(t.all) {
		return nil
	}
	return t.all[number]
}
