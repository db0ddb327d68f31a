package media

import (
	"math/bits"
	"time"
)

const ntpEpoch = 2208988800 // s from 1900 to 1970

// ntp is a time of day as NTP writes it: 32.32 seconds since 1900 (RFC 3550 §4).
func ntp(t time.Time) uint64 {
	return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// ntp is the round's time.
func (w *worker) ntp() uint64 { return ntp(w.wall()) }

// scaled is a time span in 32.32 seconds, of either sign, in ticks of a clock.
func scaled(span int64, clock int) int64 {
	if span < 0 {
		return -scaled(-span, clock)
	}
	hi, lo := bits.Mul64(uint64(span), uint64(clock))
	return int64(hi<<32 | lo>>32)
}
