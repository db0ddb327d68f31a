package e2e

import (
	"os"
	"testing"

	"tandem/e2e/lab"
)

// TestMain runs everything inside a network namespace with nothing but loopback.
func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }
