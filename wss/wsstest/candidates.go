package wsstest

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/pion/webrtc/v4"
)

// Roam has the next gathering of candidates, that of an ICE restart, find another address of this machine.
func (m *Media) Roam(to net.IP) { m.address.Store(&to) }

// Candidates waits for all candidates of the last description and gives them as RFC 8840 §9 has them in an INFO.
func (m *Media) Candidates(ctx context.Context) (sdpfrag []byte, err error) {
	if err := await(ctx, webrtc.GatheringCompletePromise(m.pc)); err != nil {
		return nil, err
	}
	var out strings.Builder
	for line := range strings.SplitSeq(m.pc.LocalDescription().SDP, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "a=ice-ufrag", "a=ice-pwd", "a=mid", "a=candidate", "a=end-of-candidates":
			out.WriteString(line + "\r\n")
		}
		if strings.HasPrefix(line, "m=") {
			out.WriteString(line + "\r\n")
		}
	}
	return []byte(out.String()), nil
}

// LocalAddress is where the nominated pair sends from; an error where there is none.
func (m *Media) LocalAddress() (net.IP, error) {
	pair, err := m.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return nil, fmt.Errorf("wsstest: no candidate pair: %w", err)
	}
	return net.ParseIP(pair.Local.Address), nil
}

func await(ctx context.Context, gathered <-chan struct{}) error {
	select {
	case <-gathered:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wsstest: candidates: %w", ctx.Err())
	}
}
