//go:build race

package wss_test

// raceEnabled: figures of memory mean nothing under the race detector.
const raceEnabled = true
