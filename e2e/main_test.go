package e2e

import (
	"fmt"
	"os"
	"testing"

	"tandem/e2e/lab"
)

// TestMain runs everything inside a network namespace with nothing but loopback.
func TestMain(m *testing.M) {
	if os.Getenv(asMediaHost) != "" {
		if err := serveMedia(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "media host:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(asAttackers) != "" {
		if err := serveAttackers(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "attackers:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(lab.Isolate(m))
}
