package sdp

import "testing"

// Who was offered less than it may want is taken to want the rest; who offered, or took less than was offered, meant it.
func TestWish(t *testing.T) {
	for _, offered := range directions {
		for _, answered := range directions {
			far := &Description{Streams: []Stream{{Kind: "audio", Relayed: true, Direction: offered, Codecs: everything()}}}
			l, _, err := testLeg(RTP, 'a').Offer(far)
			if err != nil {
				t.Fatal(err)
			}
			if wish := l.Wish(); wish != nil {
				t.Errorf("%s: a wish of who said nothing", offered)
			}
			if l, err = l.HearAnswer(rtpText(1, "192.0.2.1", answered.String())); err != nil {
				t.Fatal(err)
			}
			most := offered.Reverse()
			want := answered&most | SendRecv&^most
			if got := l.Wish().main().Direction; got != want {
				t.Errorf("offered %s, answered %s: wishes %s, want %s", offered, answered, got, want)
			}
			if got := l.Heard.main().Direction; got != answered&most {
				t.Errorf("offered %s: heard %s by then", offered, got)
			}
		}
		l, err := testLeg(RTP, 'a').HearOffer(rtpText(1, "192.0.2.1", offered.String()))
		if err != nil {
			t.Fatal(err)
		}
		if l, _, err = l.Answer(nil); err != nil {
			t.Fatal(err)
		}
		if got := l.Wish().main().Direction; got != offered {
			t.Errorf("offered %s itself: wishes %s", offered, got)
		}
	}
}
