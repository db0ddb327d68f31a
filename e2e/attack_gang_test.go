package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/lab"
)

const asAttackers = "TANDEM_LAB_ATTACKERS"

// attackReport is what became of the attacks until now.
type attackReport struct {
	Tries              map[string]int
	Due                float64 // how many tries there would be by their pace alone
	Answered, Admitted int     // datagrams that strangers got, passwords that were taken
}

// What the attackers are told.
const (
	attackOn   = "on"
	attackOff  = "off"
	attackTell = "report"
)

// serveAttackers is the attackers in a process of their own, so that what they cost is nothing of whom they are measured by. Standard
// input brings the answers of calls and then what they are told, standard output gets a report for each. It ends with its input.
func serveAttackers(in io.Reader, out io.Writer) error {
	a := &attackers{told: attackReport{Tries: map[string]int{}}}
	input, output := json.NewDecoder(in), json.NewEncoder(out)
	if err := input.Decode(&a.answers); err != nil {
		return err
	}
	if err := a.begin(); err != nil {
		return err
	}
	for {
		var word string
		if err := input.Decode(&word); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if word != attackTell {
			a.on.Store(word == attackOn)
		}
		if err := output.Encode(a.report()); err != nil {
			return err
		}
	}
}

// pace is which part of the attacks was made: where the processors are busy there is none left for the rest.
func (r attackReport) pace() float64 {
	made := 0
	for _, n := range r.Tries {
		made += n
	}
	return float64(made) / r.Due
}

func (a *attackers) report() attackReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.told
	r.Tries = maps.Clone(r.Tries)
	return r
}

// gang is the attackers' process, as the test has it.
type gang struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	input  *json.Decoder
	output *json.Encoder
}

// openGang starts the attackers, who wait. They run when nobody else wants the processors: on machines of their own they would cost the
// gateway nothing.
func openGang(t *testing.T, answers []string) *gang {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	g := &gang{t: t, cmd: exec.Command(lab.Program(t, "nice"), "-n", "15", self)}
	g.cmd.Env, g.cmd.Stderr = append(os.Environ(), asAttackers+"=1"), os.Stderr
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := g.cmd.StdinPipe()
	must(t, err)
	out, err := g.cmd.StdoutPipe()
	must(t, err)
	must(t, g.cmd.Start())
	t.Cleanup(g.end)
	g.stdin, g.input, g.output = in, json.NewDecoder(out), json.NewEncoder(in)
	must(t, g.output.Encode(answers))
	return g
}

// tell gives the attackers a word, and what they say to it.
func (g *gang) tell(word string) (r attackReport) {
	g.t.Helper()
	must(g.t, errors.Join(g.output.Encode(word), g.input.Decode(&r)))
	return r
}

// made waits until each attack was made so often, and gives the report.
func (g *gang) made(least int) (r attackReport) {
	g.t.Helper()
	lab.Eventually(g.t, 2*time.Minute, "all attacks have been made", func() error {
		r = g.tell(attackTell)
		for name, n := range r.Tries {
			if n < least {
				return fmt.Errorf("%s: %d times", name, n)
			}
		}
		if len(r.Tries) != 9 {
			return fmt.Errorf("%d attacks", len(r.Tries))
		}
		return nil
	})
	return r
}

// end waits until they are gone, and with them what they held open. Safe to call twice.
func (g *gang) end() {
	g.stdin.Close()
	_ = g.cmd.Wait() // a second time it says so
}
