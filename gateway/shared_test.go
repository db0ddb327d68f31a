package gateway

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// The port of HTTPS takes ICE over TCP; what has TLS notices nothing.
func TestSharedPort(t *testing.T) {
	for _, c := range []struct {
		name   string
		first  string // what a client sends
		shared bool
		ice    string // what reaches the door
	}{
		{"a frame", "\x00\x14\x00\x01", true, "\x00\x14\x00\x01"},
		{"the longest frame", "\x07\xbc\x00\x01", true, "\x07\xbc\x00\x01"},
		{"half a length", "\x00", true, "\x00"},
		{"a frame where it is off", "\x00\x14\x00\x01", false, ""},
		{"a TLS record", "\x16\x03\x01", true, ""},
		{"HTTP without TLS", "GET / HTTP/1.1\r\n", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			taken := make(chan string, 1)
			var ice iceDoor
			if c.shared {
				ice = func(conn net.Conn, first []byte) {
					taken <- string(first)
					io.WriteString(conn, "taken")
					conn.Close()
				}
			}
			_, secure := openSharedWeb(t, nil, doors{ice: ice})
			conn, err := net.Dial("tcp", strings.TrimPrefix(secure, "https://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, c.first)
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			select {
			case got = <-taken:
			default:
			}
			if got != c.ice || (string(answer) == "taken") != (c.ice != "") {
				t.Errorf("the door got %q, the client %q", got, answer)
			}
			if _, body := fetch(t, "GET", secure+"/sip", ""); body != "sip HTTP/1.1" {
				t.Errorf("HTTPS beside it: %q", body)
			}
		})
	}
}
