package media

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
	"golang.org/x/sys/unix"

	"tandem/bridge/sdp"
)

// crowd is a worker without its goroutine and sockets, with many calls: what a packet's state costs when the caches have
// forgotten it.
type crowd struct {
	w       *worker
	legs    [][2]*Leg
	at      [][2]sockaddr
	browser [][][]byte // sealed packets, by round and call
	phone   []byte
	cold    []byte // what is read between two batches, so that their state has left the nearer caches, as system calls see to
	sum     byte
}

// forget reads more than a processor's own caches hold.
func (c *crowd) forget() {
	for i := 0; i < len(c.cold); i += 64 {
		c.sum += c.cold[i]
	}
}

const crowdBatch = 32

func newCrowd(b *testing.B, profile uint16, calls, rounds int) *crowd {
	one := newBench(b, profile)
	c := &crowd{w: one.w, phone: packet(b, 107, 9, 0, voice)}
	key, salt, err := profileSizes(profile)
	if err != nil {
		b.Fatal(err)
	}
	out, err := srtp.CreateContext(make([]byte, key), make([]byte, salt), srtp.ProtectionProfile(profile))
	if err != nil {
		b.Fatal(err)
	}
	for i := range calls {
		c.add(b, i, profile)
	}
	for r := range rounds {
		var list [][]byte
		memory := make([]byte, 0, calls*256)
		for i := range calls {
			at := len(memory)
			p, err := out.EncryptRTP(memory[at:at], packet(b, 111, uint32(i+1), uint16(r), voice), nil)
			if err != nil {
				b.Fatal(err)
			}
			memory = memory[:at+len(p)]
			list = append(list, p)
		}
		c.browser = append(c.browser, list)
	}
	return c
}

func (c *crowd) add(b *testing.B, i int, profile uint16) {
	key, salt, _ := profileSizes(profile)
	e := c.w.engine
	session, err := newSession(SRTPState{Profile: profile,
		LocalKey: make([]byte, key), LocalSalt: make([]byte, salt), RemoteKey: make([]byte, key), RemoteSalt: make([]byte, salt)})
	if err != nil {
		b.Fatal(err)
	}
	pair := [2]sockaddr{sockaddrOf(netip.AddrPortFrom(browserAddr(i), 5000)), sockaddrOf(netip.AddrPortFrom(phoneAddr(i), 5000))}
	browser := &Leg{engine: e, index: -1, spec: LegSpec{Profile: sdp.WebRTC}, transport: transport{srtp: session}}
	browser.transport.leg = browser
	f := &flow{key: pair[0].source(0), leg: browser, to: endpointOf(pair[0], localAddr{})}
	browser.ice.flows, browser.ice.selected = []*flow{f}, f
	c.w.attach(browser)
	phone := &Leg{engine: e, index: -1, spec: LegSpec{Profile: sdp.RTP}}
	phone.streams = []*rtpStream{newRTPStream(phone, 0, portPair{port: 1, rtp: -1, rtcp: -1})}
	c.w.attach(phone)
	phone.setAddresses(c.w, sdp.Remote{Streams: []sdp.RemoteStream{{RTP: pair[1].addrPort()}}})
	c.w.relate(&joining{legs: [2]*Leg{browser, phone}, plan: opusPlan()})
	c.legs, c.at = append(c.legs, [2]*Leg{browser, phone}), append(c.at, pair)
}

// fromBrowsers handles a round's packet of each call as batches.
func (c *crowd) fromBrowsers(round int) {
	in := c.w.in
	for first := 0; first < len(c.legs); first += crowdBatch {
		c.forget()
		in.next = 0
		for i := first; i < min(first+crowdBatch, len(c.legs)); i++ {
			in.names[in.next] = c.at[i][0]
			in.messages[in.next].Len = uint32(len(c.browser[round][i]))
			in.copyIn(c.browser[round][i])
		}
		for at := 0; at < in.next; {
			at = c.w.browserBatch(0, at, in.next)
		}
		c.w.out.count = 0
	}
}

func (c *crowd) fromPhones(round int) {
	in := c.w.in
	c.phone[2], c.phone[3] = byte(round>>8), byte(round)
	for i := range c.legs {
		if i%crowdBatch == 0 {
			c.forget()
			in.next, c.w.out.count = 0, 0
		}
		at := in.next
		in.names[at] = c.at[i][1]
		in.messages[at].Len = uint32(len(c.phone))
		in.copyIn(c.phone)
		c.w.portBatch(c.legs[i][1].streams[0].rtp.socket, at, in.next)
	}
	c.w.out.count = 0
}

// threadTime is the calling thread's CPU time: others on the same processors do not count.
func threadTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCrowd relays one packet of each of a thousand calls after the other. Run with -benchtime 1x; it gives the CPU time
// of the best of several passes.
func BenchmarkCrowd(b *testing.B) {
	const calls, passes, rounds = 1000, 100, 2
	for _, profile := range srtpProfiles() {
		for name, relay := range map[string]func(*crowd, int){"from-browsers": (*crowd).fromBrowsers, "from-phones": (*crowd).fromPhones} {
			b.Run(profileName(uint16(profile))+"/"+name, func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				c := newCrowd(b, uint16(profile), calls, passes*rounds)
				c.cold = make([]byte, 1<<20)
				least := time.Hour
				for b.Loop() {
					batches := (calls + crowdBatch - 1) / crowdBatch
					forgetting := time.Hour
					for range passes {
						before := threadTime(b)
						for range rounds * batches {
							c.forget()
						}
						forgetting = min(forgetting, threadTime(b)-before)
					}
					for pass := range passes {
						before := threadTime(b)
						for r := range rounds {
							relay(c, pass*rounds+r)
						}
						least = min(least, threadTime(b)-before-forgetting)
					}
				}
				if got := c.w.counters.packetsIn.Load(); got < calls*passes*rounds {
					b.Errorf("%d packets passed", got)
				}
				b.ReportMetric(float64(least.Nanoseconds())/(calls*rounds), "ns/packet")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
