package bridge

import (
	"context"
	"log/slog"
)

// callLog and legLog are log handlers that find their keys when something is said: Logger.With would format them at once and
// hold the text for the life of each call and leg, most of which have nothing to say.
type (
	callLog struct{ *call }
	legLog  struct{ *leg }
)

func newCallLog(c *call) *slog.Logger { return slog.New(callLog{c}) }
func newLegLog(l *leg) *slog.Logger   { return slog.New(legLog{l}) }

func (h callLog) Enabled(ctx context.Context, level slog.Level) bool {
	return h.bridge.log.Enabled(ctx, level)
}

func (h callLog) Handle(ctx context.Context, r slog.Record) error {
	return h.WithAttrs(nil).Handle(ctx, r)
}

// WithAttrs adds to the call's keys.
func (h callLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	keys := []slog.Attr{slog.String("call", h.id)}
	if tenant := h.record.Tenant; tenant != "" {
		keys = append(keys, slog.String("tenant", tenant))
	}
	return h.bridge.log.Handler().WithAttrs(append(keys, attrs...))
}

func (h callLog) WithGroup(name string) slog.Handler { return h.WithAttrs(nil).WithGroup(name) }

func (h legLog) Enabled(ctx context.Context, level slog.Level) bool {
	return h.call.log.Enabled(ctx, level)
}

func (h legLog) Handle(ctx context.Context, r slog.Record) error {
	return h.WithAttrs(nil).Handle(ctx, r)
}

// WithAttrs adds to the leg's keys.
func (h legLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	keys := []slog.Attr{slog.String("leg", h.name), slog.String("conn", h.conn)}
	if h.backend != "" {
		keys = append(keys, slog.String("backend", h.backend))
	}
	return h.call.log.Handler().WithAttrs(append(keys, attrs...))
}

func (h legLog) WithGroup(name string) slog.Handler { return h.WithAttrs(nil).WithGroup(name) }
