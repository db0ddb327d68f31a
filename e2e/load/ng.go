package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// NG speaks rtpengine's control protocol: a cookie and a bencoded dictionary in one datagram. One goroutine at a time may use it.
type NG struct{ conn *net.UDPConn }

// DialNG makes a client.
func DialNG(at netip.AddrPort) (*NG, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("load: ng: %w", err)
	}
	return &NG{conn}, nil
}

// Close closes the socket.
func (n *NG) Close() { _ = n.conn.Close() }

// entry is one key of a dictionary; the value is a string or a list of strings.
type entry struct {
	key   string
	value any
}

// NGCall is a call that rtpengine relays.
type NGCall struct {
	Session *Session
	id      string
	ng      *NG
}

// Call sets a call up as a proxy between the browser and the phone would, and waits until it can carry packets. The flags are those
// of the reference deployment's kamailio.cfg.
func (n *NG) Call(ctx context.Context, g *Generator, ends Ends, profile Profile) (*NGCall, error) {
	s, err := g.NewSession(ends, profile)
	if err != nil {
		return nil, err
	}
	c := &NGCall{Session: s, id: rand.Text(), ng: n}
	toPhone := []string{"trust-address"}
	if ends.converted() {
		toPhone = append(toPhone, "codec-transcode-"+strings.Split(ends.Phone.rtpmap(), "/")[0])
	}
	flags := [][]entry{
		{{"command", "offer"}, {"ICE", "remove"}, {"transport-protocol", "RTP/AVP"}, {"rtcp-mux", []string{"demux"}},
			{"flags", toPhone}},
		{{"command", "answer"}, {"to-tag", "phone"}, {"ICE", "force"}, {"transport-protocol", "RTP/SAVPF"}, {"DTLS", "passive"},
			{"SDES", []string{"off"}}, {"rtcp-mux", []string{"accept"}}, {"flags", []string{"trust-address", "generate-mid"}}},
	}
	err = s.Describe(func(text string) (string, error) {
		message := append(flags[0], entry{"call-id", c.id}, entry{"from-tag", "browser"}, entry{"sdp", text},
			entry{"replace", []string{"origin", "session-connection"}})
		flags = flags[1:]
		return n.do(ctx, message)
	})
	if err == nil {
		err = s.Connect(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return c, nil
}

// Delete ends the call; rtpengine keeps it for a while.
func (c *NGCall) Delete(ctx context.Context) error {
	defer c.Session.Close()
	return c.ng.delete(ctx, c.id)
}

// delete says no more than that the command was answered: rtpengine answers it with statistics.
func (n *NG) delete(ctx context.Context, id string) error {
	_, err := n.exchange(ctx, []entry{{"command", "delete"}, {"call-id", id}, {"from-tag", "browser"}})
	return err
}

// do sends an offer or answer, and gives the SDP that comes back.
func (n *NG) do(ctx context.Context, dictionary []entry) (text string, err error) {
	answer, err := n.exchange(ctx, dictionary)
	if err != nil {
		return "", err
	}
	values, err := unbencode(answer)
	if err == nil && values["result"] != "ok" {
		err = fmt.Errorf("load: ng: %s: %s", values["result"], values["error-reason"])
	}
	return values["sdp"], err
}

// exchange sends a command, again after a while, and gives the answer.
func (n *NG) exchange(ctx context.Context, dictionary []entry) ([]byte, error) {
	cookie := []byte(rand.Text() + " ")
	message := append(cookie, bencode(dictionary)...)
	buf := make([]byte, 65536)
	for ctx.Err() == nil {
		if _, err := n.conn.Write(message); err != nil {
			return nil, fmt.Errorf("load: ng: %w", err)
		}
		_ = n.conn.SetReadDeadline(time.Now().Add(time.Second))
		size, err := n.conn.Read(buf)
		if answer, ok := bytes.CutPrefix(buf[:max(size, 0)], cookie); ok && err == nil {
			return answer, nil
		}
	}
	return nil, fmt.Errorf("load: ng: no answer: %w", ctx.Err())
}

func bencode(dictionary []entry) []byte {
	b := []byte{'d'}
	put := func(s string) { b = append(b, strconv.Itoa(len(s))+":"+s...) }
	for _, e := range dictionary {
		put(e.key)
		switch v := e.value.(type) {
		case string:
			put(v)
		case []string:
			b = append(b, 'l')
			for _, s := range v {
				put(s)
			}
			b = append(b, 'e')
		}
	}
	return append(b, 'e')
}

// unbencode takes a dictionary of strings, as far as the answers to offer and answer have nothing else.
func unbencode(p []byte) (map[string]string, error) {
	values := map[string]string{}
	body, ok := bytes.CutPrefix(p, []byte("d"))
	for ok && len(body) > 0 && body[0] != 'e' {
		var word [2]string
		for i := range word {
			digits, rest, found := bytes.Cut(body, []byte(":"))
			size, err := strconv.Atoi(string(digits))
			if !found || err != nil || size < 0 || size > len(rest) {
				return nil, fmt.Errorf("load: ng: not a dictionary of strings: %.60q", p)
			}
			word[i], body = string(rest[:size]), rest[size:]
		}
		values[word[0]] = word[1]
	}
	if !ok {
		return nil, fmt.Errorf("load: ng: not a dictionary: %.60q", p)
	}
	return values, nil
}
