package main

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"text/tabwriter"
	"time"

	"tandem/gateway"
)

// bansCommand lists bans, lifts or makes some.
type bansCommand struct {
	Operator
	Lift     string        `help:"Let this address in again." placeholder:"ADDRESS" xor:"what"`
	Ban      string        `help:"Keep this address out." placeholder:"ADDRESS" xor:"what"`
	Identity string        `help:"Only this user at the address, as in the list." placeholder:"sip:USER@DOMAIN"`
	For      time.Duration `help:"How long." default:"1h"`
}

func (c bansCommand) run(out io.Writer) error {
	query := url.Values{}
	if c.Identity != "" {
		query.Set("identity", c.Identity)
	}
	switch {
	case c.Lift != "":
		query.Set("address", c.Lift)
		var done struct{ Lifted int }
		if err := c.send(http.MethodDelete, "/api/bans?"+query.Encode(), &done); err != nil {
			return err
		}
		fmt.Fprintf(out, "%d lifted\n", done.Lifted)
		return nil
	case c.Ban != "":
		query.Set("address", c.Ban)
		query.Set("for", c.For.String())
		return c.send(http.MethodPost, "/api/bans?"+query.Encode(), nil)
	}
	var listed struct{ Bans []gateway.Ban }
	if err := c.send(http.MethodGet, "/api/bans", &listed); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, b := range listed.Bans {
		fmt.Fprintf(table, "%s\t%s\t%s\tuntil %s\t%d times\n", shown(b.Address), b.Why, b.Identity, b.Until.Local().Format(time.DateTime), b.Times)
	}
	return table.Flush()
}

// shown leaves out the length of a single address.
func shown(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
