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

// Call sets a call up as a proxy between the browser and the phone would, and waits until it can carry packets. The flags are those
// of the reference deployment's kamailio.cfg.
func (n *NG) Call(ctx context.Context, g *Generator, codec Codec, profile Profile) (*Session, error) {
	s, err := g.NewSession(codec, profile)
	if err != nil {
		return nil, err
	}
	if err := n.describe(ctx, s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.Connect(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (n *NG) describe(ctx context.Context, s *Session) error {
	id := rand.Text()
	shared := func(command, text string) []entry {
		return []entry{{"command", command}, {"call-id", id}, {"from-tag", "browser"}, {"sdp", text},
			{"replace", []string{"origin", "session-connection"}}}
	}
	offered, err := n.do(ctx, append(shared("offer", s.offer()), entry{"ICE", "remove"}, entry{"transport-protocol", "RTP/AVP"},
		entry{"rtcp-mux", []string{"demux"}}, entry{"flags", []string{"trust-address"}}))
	if err != nil {
		return err
	}
	phone, err := s.hearOffer([]byte(offered))
	if err != nil {
		return err
	}
	answered, err := n.do(ctx, append(shared("answer", phone), entry{"to-tag", "phone"}, entry{"ICE", "force"},
		entry{"transport-protocol", "RTP/SAVPF"}, entry{"DTLS", "passive"}, entry{"SDES", []string{"off"}},
		entry{"rtcp-mux", []string{"accept"}}, entry{"flags", []string{"trust-address", "generate-mid"}}))
	if err != nil {
		return err
	}
	return s.hearAnswer([]byte(answered))
}

// do sends a command, again after a while, and gives the SDP of its answer.
func (n *NG) do(ctx context.Context, dictionary []entry) (text string, err error) {
	cookie := rand.Text()
	message := append([]byte(cookie+" "), bencode(dictionary)...)
	buf := make([]byte, 65536)
	for ctx.Err() == nil {
		if _, err := n.conn.Write(message); err != nil {
			return "", fmt.Errorf("load: ng: %w", err)
		}
		_ = n.conn.SetReadDeadline(time.Now().Add(time.Second))
		size, err := n.conn.Read(buf)
		answer, ok := bytes.CutPrefix(buf[:max(size, 0)], []byte(cookie+" "))
		if err != nil || !ok {
			continue
		}
		values, err := unbencode(answer)
		if err == nil && values["result"] != "ok" {
			err = fmt.Errorf("load: ng: %s: %s", values["result"], values["error-reason"])
		}
		return values["sdp"], err
	}
	return "", fmt.Errorf("load: ng: no answer: %w", ctx.Err())
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
