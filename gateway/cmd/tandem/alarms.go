package main

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"tandem/gateway"
)

// alarmsCommand lists alarms of toll fraud, after it released what it is to release.
type alarmsCommand struct {
	Operator
	Release    uint64 `help:"Let who is stopped by this alarm call again; what was spent is forgotten." placeholder:"ALARM" xor:"what"`
	ReleaseAll bool   `help:"Let all who are stopped call again." xor:"what"`
}

func (c alarmsCommand) run(out io.Writer) error {
	method, path := http.MethodGet, "/api/alarms"
	switch {
	case c.ReleaseAll:
		method, path = http.MethodPost, "/api/release"
	case c.Release != 0:
		method, path = http.MethodPost, fmt.Sprintf("/api/release?alarm=%d", c.Release)
	}
	var alarms []gateway.Alarm
	if err := c.send(method, path, &alarms); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, a := range alarms {
		user := a.User
		if user == "" {
			user = "all users"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%.1f minutes, %d calls\tof %s\t%s\n",
			a.ID, a.At.Local().Format(time.DateTime), a.Spending, user, a.Minutes, a.Calls, a.Limit, standing(a))
	}
	return table.Flush()
}

// standing says what is in force of an alarm.
func standing(a gateway.Alarm) string {
	switch {
	case a.Active && a.Until.IsZero():
		return "stopped until it is released"
	case a.Active:
		return "stopped until " + a.Until.Local().Format(time.DateTime)
	case !a.Released.IsZero():
		return "released " + a.Released.Local().Format(time.DateTime)
	}
	return "over"
}
