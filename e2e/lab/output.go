package lab

import (
	"bufio"
	"strings"
	"sync"
)

// Output collects what a process prints.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *Output) read(lines *bufio.Scanner) {
	for lines.Scan() {
		o.mu.Lock()
		o.text.WriteString(lines.Text() + "\n")
		o.mu.Unlock()
	}
}

// String is everything so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
