package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Operator is how the commands that steer a running gateway reach it.
type Operator struct {
	Admin string `help:"The operator's listener, admin.listen of the configuration." default:"http://127.0.0.1:9090" placeholder:"URL"`
}

// running is what is read of /api/status.
type running struct {
	Calls    int
	Backends []struct {
		Name  string
		Calls int
	}
}

// callsOf are the calls of a member, none where it left; "" is all.
func (r running) callsOf(member string) int {
	if member == "" {
		return r.Calls
	}
	for _, b := range r.Backends {
		if b.Name == member {
			return b.Calls
		}
	}
	return 0
}

const drainLook = 500 * time.Millisecond

// drain says how many calls there are left, and waits for the last where it is to.
func (o Operator) drain(member string, wait bool, out io.Writer) error {
	var now running
	if err := o.post("/api/drain", member, &now); err != nil {
		return err
	}
	for {
		left := now.callsOf(member)
		if left == 0 {
			fmt.Fprintln(out, "empty")
			return nil
		}
		if !wait {
			fmt.Fprintf(out, "%d calls left\n", left)
			return nil
		}
		time.Sleep(drainLook)
		if err := o.ask(http.MethodGet, "/api/status", "", &now); err != nil {
			return err
		}
	}
}

func (o Operator) post(path, member string, into any) error {
	return o.ask(http.MethodPost, path, member, into)
}

// ask sends a request; a refusal's text is the error.
func (o Operator) ask(method, path, member string, into any) error {
	if member != "" {
		path += "?member=" + url.QueryEscape(member)
	}
	return o.send(method, path, into)
}

// send is ask of any path.
func (o Operator) send(method, path string, into any) error {
	req, err := http.NewRequest(method, strings.TrimSuffix(o.Admin, "/")+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // as far as it came
		return errors.New(strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}
