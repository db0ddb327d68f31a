package wss_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/wss"
)

const (
	// idlePerConnection holds what the design promises for an idle TLS connection: heap and stacks.
	idlePerConnection = 16 << 10
	idleBrowsers      = 300
	idleURL           = "WSS_TEST_IDLE_URL" // set in the process that plays the browsers
)

// TestMain also plays the browsers of TestIdleMemory: they must not be measured with the door.
func TestMain(m *testing.M) {
	if url := os.Getenv(idleURL); url != "" {
		if err := playBrowsers(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// playBrowsers opens connections, has each do one transaction, says "ready" and waits for the end of stdin.
func playBrowsers(url string) error {
	dialer := websocket.Dialer{Subprotocols: []string{"sip"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	for i := range idleBrowsers {
		ws, _, err := dialer.Dial(url, nil)
		if err != nil {
			return err
		}
		defer ws.Close()
		n := strconv.Itoa(i)
		text := "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS b" + n + ".invalid;branch=z9hG4bK" + n + "\r\nMax-Forwards: 69\r\n" +
			"From: <sip:a@example.com>;tag=" + n + "\r\nTo: <sip:x@example.com>\r\nCall-ID: idle" + n + "\r\nCSeq: 1 OPTIONS\r\n\r\n"
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			return err
		}
		_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
		if _, _, err := ws.ReadMessage(); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// TestIdleMemory measures connections that have done one transaction and say nothing any more.
func TestIdleMemory(t *testing.T) {
	d := open(t, wss.Config{PingEvery: time.Hour, Log: slog.New(slog.DiscardHandler)}, true)
	before := inUse()
	goroutines := runtime.NumGoroutine()
	browsers := exec.Command(os.Args[0])
	browsers.Env = append(os.Environ(), idleURL+"="+d.URL)
	browsers.Stderr = os.Stderr
	hold, err := browsers.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	says, err := browsers.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := browsers.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(says).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	for range idleBrowsers {
		<-d.far.requests // the test's handler must not hold what the door let go
	}
	eventually(t, "the transactions are over", func() bool { return d.Stats().Transactions.Servers == 0 })
	eventually(t, "connections at rest have no goroutine", func() bool { return runtime.NumGoroutine()-goroutines <= 5 })
	per := (inUse() - before) / idleBrowsers
	t.Logf("figure wss-idle-connection-bytes %d %d", per, idlePerConnection)
	if per > idlePerConnection && !raceEnabled {
		t.Errorf("%d bytes for an idle TLS connection, want at most %d", per, idlePerConnection)
	}
	_ = hold.Close()
	if err := browsers.Wait(); err != nil {
		t.Error(err)
	}
}

// inUse is heap and stacks after collections; each of them shrinks the stacks further.
func inUse() int {
	var m runtime.MemStats
	for range 4 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
