package siptest

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// within bounds a test, which runs beside others: it has sockets of its own.
func within(t *testing.T) context.Context {
	t.Helper()
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(stop)
	return ctx
}

func agent(t *testing.T, cfg AgentConfig) *Agent {
	t.Helper()
	a, err := NewAgent(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", a.user, a.Ladder())
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func media(t *testing.T) *Media {
	t.Helper()
	m, err := NewMedia(loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func pbx(t *testing.T, cfg PBXConfig) *PBX {
	t.Helper()
	p, err := NewPBX(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PBX\n%s", p.Ladder())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// must stops the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}
