//go:build !race

package wss_test

const raceEnabled = false
