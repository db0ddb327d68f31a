// Tandem joins browsers and the SIP world. See `tandem --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	_ "time/tzdata" // of routes by time, where the machine has none

	"github.com/alecthomas/kong"

	"tandem/gateway"
)

// Exit codes.
const (
	exitFailed = 1 // it could not open, or a listener failed
	exitWrong  = 2 // the command line or the configuration is wrong
)

type commands struct {
	Run struct {
		Config string `help:"The configuration file." required:"" placeholder:"FILE"`
	} `cmd:"" help:"Run the gateway. SIGTERM drains it, a second one ends it at once; SIGHUP reads the configuration and opens the call records anew."`
	Check struct {
		Config string `help:"The configuration file." required:"" placeholder:"FILE"`
	} `cmd:"" help:"Check a configuration; opens no socket."`
	Demo struct {
		Listen netip.Addr `help:"The address for browsers (https)." default:"127.0.0.1" placeholder:"ADDRESS"`
	} `cmd:"" help:"Run with a PBX of its own; no file needed."`
	Route routeCommand `cmd:"" help:"Say which rule of a configuration decides where a request goes, and why; opens no socket."`
	Drain struct {
		Operator
		Member string `help:"A member or trunk; default: the whole gateway." placeholder:"NAME"`
		Wait   bool   `help:"Until there is no call any more."`
	} `cmd:"" help:"Let a member, or a running gateway, take no new calls."`
	Resume struct {
		Operator
		Member string `help:"A member or trunk; default: the whole gateway." placeholder:"NAME"`
	} `cmd:"" help:"Take new calls again."`
	Reload struct {
		Operator
	} `cmd:"" help:"Have a running gateway read its configuration anew."`
	Bans    bansCommand   `cmd:"" help:"List whom a running gateway keeps out, or let somebody in again."`
	Alarms  alarmsCommand `cmd:"" help:"List the alarms of toll fraud of a running gateway, or release who is stopped."`
	Version struct{}      `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// oneDash matches -config and -config=FILE, as the documentation writes flags; kong wants two dashes.
var oneDash = regexp.MustCompile(`^-[a-z][a-z-]+(=|$)`)

func run(args []string, out, errs io.Writer) (code int) {
	for i, arg := range args {
		if oneDash.MatchString(arg) {
			args[i] = "-" + arg
		}
	}
	var cmd commands
	exited := -1 // --help ends in here
	parser := kong.Must(&cmd, kong.Name("tandem"), kong.Description("A gateway between browsers and SIP."),
		kong.Writers(out, errs), kong.Exit(func(code int) { exited = code }))
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err == nil {
		switch parsed.Command() {
		case "version":
			_, err = fmt.Fprintln(out, gateway.Version())
		case "check":
			if _, err = gateway.Load(cmd.Check.Config); err == nil {
				fmt.Fprintln(out, "ok")
			}
		case "run":
			err = serve(cmd.Run.Config)
		case "route":
			err = cmd.Route.run(out)
		case "drain":
			err = cmd.Drain.drain(cmd.Drain.Member, cmd.Drain.Wait, out)
		case "resume":
			err = cmd.Resume.post("/api/resume", cmd.Resume.Member, nil)
		case "reload":
			err = cmd.Reload.post("/api/reload", "", nil)
		case "bans":
			err = cmd.Bans.run(out)
		case "alarms":
			err = cmd.Alarms.run(out)
		case "demo":
			err = demo(cmd.Demo.Listen, out)
		}
	}
	if err == nil {
		return 0
	}
	if parsed != nil && parsed.Command() == "route" {
		code = exitWrong // it opens nothing that could fail
	}
	var wrong gateway.Problems
	var usage *kong.ParseError
	if errors.As(err, &wrong) || errors.As(err, &usage) {
		code = exitWrong
	}
	fmt.Fprintln(errs, err)
	return max(code, exitFailed)
}

func serve(file string) error {
	cfg, err := gateway.Load(file)
	if err != nil {
		return err
	}
	g, err := gateway.New(cfg, gateway.Options{Load: func() (gateway.Config, error) { return gateway.Load(file) }})
	if err != nil {
		return err
	}
	return untilSignal(g.Run, g)
}

func demo(listen netip.Addr, out io.Writer) error {
	d, err := gateway.NewDemo(gateway.DemoOptions{Listen: listen, Out: out})
	if err != nil {
		return err
	}
	return untilSignal(d.Run, d.Gateway)
}

// untilSignal runs until the first SIGTERM or SIGINT, which drains; the second ends at once, a third kills.
func untilSignal(run func(context.Context) error, g *gateway.Gateway) error {
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	go func() {
		for s := range signals {
			switch {
			case s == syscall.SIGHUP:
				g.ReopenRecords()
				_ = g.Reload() // what is wrong is logged
			case ctx.Err() == nil:
				drain()
			default:
				signal.Reset(syscall.SIGTERM, syscall.SIGINT)
				go g.Close()
			}
		}
	}()
	return run(ctx)
}
