package codec

// G.722 at 64 kbit/s (ITU-T G.722, mode 1): two bands of ADPCM, a byte for each pair of samples of 16000 per second: six
// bits for the band below 4 kHz, two for the one above. The blocks have the Recommendation's names.

// g722Tables holds the Recommendation's tables of quantization (§6.2).
type g722Tables struct {
	q6  [32]int32    // decision levels of the lower band, and two above all
	il  [2][30]uint8 // interval → code, above and below zero
	qm6 [64]int32    // code → value in the lower band
	qm4 [16]int32    // the same of the four bits that adapt it
	qm2 [4]int32     // code → value in the upper band
	wl  [16]int32    // code → change of the lower scale's logarithm
	wh  [4]int32     // the same in the upper band
	ilb [32]int32    // 2048·2^(i/32)
	qmf [12]int32    // every second tap of the quadrature mirror filter
}

var g722 = g722Tables{
	q6: [32]int32{0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
		1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919, 65535, 65535},
	il: [2][30]uint8{
		{61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32},
		{63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4},
	},
	qm6: [64]int32{-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
		-8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360,
		-1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000,
		5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136},
	qm4: [16]int32{0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0},
	qm2: [4]int32{-7408, -1616, 7408, 1616},
	wl:  [16]int32{-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60},
	wh:  [4]int32{798, -214, 798, -214},
	ilb: [32]int32{2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
		2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008},
	qmf: [12]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11},
}

// g722Band is the adaptive predictor and quantizer of one band, the same in encoder and decoder (§6.2.1). What the
// filters need doubled is kept so.
type g722Band struct {
	s, sz  int32    // predicted signal, and the part of it from the zeros
	r1, r2 int32    // twice the reconstructed signal, one and two samples ago
	p1, p2 int32    // partially reconstructed signal
	a1, a2 int32    // coefficients of the poles
	d      [6]int32 // twice the quantized differences, the newest first
	b      [6]int32 // coefficients of the zeros
	nb     int32    // logarithm of the scale
	det    int32    // the scale
}

func newG722Bands() (low, high g722Band) { return g722Band{det: 32}, g722Band{det: 8} }

func saturate(x int32) int32 { return min(max(x, -32768), 32767) }

// unlike is -1 if one of a and b is negative and the other not, else 0; with it a sign is chosen without a branch, which
// would be mispredicted half of the time: (x ^ unlike) - unlike is -x or x.
func unlike(a, b int32) int32 { return (a ^ b) >> 31 }

// scale adapts the quantizer (blocks LOGSCL and SCALEL, or LOGSCH and SCALEH).
func (b *g722Band) scale(change, most, shift int32) {
	b.nb = min(max(b.nb*127>>7+change, 0), most)
	mantissa, exponent := g722.ilb[b.nb>>6&31], shift-b.nb>>11
	if exponent < 0 {
		b.det = mantissa << -exponent << 2
	} else {
		b.det = mantissa >> exponent << 2
	}
}

// adapt takes a quantized difference into the predictor (block 4: RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, DELAYA, FILTEP,
// FILTEZ, PREDIC). Only what can leave 16 bits is saturated.
func (b *g722Band) adapt(d int32) {
	r0, p0 := saturate(b.s+d), saturate(b.sz+d)

	other1, other2 := unlike(p0, b.p1), unlike(p0, b.p2)
	step := min(saturate(b.a1<<2)^^other1-^other1, 32767)
	a2 := step>>7 + (128 ^ other2 - other2) + b.a2*32512>>15
	a2 = min(max(a2, -12288), 12288)
	a1 := b.a1*32640>>15 + (192 ^ other1 - other1)
	bound := 15360 - a2
	a1 = min(max(a1, -bound), bound)

	b.sz = b.zeros(d)
	b.a1, b.a2, b.r1, b.r2, b.p1, b.p2 = a1, a2, saturate(2*r0), b.r1, p0, b.p1
	b.s = saturate(saturate(b.a1*b.r1>>15+b.a2*b.r2>>15) + b.sz)
}

// zeros adapts the six zeros, moves d into their line and returns what they predict.
func (b *g722Band) zeros(d int32) int32 {
	gain := int32(128)
	if d == 0 {
		gain = 0
	}
	sz, newer := int32(0), saturate(2*d)
	for i, old := range &b.d {
		other := unlike(old, d)
		c := b.b[i]*32640>>15 + (gain ^ other - other)
		b.b[i], b.d[i] = c, newer
		sz += c * newer >> 15
		newer = old
	}
	return saturate(sz)
}

