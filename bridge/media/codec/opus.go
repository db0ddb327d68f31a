package codec

// opusDuration is the duration of an Opus packet in ticks of 1/48000 s, read from its first two bytes (RFC 6716 §3.1 and
// §3.2); 0 if it is empty or says that it is longer than 120 ms.
func opusDuration(payload []byte) int {
	if len(payload) == 0 {
		return 0
	}
	frames := 1
	switch payload[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(payload) < 2 {
			return 0
		}
		frames = int(payload[1] & 0x3f)
	}
	ticks := frames * opusFrame(payload[0]>>3)
	if ticks > samples(longest, 48000) {
		return 0
	}
	return ticks
}

// opusFrame is the duration of one frame of a configuration, 0 to 31 (RFC 6716 §3.1 table 2).
func opusFrame(config byte) int {
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return 480 << (config & 1)
	}
	return 120 << (config & 3) // CELT: 2.5, 5, 10, 20 ms
}

// opusTuning is the bit rates of an encoder, in bits per second.
type opusTuning struct {
	bitrate int
	lossy   int // with in-band FEC, whose redundant frames need room
}

func opusTuningOf(rate int) opusTuning {
	switch {
	case rate <= 8000:
		return opusTuning{bitrate: 32000, lossy: 32000}
	case rate <= 16000:
		return opusTuning{bitrate: 40000, lossy: 44000}
	}
	return opusTuning{bitrate: 48000, lossy: 56000}
}

// opusLossy is the loss in percent from which on in-band FEC pays.
const opusLossy = 2
