package sdp

import "bytes"

// OffersKeys says whether a description has SDES keys somewhere; a Leg that hears it needs some, too, to take them.
func OffersKeys(text []byte) bool { return bytes.Contains(text, []byte("a=crypto:")) }

// OffersICE says whether a description has ICE credentials somewhere.
func OffersICE(text []byte) bool { return bytes.Contains(text, []byte("a=ice-ufrag:")) }

// OfferedAudio is the audio of an offer as it stands, before a Leg that hears it chooses; false where there is not exactly one
// such stream with an address. It serves to choose a transport by where the peer will send from.
func OfferedAudio(text []byte) (RemoteStream, bool) {
	heard, err := describe(text, RTP)
	if err != nil {
		return RemoteStream{}, false
	}
	var found RemoteStream
	count := 0
	for i := range heard.Streams {
		if s := &heard.Streams[i]; s.Kind == "audio" && s.Remote.RTP.IsValid() {
			found, count = s.Remote, count+1
			found.settle()
			found.Transport = s.ICE
		}
	}
	return found, count == 1
}
