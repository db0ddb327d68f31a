package bridge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"

	"tandem/sipside/siptest"
	"tandem/sipside/transaction"
)

// torturous are the messages of RFC 4475 and RFC 5118 by the status that the gateway must answer with, whatever door they
// come by. A message that is not listed is sound: it is served, and refused for what it asks, if at all.
var torturous = map[string]int{
	"badinv01": 400, "clerr": 400, "ncl": 400, "scalar02": 400, "quotbal": 400, "ltgtruri": 400, "lwsruri": 400, "lwsstart": 400,
	"trws": 400, "escruri": 400, "regbadct": 400, "badaspec": 400, "baddn": 400, "badvers": 505, "mismatch01": 400,
	"mismatch02": 400, "insuf": 400, "unkscm": 416, "novelsc": 416, "unksm2": 400, "bext01": 420, "invut": 415, "multi01": 400,
	"mcl01": 400, "sdp01": 406, "ipv6-bad": 400, "intmeth": 501, "esc02": 501, "wsinv": 481, "lwsdisp": 200, "semiuri": 200,
	"transports": 200, "badbranch": 200, "zeromf": 200, "via-received-param-with-delim": 481, "via-received-param-no-delim": 200,
	"mult-ip-in-header": 481, "ipv6-bug-abnf-3-colons": 200, "ipv6-correct-abnf-2-colons": 200,
}

// silent are the messages that get no answer: responses that nobody asked for, and a request without a Via.
var silent = []string{"unreason", "noreason", "scalarlg", "bigcode", "bcast", "test"}

// unframed are those that a stream cannot end: what is missing may still come (RFC 4475 §3.1.2.2).
var unframed = []string{"clerr", "baddn", "inv2543"}

// faulty are statuses that only a message with a fault deserves.
var faulty = []int{400, 406, 415, 416, 420, 482, 483, 501, 505, 513}