// mirror is the quadrature mirror filter (blocks TRANSMIT QMF and RECEIVE QMF).
func mirror(line *[24]int32) (even, odd int32) {
	for k, c := range &g722.qmf {
		odd += line[2*k] * c
		even += line[23-2*k] * c
	}
	return even, odd
}

// g722Decoder has 16000 samples per second.
type g722Decoder struct {
	low, high g722Band
	line      [22]int32 // of the receive QMF
	work      [22 + 2*960]int32
	conceal   concealer
}

func newG722Decoder() *g722Decoder {
	d := &g722Decoder{conceal: newConcealer(16000)}
	d.low, d.high = newG722Bands()
	return d
}

func (d *g722Decoder) Duration(payload []byte) int { return byteDuration(payload) }

func (d *g722Decoder) Decode(pcm []int16, payload []byte) (int, error) {
	work := d.work[:22+2*len(payload)]
	copy(work, d.line[:])
	for i, code := range payload {
		low, high := d.sample(code)
		work[22+2*i], work[23+2*i] = low+high, low-high
	}
	pcm = pcm[:2*len(payload)]
	for i := 0; i < len(pcm); i += 2 {
		even, odd := mirror((*[24]int32)(work[i:]))
		pcm[i], pcm[i+1] = int16(saturate(even>>11)), int16(saturate(odd>>11))
	}
	copy(d.line[:], work[len(pcm):])
	d.conceal.heard(pcm)
	return len(pcm), nil
}

// sample decodes one byte into a sample of each band.
func (d *g722Decoder) sample(code byte) (low, high int32) {
	il, ih := code&0x3f, code>>6
	low = min(max(d.low.s+d.low.det*g722.qm6[il]>>15, -16384), 16383)
	difference := d.low.det * g722.qm4[il>>2] >> 15
	d.low.scale(g722.wl[il>>2], 18432, 8)
	d.low.adapt(difference)

	difference = d.high.det * g722.qm2[ih] >> 15
	high = min(max(difference+d.high.s, -16384), 16383)
	d.high.scale(g722.wh[ih], 22528, 10)
	d.high.adapt(difference)
	return low, high
}

func (d *g722Decoder) Conceal(pcm []int16, _ []byte) bool {
	d.conceal.fill(pcm)
	return false
}

func (d *g722Decoder) Reset() {
	d.low, d.high = newG722Bands()
	clear(d.line[:])
}

// g722Encoder takes 16000 samples per second.
type g722Encoder struct {
	low, high g722Band
	line      [22]int32 // of the transmit QMF
	work      [22 + 2*960]int32
}

func newG722Encoder() *g722Encoder {
	e := &g722Encoder{}
	e.low, e.high = newG722Bands()
	return e
}

func (e *g722Encoder) Encode(payload []byte, pcm []int16) (int, error) {
	work := e.work[:22+len(pcm)]
	copy(work, e.line[:])
	for i, x := range pcm {
		work[22+i] = int32(x)
	}
	payload = payload[:len(pcm)/2]
	for i := range payload {
		even, odd := mirror((*[24]int32)(work[2*i:]))
		payload[i] = e.lower((even+odd)>>14) | e.upper((even-odd)>>14)<<6
	}
	copy(e.line[:], work[len(pcm):])
	return len(payload), nil
}

// lower codes a sample of the lower band in six bits (blocks SUBTRA, QUANTL, INVQAL).
func (e *g722Encoder) lower(x int32) byte {
	difference := saturate(x - e.low.s)
	negative := difference >> 31
	size := difference ^ negative
	interval := int32(0)
	for step := int32(16); step > 0; step >>= 1 {
		interval += step &^ ((size - g722.q6[interval+step]*e.low.det>>12) >> 31)
	}
	code := g722.il[-negative][min(interval, 29)]
	quantized := e.low.det * g722.qm4[code>>2] >> 15
	e.low.scale(g722.wl[code>>2], 18432, 8)
	e.low.adapt(quantized)
	return code
}

// upper codes a sample of the upper band in two bits (blocks SUBTRA, QUANTH, INVQAH).
func (e *g722Encoder) upper(x int32) byte {
	difference := saturate(x - e.high.s)
	size := difference
	code := byte(3) // small; 2 is large, and 1 and 0 are the same below zero
	if difference < 0 {
		size = -(difference + 1)
		code = 1
	}
	if size >= 564*e.high.det>>12 {
		code--
	}
	quantized := e.high.det * g722.qm2[code] >> 15
	e.high.scale(g722.wh[code], 22528, 10)
	e.high.adapt(quantized)
	return code
}

func (e *g722Encoder) SetLoss(int) {}
