package gateway

import (
	"io"
	"log/slog"
)

// level is the least of what is written.
func (l Log) level() slog.Level {
	switch l.Level {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// newLogger writes to w as the configuration says, from a level on that may change. Keys that every package uses: call, leg, conn,
// backend, tenant.
func newLogger(cfg Log, from slog.Leveler, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: from}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
