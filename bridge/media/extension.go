package media

import "encoding/binary"

// Header extensions (RFC 8285 §4): elements with an id of the leg's SDP.
const (
	oneByteExtension = 0xBEDE
	twoByteExtension = 0x1000 // the low four bits are the sender's
	lastElement      = 15     // in one-byte form: nothing behind it counts
)

// mapExtension gives the elements of a packet's header extension the other leg's ids; what has none there is overwritten with
// padding, and where nothing is left the extension is taken off. The packet may then begin later in the same memory.
func mapExtension(p []byte, ids *[16]uint8) []byte {
	if p[0]&rtpExtBit == 0 {
		return p
	}
	if *ids == [16]uint8{} {
		return stripExtension(p)
	}
	at := rtpMin + 4*int(p[0]&0x0F)
	size, _ := rtpHeader(p)
	kept := false
	switch profile := binary.BigEndian.Uint16(p[at:]); {
	case profile == oneByteExtension:
		kept = mapOneByte(p[at+4:size], ids)
	case profile&^0xF == twoByteExtension:
		kept = mapTwoByte(p[at+4:size], ids)
	}
	if !kept {
		return stripExtension(p)
	}
	return p
}

// mapOneByte is for elements of the form |  ID   |  len  | and len + 1 bytes.
func mapOneByte(b []byte, ids *[16]uint8) (kept bool) {
	for len(b) > 0 {
		id, size := b[0]>>4, 2+int(b[0]&0xF)
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		if id == 0 || id == lastElement || size > len(b) { // padding with a length ends it, too (RFC 8285 §4.2)
			clear(b)
			break
		}
		if to := ids[id]; to == 0 || to >= lastElement {
			clear(b[:size])
		} else {
			b[0] = to<<4 | b[0]&0xF
			kept = true
		}
		b = b[size:]
	}
	return kept
}

// mapTwoByte is for elements of the form |      ID       |      len      | and len bytes.
func mapTwoByte(b []byte, ids *[16]uint8) (kept bool) {
	for len(b) > 0 {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			clear(b)
			break
		}
		id, size := b[0], 2+int(b[1])
		if id >= uint8(len(ids)) || ids[id] == 0 {
			clear(b[:size])
		} else {
			b[0] = ids[id]
			kept = true
		}
		b = b[size:]
	}
	return kept
}

// stripExtension takes the header extension off; the packet then begins later in the same memory.
func stripExtension(p []byte) []byte {
	if p[0]&rtpExtBit == 0 {
		return p
	}
	fixed := rtpMin + 4*int(p[0]&0x0F)
	size, _ := rtpHeader(p)
	cut := size - fixed
	copy(p[cut:size], p[:fixed])
	p = p[cut:]
	p[0] &^= rtpExtBit
	return p
}
