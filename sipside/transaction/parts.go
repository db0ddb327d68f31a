package transaction

import "github.com/emiago/sipgo/sip"

// parts are the headers that nearly every message has, the first of each, in one piece: they come and go together.
type parts struct {
	via               sip.ViaHeader
	from, to, contact address
	callID            sip.CallIDHeader
	cseq              sip.CSeqHeader
	maxForwards       sip.MaxForwardsHeader
	contentType       sip.ContentTypeHeader
	contentLength     sip.ContentLengthHeader
	room              paramRoom
}

// paramRoom is room for a message's first parameters: the tags, and what a Via has.
type paramRoom struct {
	params [4]sip.HeaderKV
	taken  int
}

// take gives an empty list for n parameters; who appends more gets a list elsewhere.
func (r *paramRoom) take(n int) sip.HeaderParams {
	if r.taken+n > len(r.params) {
		return make(sip.HeaderParams, 0, n)
	}
	from := r.taken
	r.taken += n
	return r.params[from:from:r.taken]
}
