package media

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/bridge/sdp"
)

// BenchmarkSockets is the packet path with everything: N WebRTC↔RTP calls of 20 ms voice with real sockets, a pair for each call
// or one for all.
// The traffic comes from a process of its own, so that this one's CPU time is the gateway's. Run with -benchtime 1x.
func BenchmarkSockets(b *testing.B) {
	for _, profile := range srtpProfiles() {
		for _, calls := range []int{20, 100, 500, 1000} {
			for _, shared := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/shared=%t", profileName(uint16(profile)), calls, shared), func(b *testing.B) {
					for b.Loop() {
						measureSockets(b, uint16(profile), calls, "adaptive", shared)
					}
				})
			}
		}
	}
}

// BenchmarkTick is the curve of CPU against latency from which the adaptive tick was chosen.
func BenchmarkTick(b *testing.B) {
	for _, calls := range []int{100, 500, 1000} {
		for _, tick := range []string{"0", "250us", "500us", "1ms", "adaptive"} {
			b.Run(fmt.Sprintf("%d/%s", calls, tick), func(b *testing.B) {
				for b.Loop() {
					measureSockets(b, uint16(srtpProfiles()[0]), calls, tick, false)
				}
			})
		}
	}
}

func measureSockets(b *testing.B, profile uint16, calls int, tick string, shared bool) {
	e := open(b, func(c *Config) { c.Tick = tick })
	sockets := [2]*net.UDPConn{}
	for i := range sockets {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
		if err != nil {
			b.Fatal(err)
		}
		sockets[i] = conn
	}
	phones := sockets[1].LocalAddr().(*net.UDPAddr).AddrPort().Port()
	spec := trafficSpec{Gateway: e.Addrs()[0], Profile: profile, Warm: 2 * time.Second, Length: benchLength(), Slot: 200 * time.Microsecond}
	for i := range calls {
		spec.Calls = append(spec.Calls, newTrafficCall(b, e, profile, i, phones, shared))
	}
	t := startTraffic(b, sockets, spec)
	t.expect(b, "ready")
	before, sentBefore := cpuTime(b), e.Stats()
	t.expect(b, "done")
	after, sentAfter := cpuTime(b), e.Stats()
	var r trafficResult
	if err := t.out.Decode(&r); err != nil {
		b.Fatal(err)
	}
	packets := float64(sentAfter.PacketsOut - sentBefore.PacketsOut)
	b.ReportMetric(float64((after.user-before.user)+(after.system-before.system))/1e3/packets, "µs/packet")
	b.ReportMetric(float64(after.user-before.user)/1e3/packets, "user-µs/packet")
	b.ReportMetric(packets/spec.Length.Seconds(), "packets/s")
	b.ReportMetric(float64(r.P50.Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(r.P99.Microseconds())/1e3, "p99-ms")
	b.ReportMetric(100*float64(r.Sent-r.Received)/float64(r.Sent), "%lost")
	b.ReportMetric(float64(sentAfter.Ticks-sentBefore.Ticks)/spec.Length.Seconds(), "rounds/s")
	b.ReportMetric(0, "ns/op")
	if r.Received == 0 {
		b.Errorf("nothing came through: %+v", sentAfter)
	}
}

func benchLength() time.Duration {
	if s, err := strconv.Atoi(os.Getenv("MEDIA_BENCH_SECONDS")); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	return 5 * time.Second
}

// newTrafficCall opens a call whose keys are known beforehand: all zero.
func newTrafficCall(b *testing.B, e *Engine, profile uint16, i int, phones uint16, shared bool) trafficCall {
	key, salt, err := profileSizes(profile)
	if err != nil {
		b.Fatal(err)
	}
	c := newCredentials(e.cfg.Node, 0, uint32(2*i))
	browser := newLeg(b, e, LegSpec{Profile: sdp.WebRTC, Call: "call", Leg: "a", Restore: &LegState{
		Local: sdp.Local{Ufrag: c.Ufrag, Password: c.Password, Fingerprint: e.identities.latest.fingerprint}, AnswerSent: true,
		Remote: sdp.Remote{Transport: sdp.Transport{Ufrag: "peer", Setup: "actpass"}},
		SRTP: &SRTPState{Profile: profile, LocalKey: make([]byte, key), LocalSalt: make([]byte, salt),
			RemoteKey: make([]byte, key), RemoteSalt: make([]byte, salt)},
	}})
	phone := newLeg(b, e, LegSpec{Profile: sdp.RTP, Call: "call", Leg: "b", Shared: shared})
	phone.SetRemote(sdp.Remote{Streams: []sdp.RemoteStream{{RTP: netip.AddrPortFrom(phoneAddr(i), phones)}}})
	e.Join(browser, phone, opusPlan())
	return trafficCall{Ufrag: c.Ufrag, Password: c.Password, Port: phone.Local().Ports[0]}
}

type trafficProcess struct{ out *json.Decoder }

func startTraffic(b *testing.B, sockets [2]*net.UDPConn, spec trafficSpec) *trafficProcess {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), trafficVariable+"=1", "GOMAXPROCS=1")
	command.Stderr = os.Stderr
	for _, s := range sockets {
		f, err := s.File()
		if err != nil {
			b.Fatal(err)
		}
		command.ExtraFiles = append(command.ExtraFiles, f)
		s.Close()
	}
	in, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	for _, f := range command.ExtraFiles {
		f.Close()
	}
	b.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	if err := json.NewEncoder(in).Encode(spec); err != nil {
		b.Fatal(err)
	}
	return &trafficProcess{out: json.NewDecoder(out)}
}

func (t *trafficProcess) expect(b *testing.B, word string) {
	b.Helper()
	var got string
	if err := t.out.Decode(&got); err != nil || got != word {
		b.Fatalf("traffic said %q, %v; wanted %q", got, err, word)
	}
}

// usage is this process's CPU time.
type usage struct{ user, system time.Duration }

func cpuTime(b *testing.B) usage {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return usage{time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())}
}
