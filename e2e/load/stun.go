package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

const checkAgain = 50 * time.Millisecond // RFC 8445 §14.3's floor for Ta, as one check is all there is

// sendCheck sends a Binding request that nominates the session's one pair (RFC 8445 §7.2.2).
func (s *Session) sendCheck() error {
	priority := binary.BigEndian.AppendUint32(nil, 110<<24|0xffff<<8|255) // peer reflexive
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(s.remote.ufrag+":"+s.ufrag),
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: []byte(s.password)[:8]},
		stun.RawAttribute{Type: stun.AttrPriority, Value: priority}, stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(s.remote.password), stun.Fingerprint)
	if err != nil {
		return fmt.Errorf("load: STUN: %w", err)
	}
	return s.toGateway(m.Raw)
}

// receiveSTUN answers the gateway's checks, and notes the answers to ours.
func (s *Session) receiveSTUN(a *arrival) {
	m := &stun.Message{Raw: slices.Clone(a.data)}
	if m.Decode() != nil {
		s.generator.faults.misfit.Add(1)
		return
	}
	switch m.Type {
	case stun.BindingSuccess:
		select {
		case s.answered <- struct{}{}:
		default:
		}
	case stun.BindingRequest:
		s.answerCheck(m, a)
	default:
		if t := s.turning.Load(); t != nil && m.Type.Method != stun.MethodBinding {
			select {
			case t.answers <- m:
			default: // a refresh of the channel
			}
		}
	}
}

func (s *Session) answerCheck(m *stun.Message, a *arrival) {
	from := addrPort(a.from)
	reply, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())},
		stun.NewShortTermIntegrity(s.password), stun.Fingerprint)
	if err == nil {
		err = s.generator.browsers.send(reply.Raw, s.browserAddr(), a.from)
	}
	if err != nil {
		s.generator.faults.refused.Add(1)
	}
}

// connectICE sends checks until one is answered.
func (s *Session) connectICE(ctx context.Context) error {
	for {
		if err := s.sendCheck(); err != nil {
			return err
		}
		select {
		case <-s.answered:
			s.spoke.Store(true)
			return nil
		case <-time.After(checkAgain):
		case <-ctx.Done():
			return fmt.Errorf("load: session %d: no check was answered: %w", s.number, ctx.Err())
		}
	}
}
