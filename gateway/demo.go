package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
)

// The ports that the demo takes where they are free, and the pool of its PBX.
const (
	demoTLSPort   = 8443
	demoPlainPort = 8080
	demoAdminPort = 9090
	demoSIPPort   = 15060
	demoMediaPort = 40000
	demoPool      = "pbx"
)

// DemoOptions say how the demo runs.
type DemoOptions struct {
	Listen netip.Addr // for browsers; default 127.0.0.1
	Port0  bool       // take any free ports: for tests
	Out    io.Writer  // gets what a newcomer reads
	Options
}

// Demo is a gateway with a PBX of its own, both on this machine; between them the same SIP and RTP as always.
type Demo struct {
	*Gateway
	pbx *siptest.PBX
}

// NewDemo opens the PBX and a gateway in front of it, and writes to o.Out where the phone is and what to dial.
func NewDemo(o DemoOptions) (*Demo, error) {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if !o.Listen.IsValid() {
		o.Listen = loopback
	}
	pbx, err := siptest.NewPBX(siptest.PBXConfig{
		Listen:  netip.AddrPortFrom(loopback, 0),
		AnyUser: true,
		RTPAddr: loopback,
		Log:     newLogger(Log{}, slog.LevelWarn, o.logTo()),
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: the demo's PBX: %w", err)
	}
	o.Demo = true
	g, err := onFreePorts(demoPorts{out: o.Out, any: o.Port0}, func(ports *demoPorts) (*Gateway, error) {
		cfg, err := demoConfig(o.Listen, pbx.Addr(), ports)
		if err != nil {
			return nil, err
		}
		return New(cfg, o.Options)
	})
	if err != nil {
		pbx.Close()
		return nil, err
	}
	d := &Demo{Gateway: g, pbx: pbx}
	d.greet(o.Out)
	return d, nil
}

// demoConfig is the configuration of a gateway before one PBX on the same machine.
func demoConfig(listen netip.Addr, pbx netip.AddrPort, ports *demoPorts) (Config, error) {
	loopback := pbx.Addr()
	var uri URI
	if err := uri.UnmarshalText([]byte("sip:" + pbx.String())); err != nil {
		return Config{}, err
	}
	sip := netip.AddrPortFrom(loopback, ports.free("udp", loopback, demoSIPPort))
	cfg := Config{
		HTTPS: HTTPS{Listen: []WebListen{
			{Plain: true, Addr: netip.AddrPortFrom(loopback, ports.free("tcp", loopback, demoPlainPort))},
			{Addr: netip.AddrPortFrom(listen, ports.free("tcp", listen, demoTLSPort))},
		}},
		SIP:   SIP{Listen: []SIPListen{{Network: "udp", Addr: sip}, {Network: "tcp", Addr: sip}}},
		Pools: map[string]Pool{demoPool: {Members: []Member{{URI: uri, Weight: 1}}}},
		Routes: []Route{
			{From: route.Browsers, To: []Target{{Name: demoPool}}, Register: "forward"},
			{From: demoPool, To: []Target{{Name: route.Browsers}}},
		},
		Admin: Admin{Listen: netip.AddrPortFrom(loopback, ports.free("tcp", loopback, demoAdminPort))},
		Log:   Log{Level: "info"},
	}
	// Firefox reaches no loopback address from the addresses that it gathers, and a machine may have no other one: both.
	media := []netip.Addr{reachable(netip.IPv4Unspecified())}
	if media[0] != loopback {
		media = append(media, loopback)
	}
	for _, addr := range media {
		cfg.Media.Listen = append(cfg.Media.Listen, netip.AddrPortFrom(addr, ports.free("udp", addr, demoMediaPort)))
	}
	return cfg, ports.err
}

// Run serves until ctx ends, as Gateway.Run does, and closes the PBX after it.
func (d *Demo) Run(ctx context.Context) error {
	err := d.Gateway.Run(ctx)
	return errors.Join(err, d.pbx.Close())
}

// Close ends both at once. Safe to call twice.
func (d *Demo) Close() {
	d.Gateway.Close()
	d.pbx.Close()
}

func (d *Demo) greet(out io.Writer) {
	urls := slices.Clone(d.URLs())
	for i, u := range urls {
		if at, err := netip.ParseAddrPort(strings.TrimPrefix(u, "https://")); err == nil {
			urls[i] = "https://" + netip.AddrPortFrom(reachable(at.Addr()), at.Port()).String()
		}
	}
	fmt.Fprintf(out, `
  The phone:  %s/
              %s/  (its certificate is self-signed: the browser will warn)
  Register with any name; no password is needed. Dial 600 for an echo, 601 for a tone,
  or the name of somebody who is registered in another tab.   Metrics: %s/metrics

`, urls[0], urls[1], d.AdminURL())
}

// demoPorts picks ports: the wanted one where it is free.
type demoPorts struct {
	out io.Writer
	any bool  // take any free one
	err error // the first that failed
}

// onFreePorts opens a gateway, and again with other ports where somebody took one between the look and the use.
func onFreePorts(ports demoPorts, open func(*demoPorts) (*Gateway, error)) (g *Gateway, err error) {
	for range 10 {
		picked := ports
		if g, err = open(&picked); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return g, err
}

// free gives the wanted port, or another free one and says so.
func (p *demoPorts) free(network string, addr netip.Addr, wanted uint16) uint16 {
	if p.any {
		wanted = 0
	}
	port, err := tryPort(network, addr, wanted)
	if errors.Is(err, syscall.EADDRINUSE) {
		if port, err = tryPort(network, addr, 0); err == nil {
			fmt.Fprintf(p.out, "port %d of %s is taken; using %d\n", wanted, addr, port)
		}
	}
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("gateway: the demo's port: %w", err)
	}
	return port
}

// tryPort opens a port and closes it again; udp stands for both, as SIP needs them.
func tryPort(network string, addr netip.Addr, port uint16) (uint16, error) {
	if network == "tcp" {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
		if err != nil {
			return 0, err
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).AddrPort().Port(), nil
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	free := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	_, err = tryPort("tcp", addr, free)
	return free, err
}
