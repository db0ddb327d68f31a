package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tandem/gateway/guard"
)

// stateEvery is how often what changed is written: a crash loses no more.
const stateEvery = 5 * time.Second

// brokenSuffix is added to the name of a state file that cannot be read.
const brokenSuffix = ".broken"

// keptState is the state file: what the door knows of strangers and spending.
type keptState struct {
	Guard guard.Kept      `json:"guard"`
	Tolls guard.KeptTolls `json:"tolls"`
}

// stateFile writes what the guard and the tolls know, whole and at once, behind their backs. A disk that fails is logged; the gateway
// goes on.
type stateFile struct {
	// static after construction
	path  string
	guard *guard.Guard
	tolls *guard.Tolls
	log   *slog.Logger

	write sync.Mutex
	done  uint64 // guarded by write: the changes that stand in the file
}

// openState restores what the process before has left, which has to be done before anybody is served, and sees that it can be
// written. A file that cannot be read is set aside, and nothing is known then.
func openState(path string, g *guard.Guard, t *guard.Tolls, log *slog.Logger) (*stateFile, error) {
	s := &stateFile{path: path, guard: g, tolls: t, log: log}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("gateway: state: %w", err)
	}
	if err == nil {
		var kept keptState
		if err := json.Unmarshal(text, &kept); err != nil {
			log.Error("the state file cannot be read and is set aside: bans, trust and spending begin anew", "file", path, "aside", path+brokenSuffix, "error", err)
			if err := os.Rename(path, path+brokenSuffix); err != nil {
				return nil, fmt.Errorf("gateway: state: %w", err)
			}
		}
		g.Restore(kept.Guard)
		t.Restore(kept.Tolls)
	}
	if err := s.save(); err != nil {
		return nil, fmt.Errorf("gateway: state: %w", err)
	}
	return s, nil
}

// openState has what the guard and the tolls know kept, where the configuration says so.
func (g *Gateway) openState() error {
	if g.cfg.State == "" {
		return nil
	}
	s, err := openState(g.cfg.State, g.guard, g.tolls, g.log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go s.run(ctx)
	g.onClose(func() {
		stop()
		s.flush()
	})
	return nil
}

// run writes until ctx ends.
func (s *stateFile) run(ctx context.Context) {
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.flush()
		}
	}
}

// flush writes what changed.
func (s *stateFile) flush() {
	s.write.Lock()
	defer s.write.Unlock()
	changes := s.guard.Changes() + s.tolls.Changes()
	if changes == s.done {
		return
	}
	if err := s.save(); err != nil {
		s.log.Error("bans, trust and spending are not written", "file", s.path, "error", err)
		return
	}
	s.done = changes
}

// save puts a whole file in the place of the one before.
func (s *stateFile) save() error {
	text, err := json.Marshal(keptState{s.guard.Keep(), s.tolls.Keep()})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // where it did not become the file
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path)
}