func TestTortureOverEveryTransport(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../sipside/transaction/testdata/rfc*/*.dat")
	if err != nil || len(files) != 62 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	for transport, open := range map[string]func(*testing.T, *world) door{"UDP": udpDoor, "TCP": tcpDoor, "WS": wsDoor} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{handler: func(int) func(*siptest.Incoming) bool { return takeMessage }})
			for _, file := range files {
				name := strings.TrimSuffix(filepath.Base(file), ".dat")
				data, err := os.ReadFile(file)
				w.check(err)
				if transport == "TCP" && slices.Contains(unframed, name) {
					continue
				}
				tortured(t, name, data, open(t, w))
			}
		})
	}
}

// takeMessage is the member behind: a MESSAGE crosses to it.
func takeMessage(in *siptest.Incoming) bool {
	return in.Request().Method == sip.MESSAGE && in.Respond(siptest.Reply{Status: 200}) == nil
}

// tortured sends a message and the question whether the door still answers, and compares what came back.
func tortured(t *testing.T, name string, data []byte, d door) {
	t.Helper()
	defer d.close()
	want, listed := torturous[name]
	got := d.ask(data, slices.Contains(silent, name))
	switch {
	case slices.Contains(silent, name):
		if got != 0 {
			t.Errorf("%s: answered %d, want silence", name, got)
		}
	case listed && got != want:
		t.Errorf("%s: answered %d, want %d", name, got, want)
	case !listed && (got < 100 || slices.Contains(faulty, got)):
		t.Errorf("%s: answered %d, though nothing is wrong with it", name, got)
	}
}

// door is a way to send a message.
type door struct {
	send  func([]byte) error
	read  func() ([]byte, error)
	close func()
}

// ask sends a message, with a question behind it where no answer is owed, and gives the status of the message's final
// response. 0: there was none, or the question was answered first.
func (d door) ask(data []byte, questioned bool) int {
	if d.send(data) != nil {
		return -1
	}
	if questioned && d.send([]byte(probe)) != nil {
		return -1
	}
	for {
		answer, err := d.read()
		if err != nil {
			return 0
		}
		msg, err := transaction.Parse(answer)
		var bad *transaction.ParseError
		status := statusIn(answer)
		switch {
		case errors.As(err, &bad) && status >= 200:
			return status // it echoes what is missing or malformed
		case err != nil || status < 200:
		case msg.CallID().Value() == "probe":
			return 0
		default:
			return status
		}
	}
}

func statusIn(answer []byte) int {
	words := bytes.Fields(answer)
	if len(words) < 2 || string(words[0]) != "SIP/2.0" {
		return 0
	}
	n, _ := strconv.Atoi(string(words[1]))
	return n
}

const probe = "OPTIONS sip:gateway@example.com SIP/2.0\r\nVia: SIP/2.0/TCP probe.example.com;rport;branch=z9hG4bKprobe\r\n" +
	"From: <sip:a@example.com>;tag=1\r\nTo: <sip:gateway@example.com>\r\nCall-ID: probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"

// udpDoor sends from a member's host; rport brings the answer back, whatever sent-by says.
func udpDoor(_ *testing.T, w *world) door {
	sock, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(memberHost(0)), net.UDPAddrFromAddrPort(w.sip.Addrs()[0]))
	w.check(err)
	// What has no rport is answered at sent-by's port (RFC 3261 §18.2.2): there nobody listens, so it is asked for here.
	send := func(data []byte) error {
		if !bytes.Contains(data, []byte("rport")) {
			data = addRport(data)
		}
		_, err := sock.Write(data)
		return err
	}
	read := func() ([]byte, error) {
		buf := make([]byte, 1<<16)
		_ = sock.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := sock.Read(buf)
		return buf[:n], err
	}
	return door{send, read, func() { sock.Close() }}
}

// addRport puts rport behind the first sent-by of the top Via.
func addRport(data []byte) []byte {
	text := string(data)
	for _, start := range []string{"\r\nVia", "\r\nv:", "\r\nViA"} {
		at := strings.Index(text, start)
		if at < 0 {
			continue
		}
		end := at + 2 + strings.IndexAny(text[at+2:], ";\r")
		if strings.HasPrefix(text[end:], "\r\n ") { // folded
			end += strings.Index(text[end:], ";")
		}
		return []byte(text[:end] + ";rport" + text[end:])
	}
	return data
}

func tcpDoor(_ *testing.T, w *world) door {
	sock, err := net.DialTCP("tcp4", net.TCPAddrFromAddrPort(memberHost(0)), net.TCPAddrFromAddrPort(w.sip.Addrs()[1]))
	w.check(err)
	in := bufio.NewReader(sock)
	read := func() ([]byte, error) {
		_ = sock.SetReadDeadline(time.Now().Add(time.Minute))
		return readMessage(in)
	}
	return door{func(data []byte) error { _, err := sock.Write(data); return err }, read, func() { sock.Close() }}
}

// readMessage takes one message of a stream by its Content-Length, which is the last header of ours.
func readMessage(in *bufio.Reader) ([]byte, error) {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		head = append(head, line...)
	}
	at := bytes.LastIndex(head, []byte("Content-Length: "))
	length, err := strconv.Atoi(string(bytes.TrimSpace(head[at+len("Content-Length: "):])))
	if err != nil {
		return nil, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(in, body)
	return append(head, body...), err
}

// wsDoor is a WebSocket without a SIP library: that would not read what must be echoed.
func wsDoor(_ *testing.T, w *world) door {
	dialer := websocket.Dialer{Subprotocols: []string{"sip"}}
	ws, res, err := dialer.DialContext(w.ctx(), w.url, http.Header{"Origin": {"https://phone.example.com"}})
	w.check(err)
	w.check(res.Body.Close())
	read := func() ([]byte, error) {
		_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
		_, data, err := ws.ReadMessage()
		return data, err
	}
	return door{func(data []byte) error { return ws.WriteMessage(websocket.BinaryMessage, data) }, read, func() { ws.Close() }}
}
