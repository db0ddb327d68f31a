package gateway

import (
	"context"
	"fmt"
	"time"

	"tandem/bridge/route"
)

// tables are the table files of the routes and of the classes of destinations, by name.
type tables map[string]*table

// table is one of them, as it was last good.
type table struct {
	state string // of the file when it was read, well or in vain
	seen  string // of the file when it was last looked at
	*route.Prefixes
}

// tableLook is how often the files are looked at for changes. One is read when it was the same twice, so that nobody is read who
// writes still.
const tableLook = time.Second

// prefixes are those of a file; nil for none.
func (t tables) prefixes(file string) *route.Prefixes {
	if file == "" {
		return nil
	}
	return t[file].Prefixes
}

// tableFiles are the files of the routes' and classes' tables, and where they stand.
func (c Config) tableFiles() map[string]string {
	files := map[string]string{}
	for i, r := range c.Routes {
		files[r.Table], files[r.FromTable] = indexed("routes", i), indexed("routes", i)
	}
	for name, class := range c.Fraud.Classes {
		files[class.Table] = "fraud.classes." + name
	}
	delete(files, "")
	return files
}

// readTables reads the table files of the routes and of the classes of destinations.
func (c Config) readTables() (tables, error) {
	all := tables{}
	for file, at := range c.tableFiles() {
		state := fileState(file)
		read, err := route.ReadPrefixes(file, c.knows)
		if err != nil {
			return nil, fmt.Errorf("gateway: %s: %w", at, err)
		}
		all[file] = &table{state: state, seen: state, Prefixes: read}
	}
	return all, nil
}

// watchTables reads the routes' tables again when they change, until its context ends.
func (g *Gateway) watchTables(ctx context.Context) {
	tick := time.NewTicker(tableLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.lookAtTables()
		case <-ctx.Done():
			return
		}
	}
}

// lookAtTables obeys the tables that changed. One that is wrong leaves that of before, and is complained about once.
func (g *Gateway) lookAtTables() {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	changed := false
	for file, t := range g.tables {
		was := t.seen
		t.seen = fileState(file)
		if t.seen != was || t.seen == t.state {
			continue
		}
		t.state = t.seen
		read, err := route.ReadPrefixes(file, g.current.knows)
		if err != nil {
			g.log.Error("the table is not read anew, that of before stays", "file", file, "error", err)
			continue
		}
		g.log.Info("the table was read anew", "file", file)
		t.Prefixes, changed = read, true
	}
	if changed {
		g.routes.table.Store(route.New(g.current.routes(g.tables)))
		g.watchTolls(g.current, g.tables)
	}
}
