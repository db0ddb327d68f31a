package gateway

import (
	"io"
	"log/slog"
)

// newLogger writes to w as the configuration says. Keys that every package uses: call, leg, conn, backend, tenant.
func newLogger(cfg Log, w io.Writer) *slog.Logger {
	var level slog.Level // info
	switch cfg.Level {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
