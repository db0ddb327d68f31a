package dtmf

import "math"

const (
	window = 104 // samples: 13 ms, narrow enough to tell neighbouring rows apart
	hop    = window / 2
	// A signal of 40 ms (Q.24: must be taken) holds four windows whole wherever it begins; one below 26 ms holds at most three.
	needed = 4
	// A signal may be interrupted for so many windows and is still the same one.
	bridged = 4

	weakest     = 2.5e-3 // of full scale, each tone's amplitude: about -49 dBm0
	normalTwist = 8.0    // row stronger than column at most, 9 dB
	backTwist   = 4.0    // column stronger than row at most, 6 dB
	peak        = 6.3    // 8 dB above each other tone of its group
	purity      = 0.70   // of the energy is in the two tones, 1.5 % beside their places even; speech has more elsewhere
	harmonics   = 0.08   // of a tone's energy at most at twice its frequency; a voice's overtones are strong
)

// Detector follows one stream of audio. The zero value is ready. It allocates nothing.
type Detector struct {
	samples [window]float32 // the latest
	filled  int
	current byte // the signal that is on; 0: none
	hits    int  // windows in a row with candidate in them
	misses  int  // windows in a row without current
	heard   int  // windows of current so far
	try     byte
}

// Event is a signal's begin or end.
type Event struct {
	Key      byte // '0'–'9', '*', '#', 'A'–'D'
	Began    bool // else it ended
	Duration int  // samples, of an ended one; known to half a window
}

// Feed takes the next samples and gives what they bring to an end, at most one event for each 6.5 ms; the slice is
// appended to events, so that a caller with room in it causes no allocation.
func (d *Detector) Feed(samples []int16, events []Event) []Event {
	for _, s := range samples {
		d.samples[d.filled] = float32(s) / (1 << 15)
		if d.filled++; d.filled < window {
			continue
		}
		if e, ok := d.step(d.judge()); ok {
			events = append(events, e)
		}
		copy(d.samples[:], d.samples[hop:])
		d.filled = window - hop
	}
	return events
}

// Lost forgets what was heard: the stream has a gap or another source. It gives the end of a signal that was on.
func (d *Detector) Lost() (Event, bool) {
	e, on := Event{Key: d.current, Duration: d.duration()}, d.current != 0
	*d = Detector{}
	return e, on
}

// step is what one window's verdict does.
func (d *Detector) step(key byte) (Event, bool) {
	if d.current != 0 {
		return d.follow(key)
	}
	if key == 0 || key != d.try {
		d.try, d.hits = key, 0
	}
	if key != 0 {
		d.hits++
	}
	if d.hits < needed {
		return Event{}, false
	}
	d.current, d.heard, d.misses = key, d.hits, 0
	return Event{Key: key, Began: true}, true
}

// follow waits for the end of the signal that is on.
func (d *Detector) follow(key byte) (Event, bool) {
	if key == d.current {
		d.heard += 1 + d.misses
		d.misses = 0
		return Event{}, false
	}
	if d.misses++; d.misses <= bridged {
		return Event{}, false
	}
	e := Event{Key: d.current, Duration: d.duration()}
	d.current, d.hits, d.try = 0, 0, 0
	return e, true
}

func (d *Detector) duration() int { return (d.heard + 1) * hop }

// judge says which signal the window holds; 0: none.
func (d *Detector) judge() byte {
	total := d.energy()
	const floor = 2 * weakest * weakest / 2 * window
	if total < floor {
		return 0
	}
	row := d.powers(0)
	r := strongest(row)
	if r < 0 || row[r]*(1+backTwist) < purity*total { // the column could not make up for it; nearly all speech ends here
		return 0
	}
	column := d.powers(4)
	c := strongest(column)
	if c < 0 {
		return 0
	}
	high, low := column[c], row[r]
	switch {
	case high > low*backTwist || low > high*normalTwist,
		high+low < purity*total,
		d.power(2*rows()[r]) > harmonics*(high+low),
		d.power(2*columns()[c]) > harmonics*(high+low):
		return 0
	}
	return keys[4*r+c]
}

// energy adds in four lanes: one would wait for itself at each sample.
func (d *Detector) energy() float32 {
	var a, b, c, e float32
	for i := 0; i < window; i += 4 {
		s := (*[4]float32)(d.samples[i:])
		a, b, c, e = a+s[0]*s[0], b+s[1]*s[1], c+s[2]*s[2], e+s[3]*s[3]
	}
	return a + b + c + e
}

// strongest is the index of the tone that stands out of its group; -1: none.
func strongest(powers [4]float32) int {
	best := 0
	for i, p := range powers {
		if p > powers[best] {
			best = i
		}
	}
	for i, p := range powers {
		if i != best && p*peak > powers[best] {
			return -1
		}
	}
	return best
}

// powers are the shares of the window's energy that four tones have, from coefficients' first on (Goertzel's algorithm, all at
// once, in variables of their own: arrays would not stay in registers).
func (d *Detector) powers(first int) [4]float32 {
	k0, k1, k2, k3 := coefficients[first], coefficients[first+1], coefficients[first+2], coefficients[first+3]
	var a0, a1, a2, a3, b0, b1, b2, b3 float32
	for _, s := range d.samples {
		a0, b0 = (s-b0)+k0*a0, a0
		a1, b1 = (s-b1)+k1*a1, a1
		a2, b2 = (s-b2)+k2*a2, a2
		a3, b3 = (s-b3)+k3*a3, a3
	}
	return [4]float32{share(k0, a0, b0), share(k1, a1, b1), share(k2, a2, b2), share(k3, a3, b3)}
}

// power is one frequency's share of the window's energy.
func (d *Detector) power(frequency float64) float32 {
	k := coefficient(frequency)
	var a, b float32
	for _, s := range d.samples {
		a, b = s+k*a-b, a
	}
	return share(k, a, b)
}

func share(k, a, b float32) float32 { return (a*a + b*b - k*a*b) * 2 / window }

func coefficient(frequency float64) float32 { return float32(2 * math.Cos(2*math.Pi*frequency/Rate)) }

// coefficients of the rows, then the columns.
var coefficients = func() (all [8]float32) {
	for i := range 4 {
		all[i], all[i+4] = coefficient(rows()[i]), coefficient(columns()[i])
	}
	return all
}()
