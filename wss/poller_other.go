//go:build !linux

package wss

import "log/slog"

// poller watches nothing here: each connection keeps its reading goroutine.
type poller struct{ log *slog.Logger }

func (*poller) watch(*Conn) bool { return false }
func (*poller) forget(*Conn)     {}
func (*poller) close()           {}
