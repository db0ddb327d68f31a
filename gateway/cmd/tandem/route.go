package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"tandem/gateway"
)

// routeCommand asks which rule decides.
type routeCommand struct {
	Config string    `help:"The configuration file." required:"" placeholder:"FILE"`
	From   string    `help:"Where the request comes from: browsers, a pool or a trunk; or, of a browser's, the sender's address." required:"" placeholder:"ORIGIN|ADDRESS"`
	To     string    `help:"Whom it is for: an address, or a user alone." required:"" placeholder:"ADDRESS"`
	Caller string    `help:"The sender's address." placeholder:"ADDRESS"`
	Method string    `help:"The request's method." default:"INVITE"`
	Header []string  `help:"A header of it; may be given again." placeholder:"'NAME: VALUE'" sep:"none"`
	Claim  []string  `help:"A claim of the sender's token; may be given again." placeholder:"PATH=VALUE" sep:"none"`
	At     time.Time `help:"When (RFC 3339); default: now." placeholder:"TIME"`
}

// run loads the configuration and explains.
func (c routeCommand) run(out io.Writer) error {
	q := gateway.Question{
		Origin: c.From, From: c.Caller, To: c.To, Method: strings.ToUpper(c.Method), At: c.At,
		Headers: map[string][]string{}, Claims: map[string][]string{},
	}
	if strings.ContainsAny(c.From, "@:") {
		if c.Caller != "" {
			return fmt.Errorf("--from %s is an address already; with --caller it is browsers, a pool or a trunk", c.From)
		}
		q.Origin, q.From = "browsers", c.From
	}
	if q.At.IsZero() {
		q.At = time.Now()
	}
	if err := pairs(q.Headers, c.Header, ":", "--header"); err != nil {
		return err
	}
	if err := pairs(q.Claims, c.Claim, "=", "--claim"); err != nil {
		return err
	}
	cfg, err := gateway.Load(c.Config)
	if err != nil {
		return err
	}
	return cfg.Explain(q, out)
}

// pairs splits what was given as name and value.
func pairs(into map[string][]string, given []string, between, flag string) error {
	for _, text := range given {
		name, value, ok := strings.Cut(text, between)
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("%s %q is not NAME%sVALUE", flag, text, between)
		}
		into[name] = append(into[name], strings.TrimSpace(value))
	}
	return nil
}
